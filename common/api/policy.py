"""Who may do what, by role and scope alone: visibility is the query's business, so an answer can be remembered."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from oslo_policy import policy

from common.auth import Actor
from common.config import CONF

ADMIN = "role:admin"
MEMBER = "role:member or role:admin"
READER = "role:reader or role:member or role:admin"
ANYONE = "@"

Rule = Any  # oslo_policy.policy.RuleDefault: the library has no types


def rule(action: str, check: str, description: str) -> Rule:
    """A default of policy: `action` (`network:router:create`, or `network:network:create:shared` for a guarded field) is allowed by `check`."""
    return policy.RuleDefault(action, check, description)


class Policy:
    """One service's rules: the defaults of its `policy.py`, changed by the operator's policy file."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = {item.name: item for item in rules}
        self._enforcer = policy.Enforcer(CONF, use_conf=True)
        self._enforcer.register_defaults(list(rules))
        self._enforcer.load_rules()
        self._decide = functools.lru_cache(maxsize=8192)(self._ask)

    def allows(self, action: str, actor: Actor) -> bool:
        """Whether `actor` may; an action that no rule names is a fault of ours and raises KeyError."""
        if action not in self.rules:
            raise KeyError(f"no policy is called {action}")
        scope = "system" if actor.system else "project" if actor.project_id else "domain" if actor.domain_id else ""
        return self._decide(action, actor.roles, scope)

    def _ask(self, action: str, roles: frozenset[str], scope: str) -> bool:
        credentials = {"roles": sorted(roles), "system_scope": "all" if scope == "system" else None, "scope": scope}
        return bool(self._enforcer.enforce(action, {}, credentials))
