"""Placement: reasons, claims that race, and quota that holds when requests race."""

from __future__ import annotations

import threading

from sqlalchemy import func, select, update

from common.db import Database
from compute import placement
from compute.models import Allocation, Host, Server
from compute.placement import Wish
from compute.service import quota
from tests.support.api import PROJECT, counted
from tests.support.compute import Agent, World


def judge(db: Database, **more) -> placement.Verdict:
    return db.run(lambda tx: placement.judge(tx, Wish(**{"vcpus": 1, "memory_mib": 128, "disk_gib": 1, **more})))


def change(db: Database, name: str, **values) -> None:
    db.run(lambda tx: tx.execute(update(Host).where(Host.name == name).values(**values)))


def test_each_host_is_counted_under_the_first_constraint_that_it_fails(db: Database) -> None:
    for name in ("off", "late", "cpu", "mem", "disk", "south"):
        Agent(db, name, zone="south" if name == "south" else "nova").up()
    change(db, "off", enabled=False)
    change(db, "late", seen_at=None)
    change(db, "cpu", vcpus=0)
    change(db, "mem", memory_mib=64)
    change(db, "disk", disk_gib=5)
    wish = Wish(1, 128, 10, "nova")
    with counted(db) as sent:
        found = judge(db, disk_gib=10, zone="nova")
    assert len([text for text in sent if "compute.host" in text]) == 1
    assert found.best == ()
    assert found.removed == {"zone": 1, "disabled": 1, "down": 1, "vcpus": 1, "memory": 1, "disk": 1}
    assert found.sentence(wish) == (
        "No valid host was found. Of 6 hosts: 1 not in the availability zone nova, 1 disabled, 1 down (not heard of for 60 s),"
        " 1 without 1 free vCPUs, 1 without 128 MiB of free memory, 1 without 10 GiB of free disk."
    )
    assert judge(db, host="south").removed == {"host": 5}
    assert len(judge(db, host="south").best) == 1


def test_without_hosts_it_says_so(db: Database) -> None:
    assert judge(db).sentence(Wish(1, 1, 1)) == "No valid host was found. There is no host."


def test_a_host_without_a_disk_of_its_own_is_not_asked_for_one(db: Database) -> None:
    Agent(db, "hv1", disk_gib=0).up()
    assert len(judge(db, disk_gib=1000).best) == 1


def test_the_emptiest_host_comes_first(cloud: World) -> None:
    cloud.create()
    cloud.work()
    second = cloud.agent("hv2")
    found = judge(cloud.db)
    assert found.best[0] == second.id
    assert cloud.db.run(lambda tx: tx.execute(select(Allocation.host_id)).scalars().all()) != []


def test_claims_that_race_do_not_fill_a_host_twice(cloud: World) -> None:
    change(cloud.db, "hv1", memory_mib=3 * 128)
    ids = [cloud.create()["id"] for _ in range(6)]
    best = judge(cloud.db).best
    won: list[str | None] = []
    start = threading.Barrier(6)

    def claim(server_id: str) -> None:
        start.wait()
        won.append(cloud.db.run(lambda tx: placement.claim(tx, tx.get_one(Server, server_id), best)))

    threads = [threading.Thread(target=claim, args=(key,)) for key in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won.count(best[0]), won.count(None)) == (3, 3)
    assert cloud.db.run(lambda tx: tx.execute(select(func.sum(Allocation.memory_mib))).scalar()) == 3 * 128


def test_a_claim_is_kept_when_it_is_repeated(cloud: World) -> None:
    server_id, best = cloud.create()["id"], judge(cloud.db).best
    for _ in range(2):
        assert cloud.db.run(lambda tx: placement.claim(tx, tx.get_one(Server, server_id), best)) == best[0]
    assert cloud.db.run(lambda tx: placement.claim(tx, tx.get_one(Server, server_id), ())) == best[0]


def test_quota_holds_when_requests_race(cloud: World) -> None:
    cloud.db.run(lambda tx: quota.set_limits(tx, PROJECT, {"cores": 1}))
    start = threading.Barrier(4)
    codes: list[int] = []

    def ask() -> None:
        start.wait()
        codes.append(cloud.api("POST", "/v2.1/servers", cloud.body()).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [202, 403, 403, 403]
    assert len(cloud.api.get("/v2.1/servers")["servers"]) == 1


def test_hosts_that_are_silent_for_a_moment_are_waited_for(cloud: World) -> None:
    change(cloud.db, "hv1", seen_at=None)
    server_id = cloud.create()["id"]
    assert cloud.work() == 1
    assert cloud.show(server_id)["OS-EXT-STS:task_state"] == "scheduling"
    cloud.settle()
    cloud.settle()
    assert cloud.show(server_id)["status"] == "ACTIVE"
    change(cloud.db, "hv1", seen_at=None)
    lost = cloud.create()["id"]
    for _ in range(3):
        cloud.work()
    assert cloud.show(lost)["fault"]["message"] == "No valid host was found. Of 1 host: 1 down (not heard of for 60 s)."


def test_no_room_for_a_moment_is_waited_for_and_no_fault(cloud: World) -> None:
    """The host that was judged to fit is full by the time of the claim: the flow looks again, and then says why."""
    change(cloud.db, "hv1", memory_mib=128)
    first, second = cloud.create()["id"], cloud.create()["id"]
    cloud.work()
    found = {cloud.show(key)["status"] for key in (first, second)}
    assert found == {"BUILD", "ERROR"}
