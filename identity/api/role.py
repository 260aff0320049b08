"""`/v3/roles`, and which role implies which."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.models import Role
from identity.service import role

Body = dict[str, Any]
IMPLIED = "/v3/roles/{role_id}/implies/{implied_role_id}"


@operation("POST", "/v3/roles", action="identity:create_role", status=201, body=bodies.body("role", bodies.ROLE, "name"), answer=bodies.one("role"))  # fmt: skip
def create_role(request: Request) -> Body:
    """Create a role."""
    return {"role": views.role(request, request.run(lambda tx: role.create_role(tx, request.body["role"])))}


@operation("GET", "/v3/roles", action="identity:list_roles", answer=bodies.many("roles"))
def list_roles(request: Request) -> Body:
    """List roles."""
    return views.listing(request, "roles", role.list_roles(views.filters(request, "name", "domain_id")), Role, views.role)


@operation("GET", "/v3/roles/{role_id}", action="identity:get_role", answer=bodies.one("role"))
def get_role(request: Request) -> Body:
    """Show a role."""
    return {"role": views.role(request, request.read(lambda tx: role.get_role(tx, request.path["role_id"])))}


@operation("PATCH", "/v3/roles/{role_id}", action="identity:update_role", body=bodies.body("role", bodies.ROLE), answer=bodies.one("role"))
def update_role(request: Request) -> Body:
    """Change a role."""
    return {"role": views.role(request, request.run(lambda tx: role.update_role(tx, request.path["role_id"], request.body["role"])))}


@operation("DELETE", "/v3/roles/{role_id}", action="identity:delete_role", status=204)
def delete_role(request: Request) -> None:
    """Delete a role."""
    request.run(lambda tx: role.delete_role(tx, request.path["role_id"]))
    request.service.authenticate.forget()


def _named(request: Request, row: Role) -> Body:
    return {"id": row.id, "name": row.name, "links": {"self": request.url(f"/v3/roles/{row.id}")}}


def _inference(request: Request, prior: Role, implied: Role) -> Body:
    return {
        "role_inference": {"prior_role": _named(request, prior), "implies": _named(request, implied)},
        "links": {"self": views.self_link(request)},
    }


@operation("GET", "/v3/roles/{role_id}/implies", action="identity:list_implied_roles")
def list_implied_roles(request: Request) -> Body:
    """List what a role implies."""
    role_id = request.path["role_id"]
    prior = request.read(lambda tx: role.get_role(tx, role_id))
    implied = [_named(request, row) for _, row in request.read(lambda tx: role.inferences(tx, role_id))]
    return {"role_inference": {"prior_role": _named(request, prior), "implies": implied}, "links": {"self": views.self_link(request)}}


@operation("PUT", IMPLIED, action="identity:create_implied_role", status=201)
def create_implied_role(request: Request) -> Body:
    """Let a role imply another."""
    pair = request.run(lambda tx: role.imply(tx, request.path["role_id"], request.path["implied_role_id"]))
    request.service.authenticate.forget()
    return _inference(request, *pair)


@operation("GET", IMPLIED, action="identity:get_implied_role")
def get_implied_role(request: Request) -> Body:
    """Show that a role implies another."""
    return _inference(request, *request.read(lambda tx: role.get_implied(tx, request.path["role_id"], request.path["implied_role_id"])))


@operation("HEAD", IMPLIED, action="identity:get_implied_role", status=204)
def check_implied_role(request: Request) -> None:
    """Check that a role implies another."""
    get_implied_role(request)


@operation("DELETE", IMPLIED, action="identity:delete_implied_role", status=204)
def delete_implied_role(request: Request) -> None:
    """Let a role no longer imply another."""
    request.run(lambda tx: role.unimply(tx, request.path["role_id"], request.path["implied_role_id"]))
    request.service.authenticate.forget()


@operation("GET", "/v3/role_inferences", action="identity:list_role_inference_rules")
def list_role_inferences(request: Request) -> Body:
    """List which roles imply which."""
    pairs = request.read(role.inferences)
    rules = [
        {"prior_role": _named(request, prior), "implies": [_named(request, implied) for _, implied in same]}
        for prior, same in groupby(pairs, key=lambda pair: pair[0])
    ]
    return {"role_inferences": rules, "links": {"self": views.self_link(request)}}
