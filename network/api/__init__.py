"""The network API: OpenStack Networking v2.0."""

from __future__ import annotations

from typing import Any

from common.api.dialect import NEUTRON
from common.api.service import Service
from network.api import extension, floating_ip, network, port, quota, router, security_group, subnet
from network.policy import RULES

MODULES = (network, subnet, port, router, floating_ip, security_group, quota, extension)
COLLECTIONS = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "router": "routers",
    "floatingip": "floatingips",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "quota": "quotas",
    "extension": "extensions",
}


def _versions(base: str) -> tuple[int, dict[str, Any]]:
    links = [{"rel": "self", "href": f"{base}/v2.0/"}]
    return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}


def _resources(base: str) -> tuple[int, dict[str, Any]]:
    return 200, {
        "resources": [
            {"name": name, "collection": path.replace("-", "_"), "links": [{"rel": "self", "href": f"{base}/v2.0/{path}"}]}
            for name, path in COLLECTIONS.items()
        ]
    }


SERVICE = Service(
    "network", NEUTRON, MODULES, RULES, versions={"": _versions, "/v2.0": _resources}, prefixes=("/v2.0",), document="/v2.0/openapi.json"
)
