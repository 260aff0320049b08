"""Shapes of ports as they are shown."""

from __future__ import annotations

from common.api.answer_shapes import ANY_OBJECT, FLAG, STRING, STRINGS, always
from common.api.shapes import array
from network.api.shapes.resource import FIXED_IPS, STANDARD, WIRED, answers

PORT = answers(
    "port", "ports",
    {
        **STANDARD, "network_id": STRING, "mac_address": STRING, "admin_state_up": FLAG, "status": WIRED, "device_id": STRING,
        "device_owner": STRING, "fixed_ips": FIXED_IPS, "security_groups": STRINGS, "port_security_enabled": FLAG,
        "allowed_address_pairs": array(always({"mac_address": STRING, "ip_address": STRING})), "binding:vnic_type": {"enum": ["normal"]},
    },
    # For whom policy lets see where it is.
    {
        "binding:host_id": STRING, "binding:profile": ANY_OBJECT, "binding:vif_type": {"enum": ["ovs", "unbound"]},
        "binding:vif_details": always({}, {"port_filter": FLAG, "connectivity": {"enum": ["l2"]}}),
    },
)  # fmt: skip
