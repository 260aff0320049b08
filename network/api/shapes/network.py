"""Shapes of networks as they are shown."""

from __future__ import annotations

from common.api.answer_shapes import FLAG, NULL, NUMBER, OPTIONAL_STRING, STRING, STRINGS
from network.api.shapes.resource import STANDARD, STATUS, answers

NETWORK = answers(
    "network", "networks",
    {
        **STANDARD, "admin_state_up": FLAG, "status": STATUS, "shared": FLAG, "router:external": FLAG, "mtu": NUMBER,
        "port_security_enabled": FLAG, "subnets": STRINGS,
    },
    # The first of external networks; the others for whom policy lets see them.
    {
        "is_default": FLAG, "provider:network_type": STRING, "provider:physical_network": OPTIONAL_STRING, "provider:segmentation_id": NULL,
    },
)  # fmt: skip
