"""Who may ask identity for what: one module a theme."""

from __future__ import annotations

from common.api.policy import Rule
from identity.policy import catalog, credential, delegation, domain_config, federation, limit, people, role, token

RULES: list[Rule] = [
    item for theme in (token, people, domain_config, role, catalog, limit, federation, credential, delegation) for item in theme.RULES
]
