"""Shapes of routers as they are shown, and of what joins them to a subnet."""

from __future__ import annotations

from common.api.answer_shapes import FLAG, OPTIONAL_STRING, STRING, STRINGS, always, nullable
from network.api.shapes.resource import FIXED_IPS, STANDARD, STATUS, answers

GATEWAY = always({"network_id": STRING, "enable_snat": FLAG, "external_fixed_ips": FIXED_IPS})
ROUTER = answers(
    "router", "routers", {**STANDARD, "admin_state_up": FLAG, "status": STATUS, "external_gateway_info": nullable(GATEWAY)}
)  # fmt: skip
INTERFACE = always({
    "id": STRING, "project_id": STRING, "tenant_id": STRING, "port_id": STRING, "network_id": STRING, "subnet_id": OPTIONAL_STRING,
    "subnet_ids": STRINGS,
})  # fmt: skip
