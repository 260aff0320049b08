"""The NICs of a new server: which networks a request means, and the ports made or adopted for them."""

from __future__ import annotations

from collections.abc import Sequence

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Conflict, NotFound
from compute.service.wishes import Nic
from network import public as network_public

OWNER = "compute:{zone}"


def resolve(tx: Tx, actor: Actor, nics: Sequence[Nic] | None, *, count: int) -> list[Nic]:
    """The NICs that are meant: given ones checked; None means the one network that the project may use, or none where it has none.

    Raises BadRequest (unknown network, one address or port for several servers) and Conflict (several networks to choose from).
    """
    if nics is None:
        found = [item for item in network_public.available_networks(tx, actor) if not item.external]
        if len(found) > 1:
            raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
        return [Nic(network_id=item.id) for item in found]
    for nic in nics:
        _check(tx, actor, nic, count)
    return list(nics)


def _check(tx: Tx, actor: Actor, nic: Nic, count: int) -> None:
    if count > 1 and (nic.port_id or nic.fixed_ip):
        what = f"Port {nic.port_id}" if nic.port_id else f"Fixed IP {nic.fixed_ip}"
        raise BadRequest(f"{what} cannot be given to {count} servers at once.")
    if nic.port_id is None:
        _check_network(tx, actor, nic)
    elif nic.fixed_ip is not None:
        raise BadRequest(f"Specified fixed IP address {nic.fixed_ip} cannot be used with port {nic.port_id}.")


def _check_network(tx: Tx, actor: Actor, nic: Nic) -> None:
    if nic.network_id is None:
        raise BadRequest("A network needs a uuid or a port.")
    try:
        found = network_public.network_of(tx, actor, nic.network_id)
    except NotFound:
        raise BadRequest(f"Network {nic.network_id} could not be found.") from None
    if found.external and not found.shared and not actor.is_admin:
        raise BadRequest(f"It is not allowed to create an interface on external network {nic.network_id}")


def groups(tx: Tx, actor: Actor, names: Sequence[str] | None) -> list[str] | None:
    """Ids of the security groups of these names or ids; None when the request names none. Raises BadRequest."""
    if not names:
        return None
    try:
        return list(dict.fromkeys(network_public.security_groups_by_name(tx, actor, list(dict.fromkeys(names)))))
    except NotFound as error:
        raise BadRequest(error.message) from None


def plug(tx: Tx, actor: Actor, server_id: str, nics: Sequence[Nic], security_groups: list[str] | None, zone: str) -> None:
    """Make or adopt the ports, in their order. Raises BadRequest, Conflict (in use) and OverQuota."""
    owner = OWNER.format(zone=zone)
    for nic in nics:
        try:
            if nic.port_id is not None:
                network_public.adopt_port(tx, actor, nic.port_id, device_id=server_id, device_owner=owner)
                continue
            network_public.create_port(
                tx, actor, network_id=str(nic.network_id), device_id=server_id, device_owner=owner,
                fixed_ips=[{"ip_address": nic.fixed_ip}] if nic.fixed_ip else None, security_groups=security_groups,
            )  # fmt: skip
        except NotFound:
            what = f"Port id {nic.port_id}" if nic.port_id else f"Network {nic.network_id}"
            raise BadRequest(f"{what} could not be found.") from None
