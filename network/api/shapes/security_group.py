"""Shapes of security groups and their rules as they are shown."""

from __future__ import annotations

from common.api.answer_shapes import OPTIONAL_NUMBER, OPTIONAL_STRING, STRING
from common.api.shapes import array
from network.api.shapes.resource import NAMELESS, STANDARD, answers

RULE = answers(
    "security_group_rule", "security_group_rules",
    {
        **NAMELESS, "security_group_id": STRING, "direction": {"enum": ["ingress", "egress"]}, "ethertype": {"enum": ["IPv4", "IPv6"]},
        "protocol": OPTIONAL_STRING, "port_range_min": OPTIONAL_NUMBER, "port_range_max": OPTIONAL_NUMBER,
        "remote_ip_prefix": OPTIONAL_STRING, "normalized_cidr": OPTIONAL_STRING, "remote_group_id": OPTIONAL_STRING,
    },
)  # fmt: skip
GROUP = answers("security_group", "security_groups", {**STANDARD, "security_group_rules": array(RULE.whole)})
