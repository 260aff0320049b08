"""Roles and to whom they are given."""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule
from identity.policy.base import MANAGE_DOMAIN, READ, READ_DOMAIN, managed

RULES: list[Rule] = [
    # Of the cloud's roles the manager of a domain is shown one only if he may give it; the list, as Keystone's, names them all to him.
    rule("identity:get_role", f"{READ} or role:manager", "Show a role."),
    rule("identity:list_roles", f"{READ} or (role:manager and scope:domain)", "List roles."),
    *(rule(f"identity:{verb}_role", ADMIN, f"{verb.capitalize()} a role.") for verb in ("create", "update", "delete")),
    *managed("domain_role", "domain_roles", READ, "a domain's own role"),
    rule("identity:create_implied_role", ADMIN, "Let a role imply another."),
    rule("identity:get_implied_role", READ, "Show that a role implies another."),
    rule("identity:check_implied_role", READ, "Check that a role implies another."),
    rule("identity:list_implied_roles", READ, "List the roles that a role implies."),
    rule("identity:list_role_inference_rules", READ, "List which roles imply which."),
    rule("identity:delete_implied_role", ADMIN, "Let a role no longer imply another."),
    rule("identity:check_grant", READ_DOMAIN, "Check that a role is granted."),
    rule("identity:list_grants", READ_DOMAIN, "List the roles that are granted to someone on something."),
    rule("identity:create_grant", MANAGE_DOMAIN, "Grant a role."),
    rule("identity:revoke_grant", MANAGE_DOMAIN, "Take a granted role back."),
    rule("identity:check_system_grant", READ, "Check that a role is granted on the system."),
    rule("identity:list_system_grants", READ, "List the roles that someone has on the system."),
    rule("identity:create_system_grant", ADMIN, "Grant a role on the system."),
    rule("identity:revoke_system_grant", ADMIN, "Take a role on the system back."),
    rule("identity:list_role_assignments", READ_DOMAIN, "List role assignments."),
    rule("identity:list_role_assignments_for_tree", READ_DOMAIN, "List those of a tree of projects."),
]
