"""Hypervisors: who they are and whether they may speak. Their pulls and reports come through `spoken_by`, which believes a key and nothing else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from common.config import CONF
from common.db import Tx, clock, new_uuid
from common.errors import BadRequest, Conflict, NotFound
from compute.agent import signing
from compute.models import Allocation, Host
from compute.placement import is_up

LOG = logging.getLogger(__name__)
MOST_STAMP = 2**63 - 1


class Refused(Exception):
    """The controller does not believe the agent: wrong key, or an older life or message than one it has heard."""


def register(tx: Tx, host_id: str, name: str, public_key: str, stamp: int, signature: str) -> int:
    """A new life of a host's agent: its epoch, one more than the last.

    The first registration of a host that an operator added pins its id and key; later ones must bear the same, and a greater stamp: one
    that was overheard, or comes twice, would else cut off the agent that lives. Raises Refused.
    """
    if not 0 < stamp <= MOST_STAMP:
        raise Refused(f"registration of host {host_id}: {stamp} is no stamp; upgrade the agent, or set its host's clock")
    if not signing.verify(public_key, signature, host_id, 0, stamp, {"name": name, "public_key": public_key}):
        raise Refused(f"registration of host {host_id}: the signature is not that of the key")
    host = tx.execute(select(Host).where(Host.id == host_id).with_for_update()).scalar()
    if host is None:
        host = _first_time(tx, host_id, name)
    if host.public_key is None:
        LOG.warning("host %s (%s) is registered with key %s", host.name, host_id, public_key)
        host.public_key = public_key
    elif host.public_key != public_key:
        LOG.critical("host %s (%s): another key claims to be it: %s", host.name, host_id, public_key)
        raise Refused(f"host {host_id} is known with another key")
    if stamp <= host.registered_seq:
        LOG.warning("host %s (%s): registration %d came after %d; it is refused", host.name, host_id, stamp, host.registered_seq)
        raise Refused(f"host {host_id}: registration {stamp} is not newer than {host.registered_seq}")
    host.agent_epoch, host.seq, host.registered_seq = host.agent_epoch + 1, 0, stamp
    host.registered_at = tx.execute(select(clock())).scalar()
    return host.agent_epoch


def _first_time(tx: Tx, host_id: str, name: str) -> Host:
    """The host that an operator added by name and that has no key yet, under the id that it chose."""
    host = tx.execute(select(Host).where(Host.name == name, Host.public_key.is_(None)).with_for_update()).scalar()
    if host is None or host.agent_epoch:
        raise Refused(f"host {name} ({host_id}) is not known; add it with wolke-manage host add")
    host.id = host_id
    tx.flush()
    return host


def spoken_by(tx: Tx, host_id: str, agent_epoch: int, seq: int, body: Any, signature: str) -> Host:
    """The host that said `body`. Raises Refused when the key, the life or the number is not newer than all heard before."""
    host = tx.execute(select(Host).where(Host.id == host_id)).scalar()
    if host is None or host.public_key is None:
        raise Refused(f"host {host_id} is not registered")
    if not signing.verify(host.public_key, signature, host_id, agent_epoch, seq, body):
        LOG.critical("host %s: a message is not signed by its key", host.name)
        raise Refused(f"host {host_id}: the signature is not that of its key")
    newer = update(Host).where(Host.id == host_id, Host.agent_epoch == agent_epoch, Host.seq < seq)
    if tx.execute(newer.values(seq=seq, seen_at=clock()).returning(Host.id)).scalar() is None:
        raise Refused(f"host {host_id}: life {agent_epoch}, message {seq} is not newer than what was heard")
    return host


@dataclass(frozen=True)
class HostView:
    """A host with whether it is heard of, and what is placed on it (vCPUs, MiB, GiB)."""

    row: Host
    up: bool
    servers: int
    vcpus_used: int
    memory_used_mib: int
    disk_used_gib: int


def all_hosts(tx: Tx, *, name: str | None = None, host_id: str | None = None) -> list[HostView]:
    """Every host by name, or the one of this name or id, with what is placed on it. One query."""
    asked = _with_usage().order_by(Host.name)
    if name is not None:
        asked = asked.where(Host.name == name)
    if host_id is not None:
        asked = asked.where(Host.id == host_id)
    return [HostView(row[0], row[1], *(int(value) for value in row[2:])) for row in tx.execute(asked)]


def _with_usage() -> Select[*tuple[Any, ...]]:
    sums = (
        select(
            Allocation.host_id, func.count().label("servers"), func.sum(Allocation.vcpus).label("vcpus"),
            func.sum(Allocation.memory_mib).label("memory"), func.sum(Allocation.disk_gib).label("disk"),
        )
        .group_by(Allocation.host_id)
        .subquery()
    )  # fmt: skip
    columns = [func.coalesce(sums.c[name], 0) for name in ("servers", "vcpus", "memory", "disk")]
    return select(Host, is_up(), *columns).outerjoin(sums, sums.c.host_id == Host.id)


def one(tx: Tx, host_id: str) -> HostView:
    """One host. Raises NotFound."""
    found = all_hosts(tx, host_id=host_id)
    if not found:
        raise NotFound(f"Compute host {host_id} could not be found.")
    return found[0]


def named(tx: Tx, name: str) -> HostView:
    """The host of this name. Raises NotFound."""
    found = all_hosts(tx, name=name)
    if not found:
        raise NotFound(f"There is no host {name}.")
    return found[0]


def set_enabled(tx: Tx, host_id: str, enabled: bool, reason: str | None) -> None:
    """Let placement choose the host, or not. Raises NotFound."""
    changed = update(Host).where(Host.id == host_id).values(enabled=enabled, disabled_reason=None if enabled else reason)
    if tx.execute(changed.returning(Host.id)).scalar() is None:
        raise NotFound(f"Service {host_id} could not be found.")


def zones(tx: Tx) -> dict[str, list[HostView]]:
    """Hosts by availability zone."""
    found: dict[str, list[HostView]] = {}
    for host in all_hosts(tx):
        found.setdefault(host.row.availability_zone, []).append(host)
    return found


def add(tx: Tx, name: str, *, host_id: str | None, chassis: str | None, public_key: str | None, zone: str | None) -> str:
    """Add a host, or change what is named of one that is there; its id. Raises BadRequest, Conflict (its id or key is another)."""
    there = tx.execute(select(Host).where(Host.name == name).with_for_update()).scalar()
    if there is None:
        values = {
            "id": host_id or new_uuid(), "name": name, "chassis": chassis or name, "public_key": public_key,
            "availability_zone": zone or CONF.compute.availability_zone,
        }  # fmt: skip
        made = tx.execute(insert(Host).values(**values).on_conflict_do_nothing().returning(Host.id)).scalar()
        if made is None:
            raise Conflict(f"The host id {host_id} belongs to another host.")
        return made
    _same(there, "id", host_id, there.id, "remove it first")
    _same(there, "key", public_key, there.public_key, "give it another with wolke-manage host rekey")
    there.public_key = public_key or there.public_key
    there.chassis = chassis or there.chassis
    there.availability_zone = zone or there.availability_zone
    return there.id


def _same(there: Host, what: str, given: str | None, has: str | None, advice: str) -> None:
    if given and has and given != has:
        raise Conflict(f"Host {there.name} is known with the {what} {has}; {advice}.")


def rekey(tx: Tx, name: str, public_key: str) -> None:
    """Believe another key from now on: nothing that was signed with the old one counts, so stamps may start anew. Raises NotFound, BadRequest."""
    there = tx.execute(select(Host).where(Host.name == name).with_for_update()).scalar()
    if there is None:
        raise NotFound(f"There is no host {name}.")
    if there.public_key == public_key:
        raise BadRequest(
            f"Host {name} has the key {public_key} already; where host-key is removed, wolke-agent --generate-key makes another."
        )
    LOG.warning("host %s (%s): its key is %s from now on, no more %s", name, there.id, public_key, there.public_key)
    there.public_key, there.registered_seq = public_key, 0


def remove(tx: Tx, name: str) -> None:
    """Forget a host. Raises NotFound; BadRequest while servers are placed on it."""
    found = named(tx, name)
    if found.servers:
        raise BadRequest(f"Host {name} has {found.servers} servers; delete them or move them away first.")
    tx.execute(delete(Host).where(Host.id == found.row.id))
