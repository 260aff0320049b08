"""/extensions: what older clients look for before they ask. Source: Nova's API reference, "Extensions"."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import EXTENSION, always
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import array
from common.errors import NotFound

Json = dict[str, Any]
ALIASES = {
    "OS-DCF": "Disk Management Extension", "OS-EXT-AZ": "Extended Availability Zone support", "OS-EXT-IPS": "Adds type parameter to the ip list",
    "OS-EXT-IPS-MAC": "Adds mac address parameter to the ip list", "OS-EXT-SRV-ATTR": "Extended Server Attributes support",
    "OS-EXT-STS": "Extended Status support", "OS-FLV-DISABLED": "Shows the disabled state of flavors",
    "OS-FLV-EXT-DATA": "Provides additional data for flavors", "OS-SRV-USG": "Adds launched_at and terminated_at",
    "os-availability-zone": "Availability zones", "os-block-device-mapping-v2-boot": "Boot with block devices of version 2",
    "os-console-output": "Console log output support", "os-extended-volumes": "Volumes attached to servers",
    "os-flavor-access": "Flavor access support", "os-flavor-extra-specs": "Flavors extra specs support",
    "os-flavor-manage": "Flavor create and delete", "os-flavor-rxtx": "Network bandwidth factor of flavors",
    "os-hypervisors": "Hypervisors", "os-instance-actions": "The log of what was asked of a server", "os-keypairs": "Keypair support",
    "os-lock-server": "Lock and unlock", "os-multiple-create": "Several servers at once", "os-quota-sets": "Quotas management support",
    "os-server-start-stop": "Start and stop", "os-services": "Services support", "os-used-limits": "Used resources within limits",
    "os-user-data": "User data for guests",
}  # fmt: skip


def _extension(alias: str) -> Json:
    name = "".join(part.capitalize() for part in alias.removeprefix("os-").split("-"))
    return {
        "alias": alias, "name": name, "description": ALIASES[alias], "links": [], "updated": "2014-12-03T00:00:00Z",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
    }  # fmt: skip


@operation("GET", "/extensions", action="compute:extension:list", answer=always({"extensions": array(EXTENSION)}))
def list_extensions(request: Request) -> Json:
    """All extensions that are offered."""
    return {"extensions": [_extension(alias) for alias in ALIASES]}


@operation("GET", "/extensions/{alias}", action="compute:extension:show", answer=always({"extension": EXTENSION}))
def show_extension(request: Request) -> Json:
    """One extension."""
    alias = request.path["alias"]
    if alias not in ALIASES:
        raise NotFound(f"The resource could not be found: there is no extension {alias}.")
    return {"extension": _extension(alias)}
