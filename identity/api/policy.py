"""`/v3/policies`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.api.shapes.answers import changed, listed, shown
from identity.api.shapes.catalog import POLICY, POLICY_IN
from identity.api.shapes.query import queried
from identity.models import Policy
from identity.service import policy

Body = dict[str, Any]
ONE, MANY = shown("policy", POLICY), listed("policies", POLICY)


def view(request: Request, row: Policy) -> Body:
    """A policy."""
    return {**row.extra, "id": row.id, "blob": row.blob, "type": row.type, "links": {"self": request.url(f"/v3/policies/{row.id}")}}


@operation("POST", "/v3/policies", action="identity:create_policy", status=201, body=bodies.body("policy", POLICY_IN, "blob", "type"), answer=ONE)  # fmt: skip
def create_policy(request: Request) -> Body:
    """Create a policy."""
    return {"policy": view(request, request.run(lambda tx: policy.create_policy(tx, request.body["policy"])))}


@operation("GET", "/v3/policies", action="identity:list_policies", query=queried("type"), answer=MANY)
def list_policies(request: Request) -> Body:
    """List policies."""
    return views.listing(request, "policies", policy.list_policies(views.filters(request, "type")), Policy, view)


@operation("GET", "/v3/policies/{policy_id}", action="identity:get_policy", answer=ONE)
def get_policy(request: Request) -> Body:
    """Show a policy."""
    return {"policy": view(request, request.read(lambda tx: policy.get_policy(tx, request.path["policy_id"])))}


@operation("PATCH", "/v3/policies/{policy_id}", action="identity:update_policy", body=changed("policy", POLICY_IN, extra=True), answer=ONE)
def update_policy(request: Request) -> Body:
    """Change a policy."""
    row = request.run(lambda tx: policy.update_policy(tx, request.path["policy_id"], request.body["policy"]))
    return {"policy": view(request, row)}


@operation("DELETE", "/v3/policies/{policy_id}", action="identity:delete_policy", status=204)
def delete_policy(request: Request) -> None:
    """Delete a policy."""
    request.run(lambda tx: policy.delete_policy(tx, request.path["policy_id"]))
