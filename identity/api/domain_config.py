"""`/v3/domains/{id}/config`: the options of a domain, and those of a domain that sets none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.api.operation import Answer, Handler, operation
from common.api.request import Request
from common.api.shapes import Shape, obj, wrapped
from identity.service import directory, domain_config
from identity.service.domain_option import OPTIONS, defaults

Body = dict[str, Any]
CONFIG, DEFAULT = "/v3/domains/{domain_id}/config", "/v3/domains/config"
GROUP, OPTION = CONFIG + "/{group}", CONFIG + "/{group}/{option}"
READ = ("identity:get_domain_config", "identity:get_security_compliance_domain_config")

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array"}
_VALUES: dict[str, dict[str, Shape]] = {
    group: {name: {"type": [_TYPES[each.kind], "null"]} for name, each in options.items()} for group, options in OPTIONS.items()
}
_COMPLIANCE: dict[str, Shape] = {name: {"type": ["string", "null"]} for name in domain_config.COMPLIANCE}
WHOLE = wrapped("config", obj({group: obj(values) for group, values in _VALUES.items()}))
ONE_GROUP = wrapped("config", obj({**{group: obj(values) for group, values in _VALUES.items()}, "security_compliance": obj(_COMPLIANCE)}))
ONE_OPTION = wrapped("config", obj({**{name: each for values in _VALUES.values() for name, each in values.items()}, **_COMPLIANCE}))
# Which groups and options there are is the service's to say: Keystone answers 403 for the others.
GIVEN = wrapped("config", {"type": "object"})


@operation("PUT", CONFIG, action="identity:create_domain_config", status=201, statuses=(200,), body=GIVEN, answer=WHOLE)
def create_domain_config(request: Request) -> Answer:
    """Set the options of a domain, in place of all that were set; 201 where none were."""
    given = request.body["config"]
    found, fresh = request.run(lambda tx: domain_config.put_config(tx, request.path["domain_id"], given))
    directory.forget()
    return Answer({"config": found}, 201 if fresh else 200)


@operation("GET", CONFIG, action=READ[0], answer=WHOLE)
def get_domain_config(request: Request) -> Body:
    """Show the options of a domain that are set."""
    return {"config": request.read(lambda tx: domain_config.get_config(tx, request.path["domain_id"]))}


@operation("GET", GROUP, action=None, guarded=READ, answer=ONE_GROUP)
def get_domain_config_group(request: Request) -> Body:
    """Show the options of one group that are set, or the rules for passwords (`security_compliance`)."""
    return {"config": _part(request)}


@operation("GET", OPTION, action=None, guarded=READ, answer=ONE_OPTION)
def get_domain_config_option(request: Request) -> Body:
    """Show one option that is set, or one of the rules for passwords (`security_compliance`)."""
    return {"config": _part(request)}


def _part(request: Request) -> Body:
    domain_id, group, option = request.path["domain_id"], request.path["group"], request.path.get("option")
    if group == "security_compliance":
        request.must(READ[1])
        return request.read(lambda tx: domain_config.compliance(tx, domain_id, option))
    request.must(READ[0])
    return request.read(lambda tx: domain_config.get_config(tx, domain_id, group, option))


def _update(path: str, what: str) -> Callable[[Handler], Handler]:
    told = f"Change {what}; the answer shows all options of the domain that are set."
    return operation("PATCH", path, action="identity:update_domain_config", body=GIVEN, answer=WHOLE, summary=told)


@_update(CONFIG, "options of a domain")
@_update(GROUP, "options of a domain in one group")
@_update(OPTION, "one option of a domain")
def update_domain_config(request: Request) -> Body:
    """Change options of a domain; the answer shows all that are set."""
    given, path = request.body["config"], request.path
    found = request.run(lambda tx: domain_config.update_config(tx, path["domain_id"], given, path.get("group"), path.get("option")))
    directory.forget()
    return {"config": found}


def _delete(path: str, what: str) -> Callable[[Handler], Handler]:
    return operation("DELETE", path, action="identity:delete_domain_config", status=204, summary=f"Unset {what} of a domain.")


@_delete(CONFIG, "all options")
@_delete(GROUP, "the options of one group")
@_delete(OPTION, "one option")
def delete_domain_config(request: Request) -> None:
    """Unset options of a domain."""
    path = request.path
    request.run(lambda tx: domain_config.delete_config(tx, path["domain_id"], path.get("group"), path.get("option")))
    directory.forget()


def _default(path: str, what: str, answer: Shape) -> Callable[[Handler], Handler]:
    told = f"Show {what} as it is in a domain that sets none."
    return operation("GET", f"{DEFAULT}{path}/default", action="identity:get_domain_config_default", answer=answer, summary=told)


@_default("", "every option", WHOLE)
@_default("/{group}", "each option of one group", ONE_GROUP)
@_default("/{group}/{option}", "one option", ONE_OPTION)
def get_domain_config_default(request: Request) -> Body:
    """Show the options of a domain that sets none."""
    return {"config": defaults(request.path.get("group"), request.path.get("option"))}
