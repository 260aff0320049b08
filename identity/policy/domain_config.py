"""The options of a domain."""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, Rule, rule
from identity.policy.base import READ

RULES: list[Rule] = [
    rule("identity:create_domain_config", ADMIN, "Set the options of a domain."),
    rule("identity:get_domain_config", READ, "Show the options of a domain."),
    rule("identity:get_security_compliance_domain_config", ANYONE, "Show what a password must look like."),
    rule("identity:update_domain_config", ADMIN, "Change options of a domain."),
    rule("identity:delete_domain_config", ADMIN, "Unset options of a domain."),
    rule("identity:get_domain_config_default", READ, "Show the options of a domain that sets none."),
]
