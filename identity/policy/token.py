"""Tokens."""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule
from identity.policy.base import SERVICE

RULES: list[Rule] = [
    rule("identity:validate_token", SERVICE, "Look at a token that is not one's own."),
    rule("identity:revoke_token", ADMIN, "Revoke a token that is not one's own."),
    rule("identity:list_revoke_events", f"{ADMIN} or role:service", "List the tokens that were revoked."),
]
