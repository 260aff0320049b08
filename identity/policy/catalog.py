"""The catalogue, what narrows it, and the policies of its endpoints."""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, Rule, rule
from identity.policy.base import READ, managed

AIMS = (("endpoint", "an endpoint"), ("service", "a service"), ("region_and_service", "a service in a region"))
RULES: list[Rule] = [
    *managed("region", "regions", ANYONE, "a region"),
    *managed("service", "services", READ, "a service"),
    *managed("endpoint", "endpoints", READ, "an endpoint"),
    *managed("endpoint_group", "endpoint_groups", READ, "an endpoint group"),
    rule("identity:list_endpoints_associated_with_endpoint_group", READ, "List the endpoints that an endpoint group lets through."),
    rule("identity:list_projects_associated_with_endpoint_group", READ, "List the projects that are given an endpoint group."),
    rule("identity:list_endpoint_groups_for_project", READ, "List the endpoint groups that a project is given."),
    rule("identity:get_endpoint_group_in_project", READ, "Check that a project is given an endpoint group."),
    rule("identity:add_endpoint_group_to_project", ADMIN, "Give an endpoint group to a project."),
    rule("identity:remove_endpoint_group_from_project", ADMIN, "Take an endpoint group from a project."),
    rule("identity:list_endpoints_for_project", READ, "List the endpoints that a project is given."),
    rule("identity:list_projects_for_endpoint", READ, "List the projects that are given an endpoint."),
    rule("identity:check_endpoint_in_project", READ, "Check that a project is given an endpoint."),
    rule("identity:add_endpoint_to_project", ADMIN, "Give an endpoint to a project."),
    rule("identity:remove_endpoint_from_project", ADMIN, "Take an endpoint from a project."),
    rule("identity:create_policy", ADMIN, "Create a policy."),
    rule("identity:get_policy", READ, "Show a policy."),
    rule("identity:list_policies", READ, "List policies."),
    rule("identity:update_policy", ADMIN, "Change a policy."),
    rule("identity:delete_policy", ADMIN, "Delete a policy."),
    rule("identity:list_endpoints_for_policy", READ, "List the endpoints that a policy is meant for."),
    rule("identity:get_policy_for_endpoint", READ, "Show the policy that an endpoint is meant to follow."),
    *[rule(f"identity:create_policy_association_for_{aim}", ADMIN, f"Mean a policy for {what}.") for aim, what in AIMS],
    *[rule(f"identity:check_policy_association_for_{aim}", READ, f"Check that a policy is meant for {what}.") for aim, what in AIMS],
    *[rule(f"identity:delete_policy_association_for_{aim}", ADMIN, f"Mean a policy for {what} no more.") for aim, what in AIMS],
]
