"""Shapes of floating IPs as they are shown."""

from __future__ import annotations

from common.api.answer_shapes import FLAG, OPTIONAL_STRING, STRING, always, nullable
from network.api.shapes.resource import NAMELESS, WIRED, answers

PORT_DETAILS = always({
    "name": STRING, "network_id": STRING, "mac_address": STRING, "admin_state_up": FLAG, "status": {"enum": ["ACTIVE", "DOWN"]},
    "device_id": STRING, "device_owner": STRING,
})  # fmt: skip
FLOATING_IP = answers(
    "floatingip", "floatingips",
    {
        **NAMELESS, "floating_network_id": STRING, "floating_ip_address": STRING, "port_id": OPTIONAL_STRING,
        "fixed_ip_address": OPTIONAL_STRING, "router_id": OPTIONAL_STRING, "status": WIRED, "port_details": nullable(PORT_DETAILS),
    },
)  # fmt: skip
