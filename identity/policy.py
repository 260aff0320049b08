"""Who may ask identity for what. Reading is for the cloud's admin, readers of the system, and readers of a domain within it.

What a user may ask about himself needs no rule: the handler looks at the path before it asks one of these.
"""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, Rule, rule

READ = "role:admin or (role:reader and system_scope:all)"
READ_DOMAIN = f"{READ} or (role:reader and scope:domain)"
SERVICE = f"{READ} or role:service"


def _managed(noun: str, plural: str, read: str, what: str) -> list[Rule]:
    """The five operations of a resource."""
    return [
        rule(f"identity:create_{noun}", ADMIN, f"Create {what}."),
        rule(f"identity:get_{noun}", read, f"Show {what}."),
        rule(f"identity:list_{plural}", read, f"List {what}s."),
        rule(f"identity:update_{noun}", ADMIN, f"Change {what}."),
        rule(f"identity:delete_{noun}", ADMIN, f"Delete {what}."),
    ]


RULES: list[Rule] = [
    rule("identity:validate_token", SERVICE, "Look at a token that is not one's own."),
    rule("identity:revoke_token", ADMIN, "Revoke a token that is not one's own."),
    *_managed("domain", "domains", READ_DOMAIN, "a domain"),
    *_managed("project", "projects", READ_DOMAIN, "a project"),
    rule("identity:list_user_projects", READ_DOMAIN, "List the projects of another user."),
    *_managed("user", "users", READ_DOMAIN, "a user"),
    *_managed("group", "groups", READ_DOMAIN, "a group"),
    rule("identity:list_groups_for_user", READ_DOMAIN, "List the groups of another user."),
    rule("identity:list_users_in_group", READ_DOMAIN, "List the users of a group."),
    rule("identity:check_user_in_group", READ_DOMAIN, "Check that a user is in a group."),
    rule("identity:add_user_to_group", ADMIN, "Put a user into a group."),
    rule("identity:remove_user_from_group", ADMIN, "Take a user out of a group."),
    *_managed("role", "roles", f"{READ_DOMAIN} or role:manager", "a role"),
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
    *_managed("region", "regions", ANYONE, "a region"),
    *_managed("service", "services", READ, "a service"),
    *_managed("endpoint", "endpoints", READ, "an endpoint"),
]
