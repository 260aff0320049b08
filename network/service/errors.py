"""Refusals in the words and with the type names of the OpenStack Networking API."""

from __future__ import annotations

import ipaddress

from common.errors import BadRequest, Conflict, Forbidden, NotFound

NOUNS = {
    "network": "Network",
    "subnet": "Subnet",
    "port": "Port",
    "router": "Router",
    "floatingip": "Floating IP",
    "security_group": "Security group",
    "security_group_rule": "Security group rule",
    "extension": "Extension with alias",
}
TYPES = {
    "network": "NetworkNotFound",
    "subnet": "SubnetNotFound",
    "port": "PortNotFound",
    "router": "RouterNotFound",
    "floatingip": "FloatingIPNotFound",
    "security_group": "SecurityGroupNotFound",
    "security_group_rule": "SecurityGroupRuleNotFound",
}


def missing(noun: str, id: str) -> NotFound:
    """404 in the noun's own type."""
    verb = "does not exist" if noun.startswith("security_group") else "could not be found"
    return NotFound(f"{NOUNS[noun]} {id} {verb}.", type=TYPES.get(noun, "HTTPNotFound"))


def invalid(message: str) -> BadRequest:
    """400 for a value that cannot be; the message names field and value."""
    return BadRequest(f"Invalid input for operation: {message}.", type="InvalidInput")


def bad(message: str, *, type: str = "BadRequest") -> BadRequest:
    """400 of another type."""
    return BadRequest(message, type=type)


def conflict(type: str, message: str) -> Conflict:
    """409 of this type."""
    return Conflict(message, type=type)


def forbidden(what: str) -> Forbidden:
    """403: the actor sees it, and may not."""
    return Forbidden(f"Policy doesn't allow {what} to be performed.", type="PolicyNotAuthorized")


def ip_of(field: str, value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that `value` says. Raises BadRequest naming the field."""
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        raise invalid(f"'{value}' is not a valid IP address ({field})") from None


def interface_of(field: str, value: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """The address in its range that `value` says. Raises BadRequest naming the field."""
    try:
        return ipaddress.ip_interface(value)
    except ValueError:
        raise invalid(f"'{value}' is not a valid IP subnet ({field})") from None


def net_of(field: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The range that `value` says; host bits are dropped. Raises BadRequest naming the field."""
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise invalid(f"'{value}' is not a valid IP subnet ({field})") from None
