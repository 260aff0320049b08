"""Trusts and OAuth 1.0a. What a user lets others do in his place is his own business: the handlers look at the path or at the row."""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, Rule, rule
from identity.policy.base import READ, managed

RULES: list[Rule] = [
    rule("identity:get_trust", READ, "Show a trust of others."),
    rule("identity:list_trusts", READ, "List all trusts."),
    rule("identity:list_trusts_for_trustor", READ, "List the trusts that another user gives."),
    rule("identity:list_trusts_for_trustee", READ, "List the trusts that another user is given."),
    rule("identity:list_roles_for_trust", READ, "List the roles of a trust of others."),
    rule("identity:get_role_for_trust", READ, "Show a role of a trust of others."),
    rule("identity:delete_trust", ADMIN, "Delete a trust of another user."),
    *managed("consumer", "consumers", READ, "a consumer of OAuth 1.0a"),
    rule("identity:authorize_request_token", ANYONE, "Let a consumer of OAuth 1.0a have some of one's own roles on a project."),
    rule("identity:get_access_token", READ, "Show an access token of OAuth 1.0a of another user."),
    rule("identity:list_access_tokens", READ, "List the access tokens of OAuth 1.0a of another user."),
    rule("identity:list_access_token_roles", READ, "List the roles of an access token of another user."),
    rule("identity:get_access_token_role", READ, "Show a role of an access token of another user."),
    rule("identity:delete_access_token", ADMIN, "Delete an access token of OAuth 1.0a of another user."),
]
