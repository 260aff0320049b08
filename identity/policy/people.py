"""Domains, projects, users and groups."""

from __future__ import annotations

from common.api.policy import Rule, rule
from identity.policy.base import MANAGE_DOMAIN, READ_DOMAIN, managed

RULES: list[Rule] = [
    *managed("domain", "domains", READ_DOMAIN, "a domain"),
    *managed("project", "projects", READ_DOMAIN, "a project", MANAGE_DOMAIN),
    rule("identity:list_project_tags", READ_DOMAIN, "List the tags of a project."),
    rule("identity:get_project_tag", READ_DOMAIN, "Check that a project has a tag."),
    rule("identity:update_project_tags", MANAGE_DOMAIN, "Replace the tags of a project."),
    rule("identity:create_project_tag", MANAGE_DOMAIN, "Add a tag to a project."),
    rule("identity:delete_project_tags", MANAGE_DOMAIN, "Take all tags of a project away."),
    rule("identity:delete_project_tag", MANAGE_DOMAIN, "Take a tag of a project away."),
    rule("identity:list_user_projects", READ_DOMAIN, "List the projects of another user."),
    *managed("user", "users", READ_DOMAIN, "a user", MANAGE_DOMAIN),
    *managed("group", "groups", READ_DOMAIN, "a group", MANAGE_DOMAIN),
    rule("identity:list_groups_for_user", READ_DOMAIN, "List the groups of another user."),
    rule("identity:list_users_in_group", READ_DOMAIN, "List the users of a group."),
    rule("identity:check_user_in_group", READ_DOMAIN, "Check that a user is in a group."),
    rule("identity:add_user_to_group", MANAGE_DOMAIN, "Put a user into a group."),
    rule("identity:remove_user_from_group", MANAGE_DOMAIN, "Take a user out of a group."),
]
