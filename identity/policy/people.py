"""Domains, projects, users and groups."""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule
from identity.policy.base import READ_DOMAIN, managed

RULES: list[Rule] = [
    *managed("domain", "domains", READ_DOMAIN, "a domain"),
    *managed("project", "projects", READ_DOMAIN, "a project"),
    rule("identity:list_user_projects", READ_DOMAIN, "List the projects of another user."),
    *managed("user", "users", READ_DOMAIN, "a user"),
    *managed("group", "groups", READ_DOMAIN, "a group"),
    rule("identity:list_groups_for_user", READ_DOMAIN, "List the groups of another user."),
    rule("identity:list_users_in_group", READ_DOMAIN, "List the users of a group."),
    rule("identity:check_user_in_group", READ_DOMAIN, "Check that a user is in a group."),
    rule("identity:add_user_to_group", ADMIN, "Put a user into a group."),
    rule("identity:remove_user_from_group", ADMIN, "Take a user out of a group."),
]
