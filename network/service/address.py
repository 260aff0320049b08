"""MAC and IP addresses: a candidate, mostly random, and the table's key says whether it was free."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from network.models import FixedIp, Port, Subnet
from network.service import errors

TRIES = 10
BASE_MAC = "fa:16:3e"
IP = ipaddress.IPv4Address
_random = random.SystemRandom()


def random_mac() -> str:
    """One of OpenStack's range of locally given addresses."""
    return BASE_MAC + "".join(f":{_random.randrange(256):02x}" for _ in range(3))


def normal_mac(mac: str) -> str:
    """Lower case; a group address is refused (400)."""
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise errors.invalid(f"'{mac}' is not a valid MAC address of one interface (mac_address)")
    return mac.lower()


def pools_of(subnet: Subnet) -> list[tuple[int, int]]:
    """First and last address of each pool, as numbers."""
    return [(int(IP(pool["start"])), int(IP(pool["end"]))) for pool in subnet.allocation_pools]


def default_pools(net: ipaddress.IPv4Network, gateway: str | None) -> list[dict[str, Any]]:
    """All addresses of the range but its first, its last and the gateway's."""
    first, last = int(net.network_address) + 1, int(net.broadcast_address) - 1
    if gateway is None or not first <= int(IP(gateway)) <= last:
        return [{"start": str(IP(first)), "end": str(IP(last))}]
    at = int(IP(gateway))
    spans = [(first, at - 1), (at + 1, last)]
    return [{"start": str(IP(start)), "end": str(IP(end))} for start, end in spans if start <= end]


def _take(tx: Tx, subnet: Subnet, port_id: str, ip: str, position: int) -> bool:
    row = insert(FixedIp).values(subnet_id=subnet.id, ip=ip, port_id=port_id, position=position)
    return tx.scalar(row.on_conflict_do_nothing().returning(FixedIp.ip)) is not None


def allocate(tx: Tx, subnet: Subnet, port_id: str, position: int = 0) -> str | None:
    """Any free address of the subnet's pools for the port; None when there is none."""
    pools = pools_of(subnet)
    sizes = [end - start + 1 for start, end in pools]
    if not pools:
        return None
    for _ in range(TRIES):
        start, end = _random.choices(pools, sizes)[0]
        ip = str(IP(_random.randint(start, end)))
        if _take(tx, subnet, port_id, ip, position):
            return ip
    return allocate_first(tx, subnet, port_id, position)


def allocate_first(tx: Tx, subnet: Subnet, port_id: str, position: int = 0) -> str | None:
    """The first free address of the subnet's pools for the port; None when there is none. The range's first is the last: a router's, mostly."""
    taken = set(tx.scalars(select(FixedIp.ip).where(FixedIp.subnet_id == subnet.id)))
    first = int(ipaddress.IPv4Network(subnet.cidr).network_address) + 1
    ranges = (range(start, end + 1) for start, end in pools_of(subnet))
    numbers = (number for each in ranges for number in each if number != first)
    last = (first for start, end in pools_of(subnet) if start <= first <= end)
    for number in chain(numbers, last):
        ip = str(IP(number))
        if ip not in taken and _take(tx, subnet, port_id, ip, position):
            return ip
    return None


def take(tx: Tx, subnet: Subnet, port_id: str, ip: str, position: int = 0) -> str:
    """This address. Raises BadRequest (not of the subnet), Conflict (taken)."""
    net = ipaddress.IPv4Network(subnet.cidr)
    try:
        address = IP(ip)
    except ValueError:
        raise errors.invalid(f"IP address {ip} is not a valid IP for the specified subnet") from None
    if address not in net or address in (net.network_address, net.broadcast_address):
        raise errors.bad(f"IP address {ip} is not a valid IP for the specified subnet.", type="InvalidIpForSubnet")
    if not _take(tx, subnet, port_id, str(address), position):
        message = f"Unable to complete operation for network {subnet.network_id}. The IP address {ip} is in use."
        raise errors.conflict("IpAddressInUse", message)
    return str(address)


def _subnet_for(subnets: Sequence[Subnet], want: Mapping[str, Any], network_id: str) -> Subnet | None:
    """The subnet that a wish of `fixed_ips` means; None: any."""
    if want.get("subnet_id"):
        found = next((subnet for subnet in subnets if subnet.id == want["subnet_id"]), None)
        if found is None:
            message = f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {want['subnet_id']}"
            raise errors.invalid(message)
        return found
    ip = want["ip_address"]
    found = next((subnet for subnet in subnets if _within(ip, subnet.cidr)), None)
    if found is None:
        raise errors.bad(f"IP address {ip} is not a valid IP for any of the subnets on the specified network.", type="InvalidIpForNetwork")
    return found


def _within(ip: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(cidr)
    except ValueError:
        return False


def assign(tx: Tx, port: Port, subnets: Sequence[Subnet], wishes: Iterable[Mapping[str, Any]] | None) -> None:
    """Give `port` its addresses: those wished for, or, where nothing is said, one of the first subnet that has any left."""
    if wishes is None:
        if subnets and not any(allocate(tx, subnet, port.id) for subnet in subnets):
            raise exhausted(port.network_id)
        return
    for position, want in enumerate(wishes):
        subnet = _subnet_for(subnets, want, port.network_id)
        if subnet is None:
            continue
        if want.get("ip_address"):
            take(tx, subnet, port.id, want["ip_address"], position)
        elif allocate(tx, subnet, port.id, position) is None:
            raise exhausted(port.network_id)


def exhausted(network_id: str) -> Exception:
    """409: no address left."""
    return errors.conflict("IpAddressGenerationFailure", f"No more IP addresses available on network {network_id}.")


def release(tx: Tx, port_id: str) -> None:
    """All addresses of the port are free from here on."""
    tx.execute(delete(FixedIp).where(FixedIp.port_id == port_id))
