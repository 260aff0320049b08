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
# What a policy can be meant for: its path, its name in the actions, and in words.
AIMS = (
    ("/endpoints/{endpoint_id}", "endpoint", "an endpoint"), ("/services/{service_id}", "service", "a service, in all regions"),
    ("/services/{service_id}/regions/{region_id}", "region_and_service", "a service in a region and those within it"),
)  # fmt: skip


def _for_each_aim(method: str, verb: str, summary: str) -> Callable[[Handler], Handler]:
    """Declare the operation for each aim, allowed by an action of its own. summary: with `{aim}`."""

    def declare(handler: Handler) -> Handler:
        for path, aim, words in AIMS:
            action, told = f"identity:{verb}_policy_association_for_{aim}", summary.format(aim=words)
            operation(method, OF_POLICY + path, action=action, status=204, summary=told)(handler)
        return handler

    return declare


def _asked(request: Request) -> tuple[str, Aim]:
    aim = {name: value for name, value in request.path.items() if name != "policy_id"}
    return request.path["policy_id"], Aim(**aim)


@_for_each_aim("PUT", "create", "Associate a policy with {aim}, in place of any other.")
def create_policy_association(request: Request) -> None:
    """Associate a policy with what the path names."""
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.associate(tx, policy_id, aim))


@_for_each_aim("GET", "check", "Check that a policy is associated with {aim}.")
def check_policy_association(request: Request) -> None:
    """Check that a policy is associated with what the path names."""
    policy_id, aim = _asked(request)
    request.read(lambda tx: endpoint_policy.check(tx, policy_id, aim))


@_for_each_aim("DELETE", "delete", "End the association of a policy with {aim}.")
def delete_policy_association(request: Request) -> None:
    """End the association of a policy with what the path names."""
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.dissociate(tx, policy_id, aim))


@operation("GET", f"{OF_POLICY}/endpoints", action="identity:list_endpoints_for_policy", query=PAGING, answer=listed("endpoints", ENDPOINT))
def list_endpoints_for_policy(request: Request) -> Body:
    """List the endpoints that a policy is associated with: by themselves, by their service, or by that in their region or one around it."""
    policy_id = request.path["policy_id"]
    request.read(lambda tx: policy.get_policy(tx, policy_id))
    return views.listing(request, "endpoints", endpoint_policy.endpoints_of(policy_id), Endpoint, views.endpoint)


@operation("GET", "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", action="identity:get_policy_for_endpoint", answer=policies.ONE)
def get_policy_for_endpoint(request: Request) -> Body:
    """Show the policy of an endpoint: its own, else its service's in its region or one around it, else its service's."""
    row = request.read(lambda tx: endpoint_policy.policy_of(tx, request.path["endpoint_id"]))
    return {"policy": policies.view(request, row)}
