"""Limits: everybody sees what is registered and his own; the service asks nobody for more."""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, Rule, rule

RULES: list[Rule] = [
    rule("identity:create_registered_limits", ADMIN, "Register limits."),
    rule("identity:get_registered_limit", ANYONE, "Show a registered limit."),
    rule("identity:list_registered_limits", ANYONE, "List registered limits."),
    rule("identity:update_registered_limit", ADMIN, "Change a registered limit."),
    rule("identity:delete_registered_limit", ADMIN, "Delete a registered limit."),
    rule("identity:get_limit_model", ANYONE, "Show how limits of domains and projects relate."),
    rule("identity:create_limits", ADMIN, "Create limits."),
    rule("identity:get_limit", ANYONE, "Show a limit of one's own project or domain."),
    rule("identity:list_limits", ANYONE, "List the limits of one's own project or domain."),
    rule("identity:update_limit", ADMIN, "Change a limit."),
    rule("identity:delete_limit", ADMIN, "Delete a limit."),
]
