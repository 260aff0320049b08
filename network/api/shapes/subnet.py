"""Shapes of subnets as they are shown."""

from __future__ import annotations

from common.api.answer_shapes import FLAG, NULL, OPTIONAL_STRING, STRING, STRINGS, always
from common.api.shapes import array
from network.api.shapes.resource import STANDARD, answers

SUBNET = answers(
    "subnet", "subnets",
    {
        **STANDARD, "network_id": STRING, "ip_version": {"enum": [4, 6]}, "cidr": STRING, "gateway_ip": OPTIONAL_STRING, "enable_dhcp": FLAG,
        "allocation_pools": array(always({"start": STRING, "end": STRING})), "dns_nameservers": STRINGS,
        "host_routes": array(always({"destination": STRING, "nexthop": STRING})), "ipv6_ra_mode": NULL, "ipv6_address_mode": NULL,
        "subnetpool_id": NULL,
    },
)  # fmt: skip
