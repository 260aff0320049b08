"""`/v3/roles`, and which role implies which."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.db import Tx
from identity.api import bodies, views
from identity.api.shapes import role as shapes
from identity.models import Role
from identity.service import role

Body = dict[str, Any]
IMPLIED = "/v3/roles/{role_id}/implies/{implied_role_id}"


@operation("POST", "/v3/roles", action="identity:create_role", guarded=("identity:create_domain_role",), status=201, body=bodies.body("role", shapes.ROLE_IN, "name"), answer=shapes.ROLE)  # fmt: skip
def create_role(request: Request) -> Body:
    """Create a role, a domain's own with `domain_id`."""
    given = request.body["role"]
    if given.get("domain_id"):
        request.must("identity:create_domain_role")
    return {"role": views.role(request, request.run(lambda tx: role.create_role(tx, given)))}


@operation("GET", "/v3/roles", action="identity:list_roles", guarded=("identity:list_domain_roles",), query=shapes.ROLE_QUERY, answer=shapes.ROLES)  # fmt: skip
def list_roles(request: Request) -> Body:
    """List roles, a domain's own with `domain_id`."""
    wanted = {key: value for key, value in views.filters(request, "name", "domain_id").items() if key != "domain_id" or value}
    if any(key.partition("__")[0] == "domain_id" for key in wanted):
        request.must("identity:list_domain_roles")
    return views.listing(request, "roles", role.list_roles(wanted), Role, views.role)


def _must_if_domains(request: Request, row: Role, action: str) -> Role:
    """A domain's own role has a permission of its own."""
    if row.domain_id is not None:
        request.must(action)
    return row


@operation("GET", "/v3/roles/{role_id}", action="identity:get_role", guarded=("identity:get_domain_role",), answer=shapes.ROLE)
def get_role(request: Request) -> Body:
    """Show a role."""
    row = request.read(lambda tx: role.see_role(tx, request.actor, request.path["role_id"]))
    return {"role": views.role(request, _must_if_domains(request, row, "identity:get_domain_role"))}


@operation("PATCH", "/v3/roles/{role_id}", action="identity:update_role", guarded=("identity:update_domain_role",), body=bodies.body("role", shapes.ROLE_IN), answer=shapes.ROLE)  # fmt: skip
def update_role(request: Request) -> Body:
    """Change a role."""
    role_id = request.path["role_id"]

    def change(tx: Tx) -> Role:
        _must_if_domains(request, role.get_role(tx, role_id), "identity:update_domain_role")
        return role.update_role(tx, role_id, request.body["role"])

    return {"role": views.role(request, request.run(change))}


@operation("DELETE", "/v3/roles/{role_id}", action="identity:delete_role", guarded=("identity:delete_domain_role",), status=204)
def delete_role(request: Request) -> None:
    """Delete a role."""
    role_id = request.path["role_id"]

    def end(tx: Tx) -> None:
        _must_if_domains(request, role.get_role(tx, role_id), "identity:delete_domain_role")
        role.delete_role(tx, role_id)

    request.run(end)
    request.service.authenticate.forget()


def _named(request: Request, row: Role) -> Body:
    return {"id": row.id, "name": row.name, "links": {"self": request.url(f"/v3/roles/{row.id}")}}


def _inference(request: Request, prior: Role, implied: Role) -> Body:
    return {
        "role_inference": {"prior_role": _named(request, prior), "implies": _named(request, implied)},
        "links": {"self": views.self_link(request)},
    }


@operation("GET", "/v3/roles/{role_id}/implies", action="identity:list_implied_roles", answer=shapes.IMPLIED)
def list_implied_roles(request: Request) -> Body:
    """List what a role implies."""
    role_id = request.path["role_id"]
    prior = request.read(lambda tx: role.get_role(tx, role_id))
    implied = [_named(request, row) for _, row in request.read(lambda tx: role.inferences(tx, role_id))]
    return {"role_inference": {"prior_role": _named(request, prior), "implies": implied}, "links": {"self": views.self_link(request)}}


@operation("PUT", IMPLIED, action="identity:create_implied_role", status=201, answer=shapes.INFERENCE)
def create_implied_role(request: Request) -> Body:
    """Let a role imply another."""
    pair = request.run(lambda tx: role.imply(tx, request.path["role_id"], request.path["implied_role_id"]))
    request.service.authenticate.forget()
    return _inference(request, *pair)


@operation("GET", IMPLIED, action="identity:get_implied_role", answer=shapes.INFERENCE)
def get_implied_role(request: Request) -> Body:
    """Show that a role implies another."""
    return _inference(request, *request.read(lambda tx: role.get_implied(tx, request.path["role_id"], request.path["implied_role_id"])))


@operation("HEAD", IMPLIED, action="identity:check_implied_role", status=204)
def check_implied_role(request: Request) -> None:
    """Check that a role implies another."""
    request.read(lambda tx: role.get_implied(tx, request.path["role_id"], request.path["implied_role_id"]))


@operation("DELETE", IMPLIED, action="identity:delete_implied_role", status=204)
def delete_implied_role(request: Request) -> None:
    """Let a role no longer imply another."""
    request.run(lambda tx: role.unimply(tx, request.path["role_id"], request.path["implied_role_id"]))
    request.service.authenticate.forget()


@operation("GET", "/v3/role_inferences", action="identity:list_role_inference_rules", answer=shapes.INFERENCES)
def list_role_inferences(request: Request) -> Body:
    """List which roles imply which."""
    pairs = request.read(role.inferences)
    rules = [
        {"prior_role": _named(request, prior), "implies": [_named(request, implied) for _, implied in same]}
        for prior, same in groupby(pairs, key=lambda pair: pair[0])
    ]
    return {"role_inferences": rules, "links": {"self": views.self_link(request)}}
