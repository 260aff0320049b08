"""Roles and to whom they are given."""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule
from identity.policy.base import READ, READ_DOMAIN, managed

RULES: list[Rule] = [
    *managed("role", "roles", f"{READ_DOMAIN} or role:manager", "a role"),
    rule("identity:create_implied_role", ADMIN, "Let a role imply another."),
    rule("identity:get_implied_role", READ, "Check that a role implies another."),
    rule("identity:list_implied_roles", READ, "List the roles that a role implies."),
    rule("identity:list_role_inference_rules", READ, "List which roles imply which."),
    rule("identity:delete_implied_role", ADMIN, "Let a role no longer imply another."),
    rule("identity:check_grant", READ_DOMAIN, "Check that a role is granted."),
    rule("identity:list_grants", READ_DOMAIN, "List the roles that are granted to someone on something."),
    rule("identity:create_grant", ADMIN, "Grant a role."),
    rule("identity:revoke_grant", ADMIN, "Take a granted role back."),
    rule("identity:check_system_grant", READ, "Check that a role is granted on the system."),
    rule("identity:list_system_grants", READ, "List the roles that someone has on the system."),
    rule("identity:create_system_grant", ADMIN, "Grant a role on the system."),
    rule("identity:revoke_system_grant", ADMIN, "Take a role on the system back."),
    rule("identity:list_role_assignments", READ_DOMAIN, "List role assignments."),
]
