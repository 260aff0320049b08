"""Shapes and views of `/v3/OS-FEDERATION`. Its resources are named by the client, in the path."""

from __future__ import annotations

from typing import Any

from common.api.request import Request
from common.api.shapes import BOOLEAN, ID, LONG_TEXT, NO_NUL, OPTIONAL_TEXT, TEXT, Checker, Shape, array, obj, wrapped
from common.errors import BadRequest
from identity.api.bodies import OPTIONAL_ID, URL
from identity.api.shapes.answers import PAGES, PAGING, STRING
from identity.models import FederationMapping, FederationProtocol, IdentityProvider, ServiceProvider

View = dict[str, Any]
PATH = "/v3/OS-FEDERATION"
NAME_IN_PATH = Checker({"type": "string", "maxLength": 64, "pattern": r"^[A-Za-z0-9_.~@:+-]+$"})
FILTERS: dict[str, Shape] = {"id": TEXT, "enabled": TEXT, **PAGING}

# The rule language. What a text holds beyond its type is checked by `service.federation.rules.check`.
_TEXT: Shape = {"type": "string", "maxLength": 4096, "pattern": NO_NUL}
_WORD: Shape = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL}
_DOMAIN = obj({"id": _TEXT, "name": _TEXT})
_USER = obj({"id": _TEXT, "name": _TEXT, "email": _TEXT, "domain": _DOMAIN, "type": {"enum": ["ephemeral", "local"]}})
_GROUP: Shape = {"oneOf": [obj({"id": _TEXT}, required=("id",)), obj({"name": _TEXT, "domain": _DOMAIN}, required=("name", "domain"))]}
_ROLES = array(obj({"name": _TEXT}, required=("name",)))
_PROJECT = {"name": _TEXT, "roles": _ROLES}
_VALUES = array(_TEXT)
_REMOTE: Shape = {"oneOf": [
    obj({"type": _WORD}, required=("type",)),
    *(obj({"type": _WORD, kind: _VALUES, "regex": BOOLEAN}, required=("type", kind))
      for kind in ("any_one_of", "not_any_of", "blacklist", "whitelist")),
]}  # fmt: skip


def _rules(project: dict[str, Any]) -> dict[str, Any]:
    local = obj({
        "user": _USER, "group": _GROUP, "groups": _TEXT, "group_ids": _TEXT, "domain": _DOMAIN,
        "projects": array(obj(project, required=("name", "roles"))),
    })  # fmt: skip
    rule = obj({"local": array(local), "remote": array(_REMOTE, minItems=1)}, required=("local", "remote"))
    return array(rule, minItems=1, maxItems=1000)


RULES_1 = _rules(_PROJECT)
RULES_2 = _rules({**_PROJECT, "domain": _DOMAIN})
# The version says which rules are meant; without it 1.0 is.
CREATE_MAPPING: Shape = {
    **wrapped(
        "mapping", obj({"id": TEXT, "rules": {"type": "array"}, "schema_version": {"enum": ["1.0", "2.0", None]}}, required=("rules",))
    ),
    "if": {"properties": {"mapping": {"properties": {"schema_version": {"const": "2.0"}}, "required": ["schema_version"]}}},
    "then": {"properties": {"mapping": {"properties": {"rules": RULES_2}}}},
    "else": {"properties": {"mapping": {"properties": {"rules": RULES_1}}}},
}
UPDATE_MAPPING = CREATE_MAPPING

_REMOTE_IDS: Shape = {"type": ["array", "null"], "items": _WORD, "uniqueItems": True, "maxItems": 1000}
_AUDIENCES: Shape = {"type": ["array", "null"], "items": _WORD, "maxItems": 100}
# `*` is what audiences say for anybody.
_CLIENT_ID: Shape = {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$", "not": {"const": "*"}}
PROVIDER = {
    "enabled": BOOLEAN, "description": LONG_TEXT, "remote_ids": _REMOTE_IDS, "audiences": _AUDIENCES, "client_id": _CLIENT_ID,
    "authorization_ttl": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1},
}  # fmt: skip
CREATE_IDENTITY_PROVIDER = wrapped("identity_provider", obj({**PROVIDER, "domain_id": OPTIONAL_ID}))
UPDATE_IDENTITY_PROVIDER = wrapped("identity_provider", {**obj(PROVIDER), "minProperties": 1})

_MAPPING_ID: Shape = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": NO_NUL}
PROTOCOL = {"mapping_id": _MAPPING_ID, "remote_id_attribute": OPTIONAL_TEXT}
CREATE_PROTOCOL = wrapped("protocol", obj(PROTOCOL, required=("mapping_id",)))
UPDATE_PROTOCOL = wrapped("protocol", {**obj(PROTOCOL), "minProperties": 1})

SERVICE_PROVIDER = {
    "auth_url": URL, "sp_url": URL, "description": LONG_TEXT, "enabled": BOOLEAN,
    "relay_state_prefix": {"type": ["string", "null"], "maxLength": 256, "pattern": NO_NUL},
}  # fmt: skip
CREATE_SERVICE_PROVIDER = wrapped("service_provider", obj(SERVICE_PROVIDER, required=("auth_url", "sp_url")))
UPDATE_SERVICE_PROVIDER = wrapped("service_provider", {**obj(SERVICE_PROVIDER), "minProperties": 1})


def _shown(properties: dict[str, Any], *links: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is shown of a resource: all of it always, but for `optional`."""
    whole = {"id": _MAPPING_ID, **properties, "links": obj(dict.fromkeys(links, STRING), required=links)}
    return obj(whole, required=tuple(name for name in whole if name not in optional))


_SHOWN_PROVIDER = _shown(
    {**PROVIDER, "domain_id": ID, "remote_ids": array(_WORD), "audiences": array(_WORD)}, "self", "protocols",
    optional=("audiences", "client_id"),
)  # fmt: skip
_SHOWN_PROTOCOL = _shown(
    {**PROTOCOL, "idp_id": _MAPPING_ID}, "self", "identity_provider", optional=("idp_id", "remote_id_attribute"),
)  # fmt: skip
_SHOWN_MAPPING = _shown({"rules": RULES_2, "schema_version": {"enum": ["1.0", "2.0"]}}, "self")
_SHOWN_SERVICE_PROVIDER = _shown({**SERVICE_PROVIDER, "relay_state_prefix": TEXT}, "self")
SHOWN = {
    "identity_provider": _SHOWN_PROVIDER, "protocol": _SHOWN_PROTOCOL, "mapping": _SHOWN_MAPPING,
    "service_provider": _SHOWN_SERVICE_PROVIDER,
}  # fmt: skip


def one(name: str) -> Shape:
    """The answer that shows one."""
    return wrapped(name, SHOWN[name])


def many(name: str) -> Shape:
    """The answer that lists them."""
    return obj({name + "s": array(SHOWN[name]), "links": PAGES}, required=(name + "s", "links"))


def new_id(request: Request, part: str) -> str:
    """The id that the path gives to what is created. Raises BadRequest for one that would not be safe in a URL."""
    NAME_IN_PATH(request.path[part], what=part)
    return request.path[part]


def values_of_mapping(request: Request) -> View:
    """The mapping in the body; a client may repeat its id there. Raises BadRequest for another id."""
    values = dict(request.body["mapping"])
    name = values.pop("id", request.path["mapping_id"])
    if name != request.path["mapping_id"]:
        raise BadRequest(
            f"Invalid input for field/attribute mapping.id. Value: {name}. It is not {request.path['mapping_id']}, which the path says."
        )
    # The CLI sends null for what it was not told.
    return {part: value for part, value in values.items() if value is not None}


def _link(request: Request, *parts: str) -> str:
    return request.url("/".join((PATH, *parts)))


def provider(request: Request, row: IdentityProvider) -> View:
    """An identity provider."""
    here = _link(request, "identity_providers", row.id)
    return {
        **row.extra, "id": row.id, "enabled": row.enabled, "description": row.description, "domain_id": row.domain_id,
        "authorization_ttl": row.authorization_ttl, "remote_ids": list(row.remote_ids),
        "links": {"self": here, "protocols": here + "/protocols"},
    }  # fmt: skip


def protocol(request: Request, row: FederationProtocol) -> View:
    """A protocol."""
    above = _link(request, "identity_providers", row.identity_provider_id)
    view: View = {"id": row.id, "mapping_id": row.mapping_id, "links": {"self": f"{above}/protocols/{row.id}", "identity_provider": above}}
    return view if row.remote_id_attribute is None else {**view, "remote_id_attribute": row.remote_id_attribute}


def listed_protocol(request: Request, row: FederationProtocol) -> View:
    """A protocol in a list, which says more, as Keystone's does."""
    return {**protocol(request, row), "idp_id": row.identity_provider_id, "remote_id_attribute": row.remote_id_attribute}


def mapping(request: Request, row: FederationMapping) -> View:
    """A mapping."""
    return {
        "id": row.id, "rules": row.rules, "schema_version": row.schema_version,
        "links": {"self": _link(request, "mappings", row.id)},
    }  # fmt: skip


def service_provider(request: Request, row: ServiceProvider) -> View:
    """A service provider."""
    return {
        "id": row.id, "enabled": row.enabled, "description": row.description, "auth_url": row.auth_url, "sp_url": row.sp_url,
        "relay_state_prefix": row.relay_state_prefix, "links": {"self": _link(request, "service_providers", row.id)},
    }  # fmt: skip
