"""What the agent tells about its host: the report's body, made purely of the document and what was seen.

Nothing is absent while an action of its server is under way, nor while a domain is in its place that cannot be judged: the controller would free
what that action is about to open, or that domain has open.

The shape is fixed in docs/design/0001-rooms.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compute.agent.document import Disk, Document, Server
from compute.agent.limits import Limits
from compute.agent.observed import Asked, Domain, Failure, Observed, Phase, Power
from compute.agent.plan import WIRE_S, detach_refused, guest_ended_it, is_stale, start_due, unwired

KINDS = ("server", "disk", "domain")
MOST_UNKNOWN = 32  # listed in a report; the rest is counted
NAME_LENGTH = 300


def make(
    desired: Document,
    observed: Observed,
    now: float,
    *,
    authority: bool,
    address: str,
    resources: Mapping[str, Any],
    answers: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The body of a report on `observed` at `now` (CLOCK_BOOTTIME, seconds)."""
    unknown = left_alone(desired, observed)
    return {
        "epoch": desired.epoch,
        "digest": desired.digest,
        "address": address,
        "resources": dict(resources),
        "servers": [
            *(_server(desired, server, observed, now, authority) for server in desired.servers.values()),
            *(_as_it_is(key, observed, f"Its host does not understand its entry: {why}") for key, why in desired.unread["servers"].items()),
        ],
        "unknown": [f"{kind} {name}"[:NAME_LENGTH] for kind, name in unknown[:MOST_UNKNOWN]],
        "unknown_count": len(unknown),
        "answers": [dict(answer) for answer in answers],
    }


def left_alone(desired: Document, observed: Observed) -> list[tuple[str, str]]:
    """What is here and no row knows, as (kind of `KINDS`, name), what matters most first. Nothing is done about any of it.

    A `server` is a domain of ours, by id; a `disk` is one in the QEMU of a server that is listed, by server id and device; a `domain` is
    one that someone else defined, by name.
    """
    servers = sorted(observed.domains.keys() - desired.listed)
    disks = sorted(
        f"{server.id}/{device}" for server in desired.servers.values() for device in _unlisted(server, observed.domains.get(server.id))
    )
    found = zip(KINDS, (servers, disks, sorted(observed.foreign.values())), strict=True)
    return [(kind, name) for kind, names in found for name in names]


def _unlisted(server: Server, domain: Domain | None) -> set[str]:
    """Devices in the running QEMU that no row wishes there or away."""
    if domain is None:
        return set()
    listed = {disk.id for disk in server.disks}
    return {disk.device for disk in domain.disks.values() if disk.live and disk.id not in listed} | domain.foreign_disks


def _as_it_is(server_id: str, observed: Observed, why: str) -> dict[str, Any]:
    """A server for which nothing is done: its domain as it was seen, never absent, and nothing said of its disks, for they may be open."""
    domain = observed.domains.get(server_id)
    known = domain is not None and not (domain.power is Power.PAUSED and domain.mark.phase is Phase.STARTING)
    return {
        "id": server_id,
        "generation": domain.mark.generation if domain is not None else 0,
        "state": _power(domain) if domain is not None and known else "pending",
        "shutdown_by_guest": False,
        "reboots": domain.mark.reboots if domain is not None else 0,
        "fault": {"code": 500, "message": why[:NAME_LENGTH]},
        "reason": why[:NAME_LENGTH],
        "disks": [],
        "nics": [],
        "started_at": domain.mark.started_at or None if domain is not None else None,
    }


def _server(desired: Document, server: Server, observed: Observed, now: float, authority: bool) -> dict[str, Any]:
    usurper = observed.usurper(server.id)
    if usurper is not None:
        return _as_it_is(
            server.id, observed, f"The domain {usurper} on its host has lost its mark and is left alone; an operator must look at it."
        )
    domain = observed.domains.get(server.id)
    asked = observed.asked_of(server.id)
    state, reason = _state(desired, server, observed, now, authority)
    return {
        "id": server.id,
        "generation": server.generation if state == "absent" or domain is None else domain.mark.generation,
        "state": state,
        "shutdown_by_guest": guest_ended_it(desired.epoch, server, domain),
        "reboots": domain.mark.reboots if domain is not None else 0,
        "fault": _fault(asked.failure),
        "reason": reason,
        "disks": [_disk(disk, domain, asked, now, busy=server.id in observed.busy) for disk in server.disks],
        "nics": _nics(server, observed, domain),
        "started_at": domain.mark.started_at or None if domain is not None else None,
    }


def _state(desired: Document, server: Server, observed: Observed, now: float, authority: bool) -> tuple[str, str | None]:
    domain = observed.domains.get(server.id)
    if domain is None:
        return _without_domain(server, observed, authority)
    if is_stale(desired.epoch, server, domain):
        return _power(domain), "this host has already brought the domain to a newer generation"
    if domain.power is Power.PAUSED:
        return _held(server, observed, domain, now)
    if domain.power is Power.RUNNING or server.desired != "running":
        return _power(domain), domain.why or None
    return _off(desired, server, observed, domain, now)


def _off(desired: Document, server: Server, observed: Observed, domain: Domain, now: float) -> tuple[str, str | None]:
    """A guest that should run and does not."""
    if guest_ended_it(desired.epoch, server, domain):
        return "stopped", "the guest shut itself down"
    crashed = domain.mark.phase is not Phase.STARTING and domain.power is Power.OFF
    why = domain.why or "the domain is about to start"
    if not start_due(observed.asked_of(server.id), (server.generation, server.reboots), now):
        why += "; it died often and is started later"
    return ("crashed" if crashed else "pending"), why


def _without_domain(server: Server, observed: Observed, authority: bool) -> tuple[str, str | None]:
    if server.id in observed.busy:
        return "pending", "an action is under way"
    if server.desired == "absent":
        leftovers = sorted(tap.name for tap in observed.taps.values() if tap.server_id == server.id)
        if server.id in observed.consoles:
            leftovers.append("console log")
        return ("pending", f"{', '.join(leftovers)} still there") if leftovers else ("absent", None)
    if not server.startable:
        return "pending", "its volumes are not ready"
    if not authority:
        return "pending", "the controller has not answered this host for 30 s"
    return "pending", "the domain is about to be defined"


def _held(server: Server, observed: Observed, domain: Domain, now: float) -> tuple[str, str | None]:
    if domain.mark.phase is not Phase.STARTING:
        return "paused", domain.why or "paused from outside"
    waiting = unwired(server, observed)
    if not waiting:
        return "pending", "wired, about to run"
    paused_at = observed.asked_of(server.id).paused_at
    late = paused_at is not None and now >= paused_at + WIRE_S
    ports = ", ".join(nic.port_id for nic in waiting)
    return ("paused" if late else "pending"), f"waiting for OVN to install port {ports}"


def _power(domain: Domain) -> str:
    return {Power.RUNNING: "running", Power.PAUSED: "paused"}.get(domain.power, "stopped")


def _fault(failure: Failure | None) -> dict[str, Any] | None:
    return None if failure is None else {"code": 500, "message": failure.message}


def _disk(disk: Disk, domain: Domain | None, asked: Asked, now: float, *, busy: bool) -> dict[str, Any]:
    seen = domain.disks.get(disk.id) if domain is not None else None
    live = seen if seen is not None and seen.live else None
    there = _is_there(disk, domain) or (busy and not disk.present)
    state = "refused" if detach_refused(disk, live, asked, now) else "present" if there else "absent"
    return {
        "id": disk.id,
        "generation": disk.generation,
        "state": state,
        "device": seen.device if seen is not None else disk.device,
        "limits": (seen.limits if seen is not None else Limits()).as_dict(),
        "fault": _disk_fault(disk, asked.disk_failures.get(disk.id)),
    }


def _is_there(disk: Disk, domain: Domain | None) -> bool:
    """Whether the QEMU has the disk, or would have it when it started."""
    if domain is None:
        return False
    if not domain.active:
        return disk.id in domain.config_disks
    seen = domain.disks.get(disk.id)
    return seen is not None and seen.live


def _disk_fault(disk: Disk, failure: Failure | None) -> dict[str, Any] | None:
    """What failed for the present wish; `tries` says how often in a row, for the controller to give up by."""
    if failure is None or failure.key != (disk.generation,):
        return None
    return {"code": 500, "message": failure.message, "tries": failure.count}


def _nics(server: Server, observed: Observed, domain: Domain | None) -> list[dict[str, Any]]:
    waiting = {nic.port_id for nic in unwired(server, observed)}
    active = domain is not None and domain.active
    return [{"port_id": nic.port_id, "state": "wired" if active and nic.port_id not in waiting else "waiting"} for nic in server.nics]
