"""`/v3/policies/…/OS-ENDPOINT-POLICY`: which policy is meant for which endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.api.operation import Handler, operation
from common.api.request import Request
from identity.api import policy as policies
from identity.api import views
from identity.api.shapes.answers import PAGING, listed
from identity.api.shapes.catalog import ENDPOINT
from identity.models import Endpoint
from identity.service import endpoint_policy, policy
from identity.service.endpoint_policy import Aim

Body = dict[str, Any]
OF_POLICY = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"
# What a policy can be meant for: its path, and its name in the actions.
AIMS = {
    "/endpoints/{endpoint_id}": "endpoint", "/services/{service_id}": "service",
    "/services/{service_id}/regions/{region_id}": "region_and_service",
}  # fmt: skip


def _for_each_aim(method: str, verb: str) -> Callable[[Handler], Handler]:
    """Declare the operation for each aim, allowed by an action of its own."""

    def declare(handler: Handler) -> Handler:
        for path, aim in AIMS.items():
            operation(method, OF_POLICY + path, action=f"identity:{verb}_policy_association_for_{aim}", status=204)(handler)
        return handler

    return declare


def _asked(request: Request) -> tuple[str, Aim]:
    aim = {name: value for name, value in request.path.items() if name != "policy_id"}
    return request.path["policy_id"], Aim(**aim)


@_for_each_aim("PUT", "create")
def create_policy_association(request: Request) -> None:
    """Mean a policy for an endpoint, a service, or a service in a region."""
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.associate(tx, policy_id, aim))


@_for_each_aim("GET", "check")
def check_policy_association(request: Request) -> None:
    """Check that a policy is meant for it."""
    policy_id, aim = _asked(request)
    request.read(lambda tx: endpoint_policy.check(tx, policy_id, aim))


@_for_each_aim("DELETE", "delete")
def delete_policy_association(request: Request) -> None:
    """Mean a policy for it no more."""
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.dissociate(tx, policy_id, aim))


@operation("GET", f"{OF_POLICY}/endpoints", action="identity:list_endpoints_for_policy", query=PAGING, answer=listed("endpoints", ENDPOINT))
def list_endpoints_for_policy(request: Request) -> Body:
    """List the endpoints that a policy is meant for, in whatever way."""
    policy_id = request.path["policy_id"]
    request.read(lambda tx: policy.get_policy(tx, policy_id))
    return views.listing(request, "endpoints", endpoint_policy.endpoints_of(policy_id), Endpoint, views.endpoint)


@operation("GET", "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", action="identity:get_policy_for_endpoint", answer=policies.ONE)
def get_policy_for_endpoint(request: Request) -> Body:
    """Show the policy that an endpoint is meant to follow."""
    row = request.read(lambda tx: endpoint_policy.policy_of(tx, request.path["endpoint_id"]))
    return {"policy": policies.view(request, row)}
