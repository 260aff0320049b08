"""/v2.0/extensions: what of Neutron's extensions is complete here, and nothing else."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import EXTENSION, always
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import array
from network.service import errors

UPDATED = "2026-11-20T00:00:00-00:00"
EXTENSIONS = {
    "allowed-address-pairs": ("Allowed Address Pairs", "Provides allowed address pairs"),
    "binding": ("Port Binding", "Expose port bindings of a virtual port to external application"),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Extension of the router abstraction for specifying whether SNAT should occur on the external gateway"),
    "external-net": ("Neutron external network", "Adds external network attribute to network resource."),
    "fip-port-details": ("Floating IP Port Details Extension", "Add port_details attribute to Floating IP resource"),
    "net-mtu": ("Network MTU", "Provides MTU attribute for a network resource."),
    "pagination": ("Pagination support", "Extension that indicates that pagination is enabled."),
    "port-security": ("Port Security", "Provides port security"),
    "project-id": ("project_id field enabled", "Extension that indicates that project_id field is enabled."),
    "provider": ("Provider Network", "Expose mapping of virtual networks to physical networks"),
    "quota-check-limit": ("Quota engine limit check", "Support for checking the resource usage before applying a new quota limit"),
    "quota_details": ("Quota details management support", "Expose functions for quotas usage statistics per project"),
    "quotas": ("Quota management support", "Expose functions for quotas management per tenant"),
    "revision-if-match": ("If-Match constraints based on revision_number", "Extension indicating that If-Match based on revision_number is supported."),
    "router": ("Neutron L3 Router", "Router abstraction for basic L3 forwarding between L2 Neutron networks and access to external networks via a NAT gateway."),
    "security-group": ("security-group", "The security groups extension."),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "Add new field with normalized remote_ip_prefix cidr in SG rule"),
    "sorting": ("Sorting support", "Extension that indicates that sorting is enabled."),
    "standard-attr-description": ("standard-attr-description", "Extension to add descriptions to standard attributes"),
    "standard-attr-revisions": ("Resource revision numbers", "This extension will display the revision number of neutron resources."),
    "standard-attr-timestamp": ("Resource timestamps", "Adds created_at and updated_at fields to all Neutron resources that have Neutron standard attributes."),
}  # fmt: skip


def _view(alias: str) -> dict[str, Any]:
    found = EXTENSIONS.get(alias)
    if found is None:
        raise errors.missing("extension", alias)
    return {"alias": alias, "name": found[0], "description": found[1], "updated": UPDATED, "links": []}


@operation("GET", "/extensions", action="network:extension:list", answer=always({"extensions": array(EXTENSION)}))
def index(request: Request) -> Any:
    """List the extensions."""
    return {"extensions": [_view(alias) for alias in EXTENSIONS]}


@operation("GET", "/extensions/{alias}", action="network:extension:list", answer=always({"extension": EXTENSION}))
def show(request: Request) -> Any:
    """Show one."""
    return {"extension": _view(request.path["alias"])}
