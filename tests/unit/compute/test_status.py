"""The status function in Python and in SQL say the same of every combination of facts."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from common.db import Database
from compute.models import Allocation, Host, Server
from compute.status import POWER_STATE, STATUS, TASK_STATE, VM_STATE, Facts, Status, status_of

OBSERVED = (None, "running", "stopped", "crashed", "paused", "absent", "pending")
FLAGS = (False, True)
HOST = "h"
COMBINATIONS = [
    Facts(desired, observed, *flags)
    for desired in ("running", "stopped", "absent")
    for observed in OBSERVED
    for flags in itertools.product(FLAGS, repeat=6)
]


def row(number: int, facts: Facts) -> dict:
    return {
        "id": str(number), "name": "s", "hostname": "s", "project_id": "p", "user_id": "u", "flavor": {}, "flavor_id": "1", "vcpus": 1,
        "memory_mib": 1, "disk_gib": 1, "root_gib": 1, "reservation_id": "r", "desired": facts.desired, "observed_state": facts.observed,
        "fault": {"message": "x"} if facts.failed else None, "launched_at": "2020-01-01T00:00:00Z" if facts.launched else None,
        "prepared": facts.prepared, "reboots": 2 if facts.rebooting else 1, "observed_reboots": 1,
        "reboot_type": "HARD" if facts.hard else "SOFT",
    }  # fmt: skip


def test_both_say_the_same(db: Database) -> None:
    with db.transaction() as tx:
        tx.add(Host(id=HOST, name="h", chassis="h", availability_zone="z"))
        tx.flush()
        tx.execute(insert(Server), [row(n, facts) for n, facts in enumerate(COMBINATIONS)])
        placed = [n for n, facts in enumerate(COMBINATIONS) if facts.placed]
        values = {"host_id": HOST, "vcpus": 1, "memory_mib": 1, "disk_gib": 1}
        tx.execute(insert(Allocation), [{"server_id": str(n), **values} for n in placed])
        asked = select(Server, Allocation.host_id, STATUS, VM_STATE, TASK_STATE, POWER_STATE)
        found = tx.execute(asked.outerjoin(Allocation, Allocation.server_id == Server.id)).all()
    assert len(found) == len(COMBINATIONS) == 3 * 7 * 64
    for server, host_id, *words in found:
        facts = Facts.of(server, placed=host_id is not None)
        assert facts == COMBINATIONS[int(server.id)]
        assert status_of(facts) == Status(*words), facts


def facts(desired: str, observed: str | None, **flags: bool) -> Facts:
    known = {"failed": False, "launched": True, "placed": True, "prepared": True, "rebooting": False, "hard": False}
    return Facts(desired, observed, **{**known, **flags})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (facts("running", None, launched=False, placed=False, prepared=False), ("BUILD", "building", "scheduling", 0)),
        (facts("running", None, launched=False, prepared=False), ("BUILD", "building", "block_device_mapping", 0)),
        (facts("running", "pending", launched=False), ("BUILD", "building", "spawning", 0)),
        (facts("running", None, launched=False, failed=True), ("ERROR", "error", None, 0)),
        (facts("running", "running"), ("ACTIVE", "active", None, 1)),
        (facts("running", "running", rebooting=True), ("REBOOT", "active", "rebooting", 1)),
        (facts("running", "stopped", rebooting=True, hard=True), ("HARD_REBOOT", "active", "rebooting_hard", 4)),
        (facts("running", "stopped"), ("SHUTOFF", "stopped", "powering-on", 4)),
        (facts("running", "crashed"), ("SHUTOFF", "stopped", "powering-on", 6)),
        (facts("running", "paused"), ("PAUSED", "paused", None, 3)),
        (facts("stopped", "running"), ("ACTIVE", "active", "powering-off", 1)),
        (facts("stopped", "stopped"), ("SHUTOFF", "stopped", None, 4)),
        (facts("absent", "running"), ("ACTIVE", "active", "deleting", 1)),
        (facts("absent", None, launched=False, failed=True), ("ERROR", "error", "deleting", 0)),
    ],
)
def test_the_words_are_novas(given: Facts, words: tuple) -> None:
    assert status_of(given) == Status(*words)
