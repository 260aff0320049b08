"""/v2.0/subnets."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from network.api import kit
from network.api.shapes.subnet import SUBNET
from network.models import Subnet
from network.service import subnet as service

POOL = shapes.obj({"start": kit.ADDRESS, "end": kit.ADDRESS}, required=("start", "end"))
CIDR: shapes.Shape = {"type": "string", "format": "cidr", "maxLength": 64}
ROUTE = shapes.obj({"destination": CIDR, "nexthop": kit.ADDRESS}, required=("destination", "nexthop"))
_FIELDS: dict[str, shapes.Shape] = {
    **kit.COMMON,
    "enable_dhcp": kit.FLAG,
    "gateway_ip": kit.NULL_ADDRESS,
    "allocation_pools": {"type": ["array", "null"], "items": POOL, "maxItems": 100},
    "dns_nameservers": {"type": ["array", "null"], "items": kit.ADDRESS, "maxItems": 5},
    "host_routes": {"type": ["array", "null"], "items": ROUTE, "maxItems": 20},
}
CREATE = shapes.obj(
    {**_FIELDS, **kit.OWNER, "network_id": kit.ID, "ip_version": {"enum": [4, 6, "4", "6"]}, "cidr": CIDR},
    required=("network_id", "ip_version", "cidr"),
)
UPDATE = shapes.obj(_FIELDS)


def view(_request: Request, row: Subnet) -> dict[str, Any]:
    """A subnet as the API shows it."""
    return {
        **kit.standard(row),
        "network_id": row.network_id,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "enable_dhcp": row.enable_dhcp,
        "allocation_pools": row.allocation_pools,
        "dns_nameservers": row.dns_nameservers,
        "host_routes": row.host_routes,
        "ipv6_ra_mode": None,
        "ipv6_address_mode": None,
        "subnetpool_id": None,
    }


NOUN = kit.Noun("subnet", "subnets", Subnet, view, flags=("enable_dhcp",))


@operation("GET", "/subnets", action="network:subnet:list", answer=SUBNET.many)
def index(request: Request) -> Any:
    """List subnets that are the actor's or of shared networks."""
    return kit.show_all(request, NOUN)


@operation("GET", "/subnets/{id}", action="network:subnet:show", answer=SUBNET.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST", "/subnets", action="network:subnet:create", status=201, body=kit.envelope("subnet", CREATE, "subnets"), answer=SUBNET.made
)
def create(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, NOUN, service.create)


@operation("PUT", "/subnets/{id}", action="network:subnet:update", body=kit.envelope("subnet", UPDATE), answer=SUBNET.changed)
def update(request: Request) -> Any:
    """Change one."""
    return kit.update(request, NOUN, service.update)


@operation("DELETE", "/subnets/{id}", action="network:subnet:delete", status=204)
def delete(request: Request) -> Answer:
    """Delete one."""
    return kit.remove(request, service.delete)
