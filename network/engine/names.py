"""The names of our rows in OVN, each derived from an id of ours, so that a half-done effect is found again."""

from __future__ import annotations

DROP_GROUP = "wolke_drop"


def switch(network_id: str) -> str:
    """A network's logical switch."""
    return f"wolke-{network_id}"


def router(router_id: str) -> str:
    """A router's logical router."""
    return f"wolke-{router_id}"


def router_port(port_id: str) -> str:
    """The router's end of a leg; the switch's end has the port's id."""
    return f"lrp-{port_id}"


def metadata_port(network_id: str) -> str:
    """A network's localport."""
    return f"md-{network_id}"


def localnet(network_id: str) -> str:
    """A provider network's way to the wire."""
    return f"ln-{network_id}"


def port_group(security_group_id: str) -> str:
    """OVN's expressions allow no dash in a group's name."""
    return "pg_" + security_group_id.replace("-", "_")


def dhcp(subnet_id: str) -> str:
    """A subnet's DHCP options, which have no name in OVN: our key."""
    return f"dhcp-{subnet_id}"
