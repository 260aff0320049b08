"""`/v3/policies/…/OS-ENDPOINT-POLICY`: which policy is meant for which endpoints."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
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
FOR_ENDPOINT = f"{OF_POLICY}/endpoints/{{endpoint_id}}"
FOR_SERVICE = f"{OF_POLICY}/services/{{service_id}}"
FOR_REGION = f"{FOR_SERVICE}/regions/{{region_id}}"


def _associate(request: Request) -> None:
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.associate(tx, policy_id, aim))


def _check(request: Request) -> None:
    policy_id, aim = _asked(request)
    request.read(lambda tx: endpoint_policy.check(tx, policy_id, aim))


def _dissociate(request: Request) -> None:
    policy_id, aim = _asked(request)
    request.run(lambda tx: endpoint_policy.dissociate(tx, policy_id, aim))


def _asked(request: Request) -> tuple[str, Aim]:
    aim = {name: value for name, value in request.path.items() if name != "policy_id"}
    return request.path["policy_id"], Aim(**aim)


@operation("PUT", FOR_ENDPOINT, action="identity:create_policy_association_for_endpoint", status=204)
def create_policy_association_for_endpoint(request: Request) -> None:
    """Mean a policy for an endpoint."""
    _associate(request)


@operation("GET", FOR_ENDPOINT, action="identity:check_policy_association_for_endpoint", status=204)
def check_policy_association_for_endpoint(request: Request) -> None:
    """Check that a policy is meant for an endpoint."""
    _check(request)


@operation("DELETE", FOR_ENDPOINT, action="identity:delete_policy_association_for_endpoint", status=204)
def delete_policy_association_for_endpoint(request: Request) -> None:
    """Mean a policy for an endpoint no more."""
    _dissociate(request)


@operation("PUT", FOR_SERVICE, action="identity:create_policy_association_for_service", status=204)
def create_policy_association_for_service(request: Request) -> None:
    """Mean a policy for a service."""
    _associate(request)


@operation("GET", FOR_SERVICE, action="identity:check_policy_association_for_service", status=204)
def check_policy_association_for_service(request: Request) -> None:
    """Check that a policy is meant for a service."""
    _check(request)


@operation("DELETE", FOR_SERVICE, action="identity:delete_policy_association_for_service", status=204)
def delete_policy_association_for_service(request: Request) -> None:
    """Mean a policy for a service no more."""
    _dissociate(request)


@operation("PUT", FOR_REGION, action="identity:create_policy_association_for_region_and_service", status=204)
def create_policy_association_for_region_and_service(request: Request) -> None:
    """Mean a policy for a service in a region."""
    _associate(request)


@operation("GET", FOR_REGION, action="identity:check_policy_association_for_region_and_service", status=204)
def check_policy_association_for_region_and_service(request: Request) -> None:
    """Check that a policy is meant for a service in a region."""
    _check(request)


@operation("DELETE", FOR_REGION, action="identity:delete_policy_association_for_region_and_service", status=204)
def delete_policy_association_for_region_and_service(request: Request) -> None:
    """Mean a policy for a service in a region no more."""
    _dissociate(request)


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
