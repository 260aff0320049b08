"""What a server is said to be: a function of its rows, once in Python for answers and once in SQL for filters and sorting.

One table test runs every combination of facts through both. Words: Nova's API reference, "Server concepts".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, literal, null

from compute.models import Allocation, Server

NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED = 0, 1, 3, 4, 6
POWER_STATES = {"running": RUNNING, "paused": PAUSED, "stopped": SHUTDOWN, "crashed": CRASHED}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status depends on. `placed`: there is an allocation; `launched`: it has run once."""

    desired: str
    observed: str | None
    failed: bool
    launched: bool
    placed: bool
    prepared: bool
    rebooting: bool
    hard: bool

    @classmethod
    def of(cls, server: Server, *, placed: bool) -> Facts:
        """The facts of a row."""
        return cls(
            desired=server.desired, observed=server.observed_state, failed=server.fault is not None,
            launched=server.launched_at is not None, placed=placed, prepared=server.prepared,
            rebooting=server.reboots > server.observed_reboots, hard=server.reboot_type == "HARD",
        )  # fmt: skip

    @property
    def on(self) -> bool:
        """Whether a QEMU was last seen to hold the guest."""
        return self.observed in ("running", "paused")


@dataclass(frozen=True, slots=True)
class Status:
    """Nova's four words for a server."""

    status: str
    vm_state: str
    task_state: str | None
    power_state: int


def status_of(facts: Facts) -> Status:
    """The status that `facts` add up to."""
    vm_state = _vm_state(facts)
    task_state = _task_state(facts)
    return Status(_word(facts, vm_state, task_state), vm_state, task_state, _power(facts))


def _vm_state(facts: Facts) -> str:
    if facts.failed:
        return "error"
    if not facts.launched:
        return "building"
    if facts.observed == "paused" and facts.desired != "stopped":
        return "paused"
    if facts.on or (facts.desired == "running" and facts.rebooting):
        return "active"
    return "stopped"


def _task_state(facts: Facts) -> str | None:
    if facts.desired == "absent":
        return "deleting"
    if facts.failed:
        return None
    if not facts.launched:
        return _building(facts)
    if facts.desired == "stopped":
        return "powering-off" if facts.on else None
    if facts.rebooting:
        return "rebooting_hard" if facts.hard else "rebooting"
    return None if facts.on else "powering-on"


def _building(facts: Facts) -> str:
    if not facts.placed:
        return "scheduling"
    return "spawning" if facts.prepared else "block_device_mapping"


def _word(facts: Facts, vm_state: str, task_state: str | None) -> str:
    if task_state in ("rebooting", "rebooting_hard"):
        return "HARD_REBOOT" if facts.hard else "REBOOT"
    return {"error": "ERROR", "building": "BUILD", "paused": "PAUSED", "active": "ACTIVE"}.get(vm_state, "SHUTOFF")


def _power(facts: Facts) -> int:
    return POWER_STATES.get(facts.observed or "", NOSTATE) if facts.launched else NOSTATE


# The same in SQL, over Server left joined to Allocation.

_failed = Server.fault.is_not(None)
_launched = Server.launched_at.is_not(None)
_state = Server.observed_state
_on = and_(_state.is_not(None), _state.in_(("running", "paused")))
_rebooting = Server.reboots > Server.observed_reboots
_hard = Server.reboot_type == "HARD"

VM_STATE: ColumnElement[str] = case(
    (_failed, "error"),
    (~_launched, "building"),
    (and_(_state.is_not(None), _state == "paused", Server.desired != "stopped"), "paused"),
    (_on | and_(Server.desired == "running", _rebooting), "active"),
    else_="stopped",
)

TASK_STATE: ColumnElement[Any] = case(
    (Server.desired == "absent", "deleting"),
    (_failed, null()),
    (and_(~_launched, Allocation.host_id.is_(None)), "scheduling"),
    (and_(~_launched, Server.prepared), "spawning"),
    (~_launched, "block_device_mapping"),
    (and_(Server.desired == "stopped", _on), "powering-off"),
    (Server.desired == "stopped", null()),
    (and_(_rebooting, _hard), "rebooting_hard"),
    (_rebooting, "rebooting"),
    (_on, null()),
    else_="powering-on",
)

STATUS: ColumnElement[str] = case(
    (TASK_STATE == "rebooting", "REBOOT"),
    (TASK_STATE == "rebooting_hard", "HARD_REBOOT"),
    (VM_STATE == "error", "ERROR"),
    (VM_STATE == "building", "BUILD"),
    (VM_STATE == "paused", "PAUSED"),
    (VM_STATE == "active", "ACTIVE"),
    else_="SHUTOFF",
)

POWER_STATE: ColumnElement[int] = case(
    (~_launched, NOSTATE),
    *[(and_(_state.is_not(None), _state == word), number) for word, number in POWER_STATES.items()],
    else_=literal(NOSTATE),
)
