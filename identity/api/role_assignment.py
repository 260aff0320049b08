"""`/v3/role_assignments`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.errors import BadRequest
from identity.api import views
from identity.api.shapes import role as shapes
from identity.service import assignment

Body = dict[str, Any]


@operation("GET", "/v3/role_assignments", action=None, guarded=("identity:list_role_assignments", "identity:list_role_assignments_for_tree"), query=shapes.ASSIGNMENT_QUERY, answer=shapes.ASSIGNMENTS)  # fmt: skip
def list_role_assignments(request: Request) -> Body:
    """List what is granted, or (`effective`) what that comes to; `include_names` adds names and domains, `include_subtree` projects below."""
    tree = bool(request.query.flag("include_subtree", default=False))
    request.must("identity:list_role_assignments_for_tree" if tree else "identity:list_role_assignments")
    wanted = _wanted(request)
    rows = request.read(lambda tx: assignment.list_assignments(tx, request.actor, wanted))
    names = bool(request.query.flag("include_names", default=False))
    links = {"next": None, "self": views.self_link(request), "previous": None}
    return {"role_assignments": [_view(request, row, names=names) for row in rows], "links": links}


def _wanted(request: Request) -> assignment.Wanted:
    query = request.query
    scopes = {kind: query.one(f"scope.{kind}" if kind == "system" else f"scope.{kind}.id") for kind in ("project", "domain", "system")}
    given = {kind: value for kind, value in scopes.items() if value is not None}
    if len(given) > 1:
        raise BadRequest("Specify one of scope.project.id, scope.domain.id and scope.system, not several.")
    target, target_id = next(iter(given.items()), (None, None))
    if target == "system" and target_id not in ("all", "True", "true"):
        raise BadRequest(f"Invalid query parameter scope.system: {target_id!r}; only all is known.")
    inherited = query.one("scope.OS-INHERIT:inherited_to")
    return assignment.Wanted(
        user_id=query.one("user.id"), group_id=query.one("group.id"), role_id=query.one("role.id"), target=target,
        target_id=None if target == "system" else target_id, inherited=None if inherited is None else inherited == "projects",
        effective=bool(query.flag("effective", default=False)), subtree=bool(query.flag("include_subtree", default=False)),
    )  # fmt: skip


def _part(row: Any, part: str, *, names: bool) -> Body:
    """`{"id"}` of role, user, group or target; with names also the name and, where it has one, the domain."""
    view: Body = {"id": row[f"{part}_id"]}
    if names:
        view["name"] = row[f"{part}_name"]
        if row[f"{part}_domain_id"] is not None:
            view["domain"] = {"id": row[f"{part}_domain_id"], "name": row[f"{part}_domain_name"]}
    return view


def _view(request: Request, row: Any, *, names: bool) -> Body:
    target = row["target"]
    scope: Body = {"system": {"all": True}} if target == "system" else {target: _part(row, "target", names=names)}
    if row["inherited"]:
        scope["OS-INHERIT:inherited_to"] = "projects"
    view: Body = {"role": _part(row, "role", names=names), "scope": scope, "links": _links(request, row)}
    bearer = "group" if row["group_id"] is not None else "user"
    view[bearer] = _part(row, bearer, names=names)
    return view


def _links(request: Request, row: Any) -> Body:
    """Where the grant itself is that this row comes from, and what made it count here."""
    group_id = row["group_id"] or row["via_group_id"]
    where = "system" if row["from_target"] == "system" else f"{row['from_target']}s/{row['from_id']}"
    who = f"groups/{group_id}" if group_id is not None else f"users/{row['user_id']}"
    grant = f"{where}/{who}/roles/{row['granted_role_id']}"
    links: Body = {"assignment": request.url(f"/v3/OS-INHERIT/{grant}/inherited_to_projects" if row["inherited"] else f"/v3/{grant}")}
    if row["via_group_id"] is not None:
        links["membership"] = request.url(f"/v3/groups/{group_id}/users/{row['user_id']}")
    if row["prior_role_id"] is not None:
        links["prior_role"] = request.url(f"/v3/roles/{row['prior_role_id']}/implies/{row['role_id']}")
    return links
