"""`/v3/OS-TRUST/trusts`. Trustor and trustee see a trust; so do those who may see all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import BOOLEAN, ID, NAME, TEXT, array, obj
from common.errors import Forbidden
from identity.api import bodies, views
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, PAGES, PAGING, STRING, listed, resource, shown
from identity.models import Role, Trust
from identity.service import role
from identity.service import trust as service

Body = dict[str, Any]
ALL = "/v3/OS-TRUST/trusts"
PATH = ALL + "/{trust_id}"
ROLES = PATH + "/roles"
WANTED_ROLES = array({**obj({"id": ID, "name": NAME}), "minProperties": 1, "maxProperties": 1}, maxItems=1000)
WHOLE = {"type": ["integer", "null"], "maximum": 2**31 - 1}
GIVEN = {
    "trustor_user_id": ID, "trustee_user_id": ID, "project_id": bodies.OPTIONAL_ID, "impersonation": BOOLEAN,
    "expires_at": {"type": ["string", "null"], "maxLength": 64}, "remaining_uses": {**WHOLE, "minimum": 1},
    "allow_redelegation": bodies.FLAG, "redelegation_count": {**WHOLE, "minimum": 0}, "roles": WANTED_ROLES,
}  # fmt: skip
SHOWN_ROLE = resource(
    {"name": STRING, "description": OPTIONAL_STRING, "domain_id": OPTIONAL_STRING, "options": {"type": "object"}},
    "name", "description", "domain_id", "options", extra=True,
)  # fmt: skip
SHOWN = {
    "trustor_user_id": STRING, "trustee_user_id": STRING, "project_id": OPTIONAL_STRING, "impersonation": FLAG,
    "expires_at": OPTIONAL_STRING, "remaining_uses": {"type": ["integer", "null"]}, "redelegation_count": {"type": "integer"},
    "redelegated_trust_id": OPTIONAL_STRING, "deleted_at": {"type": "null"},
}  # fmt: skip
ROW = resource(SHOWN, *SHOWN, extra=True)
WHOLE_ROW = resource({**SHOWN, "roles": array(SHOWN_ROLE), "roles_links": PAGES}, *SHOWN, "roles", "roles_links", extra=True)


def _view(request: Request, row: Trust) -> Body:
    return {
        **row.extra, "id": row.id, "trustor_user_id": row.trustor_user_id, "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id, "impersonation": row.impersonation, "remaining_uses": row.remaining_uses,
        "expires_at": views.moment(row.expires_at) if row.expires_at is not None else None, "deleted_at": None,
        "redelegation_count": row.redelegation_count, "redelegated_trust_id": row.redelegated_trust_id,
        "links": {"self": request.url(f"/v3/OS-TRUST/trusts/{row.id}")},
    }  # fmt: skip


def _whole(request: Request, row: Trust, roles: Iterable[Role]) -> Body:
    links = {"self": request.url(f"/v3/OS-TRUST/trusts/{row.id}/roles"), "next": None, "previous": None}
    return {**_view(request, row), "roles": [views.role(request, role) for role in roles], "roles_links": links}


@operation(
    "POST", ALL, action=None, status=201, body=bodies.body("trust", GIVEN, "trustor_user_id", "trustee_user_id", "impersonation"),
    answer=shown("trust", WHOLE_ROW),
)  # fmt: skip
def create_trust(request: Request) -> Body:
    """Give another user some of one's own roles on a project."""
    values = request.body["trust"]
    actor = service.on_project(request.service.db, request.actor, values.get("project_id"))
    return {"trust": _whole(request, *request.run(lambda tx: service.create_trust(tx, actor, values)))}


LISTS = ("identity:list_trusts", "identity:list_trusts_for_trustor", "identity:list_trusts_for_trustee")


@operation(
    "GET", ALL, action=None, guarded=LISTS, query={"trustor_user_id": TEXT, "trustee_user_id": TEXT, **PAGING},
    answer=listed("trusts", ROW),
)  # fmt: skip
def list_trusts(request: Request) -> Body:
    """List trusts: those that one gives or is given, or all."""
    wanted = views.filters(request, "trustor_user_id", "trustee_user_id")
    exact = {name: wanted[name] for name in ("trustor_user_id", "trustee_user_id") if wanted.get(name)}
    if request.actor.user_id not in exact.values():
        side = next(iter(exact), "")
        request.must({"trustor_user_id": LISTS[1], "trustee_user_id": LISTS[2]}.get(side, LISTS[0]))
    return views.listing(request, "trusts", service.list_trusts(exact), Trust, _view)


def _seen(request: Request, action: str) -> Trust:
    """The trust of the path. Raises NotFound, and Forbidden for one of others."""
    row = request.read(lambda tx: service.get_trust(tx, request.path["trust_id"]))
    if request.actor.user_id not in (row.trustor_user_id, row.trustee_user_id):
        request.must(action)
    return row


@operation("GET", PATH, action=None, guarded=("identity:get_trust",), answer=shown("trust", WHOLE_ROW))
def get_trust(request: Request) -> Body:
    """Show a trust."""
    row = _seen(request, "identity:get_trust")
    return {"trust": _whole(request, row, request.read(lambda tx: list(tx.scalars(role.roles_of(row).order_by(Role.name, Role.id)))))}


@operation("DELETE", PATH, action=None, status=204, guarded=("identity:delete_trust",))
def delete_trust(request: Request) -> None:
    """Delete a trust, and what was redelegated from it."""
    row = request.read(lambda tx: service.get_trust(tx, request.path["trust_id"], spent=True))
    if request.actor.user_id != row.trustor_user_id and not request.may("identity:delete_trust"):
        raise Forbidden("Only admin or trustor can delete a trust.")
    request.run(lambda tx: service.delete_trust(tx, request.actor, row.id))
    request.service.authenticate.forget()


@operation("GET", ROLES, action=None, guarded=("identity:list_roles_for_trust",), query=PAGING, answer=listed("roles", SHOWN_ROLE))
def list_trust_roles(request: Request) -> Body:
    """List the roles that a trust gives."""
    row = _seen(request, "identity:list_roles_for_trust")
    return views.listing(request, "roles", role.roles_of(row), Role, views.role)


@operation("GET", ROLES + "/{role_id}", action=None, guarded=("identity:get_role_for_trust",), answer=shown("role", SHOWN_ROLE))
def get_trust_role(request: Request) -> Body:
    """Show a role that a trust gives."""
    row = _seen(request, "identity:get_role_for_trust")
    return {"role": views.role(request, request.read(lambda tx: role.role_of(tx, row, request.path["role_id"])))}
