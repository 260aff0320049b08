"""The rules of ports that tenants and servers plug in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from common.auth import Actor
from common.db import Tx, wake
from network.models import OWNER_INTERFACE, FixedIp, Network, Port, Router
from network.service import address, errors, plug, quota, router, security_group
from network.service.network import TOPIC, check_revision, owner
from network.service.visible import get, hold, lock_mine

PLAIN = ("name", "description", "admin_state_up", "device_id", "device_owner")
SERVICE_OWNERS = ("network:router_interface", "network:router_gateway", "network:floatingip", "network:distributed")
RESERVED = ("network:", "compute:")  # whose device_id the cloud itself acts on: a tenant may not name another's
BINDING = {"binding:host_id": "host_id", "binding:vnic_type": "vnic_type", "binding:profile": "profile"}
UNBOUND: Mapping[str, Any] = {"host_id": "", "vnic_type": "normal", "profile": {}}  # what null makes of each
MAX_PAIRS = 10


def _pairs(port_mac: str, pairs: Sequence[Mapping[str, str]] | None) -> list[dict[str, Any]]:
    """The allowed address pairs in full form. Raises BadRequest, Conflict."""
    found: list[dict[str, Any]] = []
    if len(pairs or ()) > MAX_PAIRS:
        raise errors.bad(f"The number of allowed address pair exceeds the maximum {MAX_PAIRS}.", type="AllowedAddressPairExhausted")
    for pair in pairs or ():
        mac = address.normal_mac(pair.get("mac_address") or port_mac)
        ip = _pair_ip(pair["ip_address"])
        one = {"mac_address": mac, "ip_address": ip}
        if one in found:
            raise errors.bad(
                f"Request contains duplicate address pair: mac_address {mac} ip_address {ip}.", type="DuplicateAddressPairInRequest"
            )
        found.append(one)
    return found


def _pair_ip(given: str) -> str:
    """An address, or a range as address and prefix length. Raises BadRequest."""
    try:
        found = ipaddress.ip_interface(given)
    except ValueError:
        raise errors.invalid(f"'{given}' is not a valid ip_address of allowed_address_pairs") from None
    return found.with_prefixlen if "/" in given else str(found.ip)


def _own_network(actor: Actor, network: Network, body: Mapping[str, Any]) -> None:
    """On another's network a tenant takes what is given. Raises Forbidden."""
    if actor.is_admin or network.project_id == actor.project_id:
        return
    if not network.shared:
        raise errors.forbidden("creating a port on a network of another project")
    for key in ("mac_address", "port_security_enabled", "allowed_address_pairs"):
        if body.get(key) is not None:
            raise errors.forbidden(f"create_port:{key} on a network of another project")
    _given_addresses("create_port", body, frozenset())


def _given_addresses(verb: str, body: Mapping[str, Any], held: Collection[str]) -> None:
    """On another's network: no address of one's choice but those `held`, and not none. Raises Forbidden."""
    if any(wish.get("ip_address") and wish["ip_address"] not in held for wish in body.get("fixed_ips") or ()):
        raise errors.forbidden(f"{verb}:fixed_ips:ip_address on a network of another project")
    if body.get("fixed_ips") == []:
        raise errors.forbidden(f"{verb}:fixed_ips without an address on a network of another project")


def _security(network: Network, body: Mapping[str, Any]) -> bool:
    """Whether port security is on. Raises Conflict where groups or pairs need it and it is off."""
    wanted = body.get("port_security_enabled")
    secure = network.port_security_enabled if wanted is None else bool(wanted)
    if not secure and body.get("security_groups"):
        raise errors.conflict(
            "PortSecurityAndIPRequiredForSecurityGroups", "Port security must be enabled in order to have security groups on a port."
        )
    if not secure and body.get("allowed_address_pairs"):
        raise errors.conflict(
            "AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have allowed address pairs on a port."
        )
    return secure


def create(tx: Tx, actor: Actor, body: Mapping[str, Any], *, created_by_compute: bool = False) -> Port:
    """Raises NotFound (network, subnet, group), Forbidden, OverQuota, BadRequest, Conflict (address in use, none left)."""
    project = owner(actor, body)
    if _reserved(body.get("device_owner")) and not (created_by_compute or actor.is_admin):
        raise errors.forbidden("create_port:device_owner")
    quota.claim(tx, project, "port")
    network = hold(tx, Network, body["network_id"], actor)
    _own_network(actor, network, body)
    secure = _security(network, body)
    groups = security_group.for_port(tx, actor, project, body.get("security_groups")) if secure else []
    mac = address.normal_mac(body["mac_address"]) if body.get("mac_address") else None
    port = plug.add(
        tx,
        network.id,
        mac=mac,
        project_id=project,
        port_security_enabled=secure,
        created_by_compute=created_by_compute,
        **{key: body[key] for key in PLAIN if body.get(key) is not None},
        **{column: body[key] for key, column in BINDING.items() if body.get(key) is not None},
    )
    port.allowed_address_pairs = _pairs(port.mac_address, body.get("allowed_address_pairs"))
    address.assign(tx, port, plug.subnets_of(tx, network.id), body.get("fixed_ips"))
    plug.add_groups(tx, port, groups)
    tx.flush()
    wake(tx, TOPIC)
    return port


def _move(tx: Tx, port: Port, wishes: Sequence[Mapping[str, Any]]) -> None:
    """Exactly these addresses. One that is wished for again stays, and so does one where only its subnet is named."""
    held = plug.addresses(tx, port.id)
    new, kept = [], set()
    for wish in sorted(wishes, key=lambda one: not one.get("ip_address")):
        stays = next((fixed.ip for fixed in held if fixed.ip not in kept and _meant(wish, fixed)), None)
        if stays is None:
            new.append(wish)
        else:
            kept.add(stays)
    for fixed in held:
        if fixed.ip not in kept:
            plug.let_go(tx, port, fixed.ip)
            tx.delete(fixed)
    tx.flush()
    address.assign(tx, port, plug.subnets_of(tx, port.network_id), new)


def _meant(wish: Mapping[str, Any], fixed: FixedIp) -> bool:
    """Whether an address that a port has is what is wished for."""
    return bool(wish.get("ip_address", fixed.ip) == fixed.ip and wish.get("subnet_id", fixed.subnet_id) == fixed.subnet_id)


def _hold_around(tx: Tx, actor: Actor, id: str) -> Router | None:
    """Routers, networks and subnets are locked before a port that is to be moved; the router that it is a leg of, if it is one."""
    seen = get(tx, actor, Port, id)
    leg_of = router.lock_of_leg(tx, seen)
    plug.subnets_of(tx, hold(tx, Network, seen.network_id).id)
    return leg_of


def _readdress(tx: Tx, port: Port, leg_of: Router | None, wishes: Sequence[Mapping[str, Any]]) -> None:
    """Exactly these addresses, and where the port is a router's leg, by the rules of legs. Raises BadRequest, Conflict."""
    if leg_of is None and router.is_leg(port):
        raise errors.conflict("Conflict", f"Port {port.id} has just become an interface of router {port.device_id}; try again.")
    before = [fixed.subnet_id for fixed in plug.addresses(tx, port.id)]
    _move(tx, port, wishes)
    if leg_of is not None:
        router.check_moved(tx, leg_of, port, before)


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> Port:
    """Raises NotFound, Forbidden, BadRequest, Conflict."""
    leg_of = _hold_around(tx, actor, id) if body.get("fixed_ips") is not None else None
    port = lock_mine(tx, actor, Port, id, "update")
    check_revision(port.generation, revision)
    network = get(tx, actor, Network, port.network_id)
    _check_owner_change(actor, port, body)
    _own_network_update(actor, network, port, body)
    if body.get("fixed_ips") is not None:
        _readdress(tx, port, leg_of, body["fixed_ips"])
    for key in PLAIN:
        if body.get(key) is not None:
            setattr(port, key, body[key])
    for key, column in BINDING.items():
        if key in body:
            setattr(port, column, body[key] or UNBOUND[column])
    if body.get("mac_address"):
        port.mac_address = address.normal_mac(body["mac_address"])
    _update_security(tx, actor, network, port, body)
    port.touch()
    tx.flush()
    wake(tx, TOPIC)
    return port


def _reserved(owner: str | None) -> bool:
    return (owner or "").startswith(RESERVED)


def _check_owner_change(actor: Actor, port: Port, body: Mapping[str, Any]) -> None:
    """A router's leg is moved by the router's own operations, a server's port by the server's."""
    if actor.is_admin:
        return
    for key in ("device_owner", "device_id"):
        changed = body.get(key) is not None and body[key] != getattr(port, key)
        if changed and (_reserved(port.device_owner) or _reserved(body.get("device_owner"))):
            raise errors.forbidden(f"update_port:{key}")
    held = {"mac_address", "port_security_enabled", "security_groups", "allowed_address_pairs"}
    if port.device_owner != OWNER_INTERFACE:
        held.add("fixed_ips")
    if port.device_owner in SERVICE_OWNERS and held & body.keys():
        raise errors.forbidden(f"updating a port with device_owner {port.device_owner}")


def _own_network_update(actor: Actor, network: Network, port: Port, body: Mapping[str, Any]) -> None:
    if actor.is_admin or network.project_id == actor.project_id:
        return
    _given_addresses("update_port", body, {fixed.ip for fixed in port.fixed_ips})
    if "port_security_enabled" in body or "allowed_address_pairs" in body:
        raise errors.forbidden("update_port:port_security_enabled on a network of another project")


def _update_security(tx: Tx, actor: Actor, network: Network, port: Port, body: Mapping[str, Any]) -> None:
    asked = {"port_security_enabled": port.port_security_enabled, **body}
    has_groups = [group.id for group in port.security_groups]
    if body.get("port_security_enabled") is False and "security_groups" not in body and has_groups:
        raise errors.conflict(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security or IP address until removed.",
        )
    port.port_security_enabled = _security(network, asked)
    if "allowed_address_pairs" in body:
        port.allowed_address_pairs = _pairs(port.mac_address, body["allowed_address_pairs"])
    if body.get("security_groups") is not None:
        plug.set_groups(tx, port, security_group.for_port(tx, actor, port.project_id, body["security_groups"]))


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """Raises NotFound, Forbidden, Conflict for what belongs to a router or a floating IP."""
    port = lock_mine(tx, actor, Port, id, "delete")
    check_revision(port.generation, revision)
    if port.device_owner in SERVICE_OWNERS:
        message = f"Port {id} cannot be deleted directly via the port API: has device owner {port.device_owner}."
        raise errors.conflict("ServicePortInUse", message)
    plug.remove(tx, port)
    wake(tx, TOPIC)
