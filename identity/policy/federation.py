"""Federation: who vouches for users here, and which clouds take ours."""

from __future__ import annotations

from common.api.policy import Rule
from identity.policy.base import READ, managed

RULES: list[Rule] = [
    *managed("identity_provider", "identity_providers", READ, "an identity provider"),
    *managed("protocol", "protocols", READ, "a protocol of an identity provider"),
    *managed("mapping", "mappings", READ, "a mapping"),
    *managed("service_provider", "service_providers", READ, "a service provider"),
]
