"""The controller's side of the agents' protocol: who is believed, what is carried, what a report writes."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import REGISTRY
from sqlalchemy import select, update

from common.db import Database
from common.errors import BadRequest, NotFound
from compute.agent.document import parse
from compute.agent.signing import public_text, sign
from compute.models import Host, Server, ServerDisk
from compute.service import host as hosts
from compute.service.host import Refused
from network.models import Port
from tests.support.api import counted
from tests.support.compute import Agent, World, add_flavor, as_wished


def row(db: Database, agent: Agent) -> Host:
    return db.run(lambda tx: tx.execute(select(Host).where(Host.id == agent.id)).scalar_one())


def test_only_known_hosts_with_their_own_key_register(db: Database) -> None:
    agent = Agent(db, "hv1")
    assert [agent.register(), agent.register()] == [1, 2]
    agent.key = Ed25519PrivateKey.generate()
    with pytest.raises(Refused, match="another key"):
        agent.register()
    with pytest.raises(Refused, match="signature"):
        agent.endpoint.register({}, host_id=agent.id, name="hv1", public_key=public_text(agent.key), stamp=9, signature="AAAA")
    agent.id = str(uuid.uuid4())
    with pytest.raises(Refused, match="not known"):
        agent.register()


def test_a_host_added_by_name_takes_the_id_of_its_first_registration(db: Database) -> None:
    agent = Agent(db, "hv1")
    agent.id = str(uuid.uuid4())
    agent.register()
    assert row(db, agent).name == "hv1"
    thief = Agent.__new__(Agent)
    thief.__dict__ = {**agent.__dict__, "id": str(uuid.uuid4()), "key": Ed25519PrivateKey.generate()}
    with pytest.raises(Refused):
        thief.register()


def test_a_registration_that_was_overheard_cuts_off_no_one(db: Database) -> None:
    agent = Agent(db, "hv1")
    first, second = agent.registration(), agent.registration()
    assert agent.endpoint.register({}, **second) == {"agent_epoch": 1}
    agent.epoch = 1
    for replayed in (second, first):  # the bus may bring one twice as well, or late
        with pytest.raises(Refused, match="not newer"):
            agent.endpoint.register({}, **replayed)
    with pytest.raises(Refused, match="signature"):
        agent.endpoint.register({}, **{**second, "stamp": second["stamp"] + 1})
    agent.pull()
    agent.report()
    found = row(db, agent)
    assert (found.agent_epoch, found.registered_seq, found.seq) == (1, second["stamp"], 2)
    assert agent.register() == 2


@pytest.mark.parametrize("stamp", [0, -1, 2**63])
def test_a_registration_bears_a_stamp(db: Database, stamp: int) -> None:
    agent = Agent(db, "hv1")
    agent.stamp = stamp - 1
    with pytest.raises(Refused, match=f"{stamp} is no stamp"):
        agent.register()
    said = agent.registration()
    del said["stamp"]
    with pytest.raises(Refused, match="0 is no stamp; upgrade the agent"):
        agent.endpoint.register({}, **said)
    assert row(db, agent).agent_epoch == 0


def test_a_host_that_gets_another_key_starts_its_stamps_anew(db: Database) -> None:
    agent = Agent(db, "hv1")
    agent.stamp = 10**18
    overheard = agent.registration()
    agent.endpoint.register({}, **overheard)
    agent.key, agent.stamp = Ed25519PrivateKey.generate(), 0
    db.run(lambda tx: hosts.rekey(tx, "hv1", public_text(agent.key)))
    with pytest.raises(Refused, match="another key"):
        agent.endpoint.register({}, **overheard)
    assert agent.register() == 2
    agent.pull()
    with pytest.raises(BadRequest, match="already"):
        db.run(lambda tx: hosts.rekey(tx, "hv1", public_text(agent.key)))
    with pytest.raises(NotFound, match="hv2"):
        db.run(lambda tx: hosts.rekey(tx, "hv2", "k"))


def test_a_host_that_was_removed_and_added_again_registers(db: Database) -> None:
    agent = Agent(db, "hv1")
    agent.stamp = 10**18
    agent.register()
    public = public_text(agent.key)
    db.run(lambda tx: hosts.remove(tx, "hv1"))
    with pytest.raises(Refused, match="not known"):
        agent.register()
    db.run(lambda tx: hosts.add(tx, "hv1", host_id=agent.id, chassis=None, public_key=public, zone=None))
    agent.register()
    agent.pull()
    assert row(db, agent).registered_seq == agent.stamp


def test_replayed_older_and_forged_messages_are_refused(db: Database) -> None:
    agent = Agent(db, "hv1").up()
    agent.seq -= 1
    with pytest.raises(Refused, match="not newer"):
        agent.pull()
    agent.seq += 1
    good = agent.pull()
    assert agent.pull(good["digest"]) == {"unchanged": True}
    old_epoch = agent.epoch
    agent.register()
    agent.pull()
    agent.epoch, agent.seq = old_epoch, 50
    with pytest.raises(Refused, match="not newer"):
        agent.report()
    agent.epoch += 1
    body, signature = agent.body(), sign(agent.key, agent.id, agent.epoch, 51, agent.body(address="10.0.0.1"))
    with pytest.raises(Refused, match="signature"):
        agent.endpoint.report({}, host_id=agent.id, agent_epoch=agent.epoch, seq=51, body=body, signature=signature)
    assert row(db, agent).address == "172.31.0.11"


def test_answered_pulls_and_taken_reports_are_counted(db: Database) -> None:
    def counts() -> list[float]:
        samples = [("wolke_agent_pulls_total", {"unchanged": same}) for same in ("true", "false")] + [("wolke_agent_reports_total", {})]
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in samples]

    agent = Agent(db, "hv1")
    agent.register()
    before = counts()
    digest = agent.pull()["digest"]
    for _ in range(2):
        agent.pull(digest)
    for _ in range(3):
        agent.report()
    agent.seq = 0
    for say in (agent.pull, agent.report):
        with pytest.raises(Refused):
            say()
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 1, 3]


def test_the_document_is_what_the_agent_understands(cloud: World) -> None:
    add_flavor(cloud.db, "slow", extra_specs={"quota:disk_total_bytes_sec": "1000000", "quota:disk_read_iops_sec": "fast"})
    server_id = cloud.create(name="My Server", flavorRef="slow", metadata={"k": "v"}, user_data="aGk=")["id"]
    cloud.work()
    raw = cloud.agents[0].pull()
    document = parse(raw)
    server = document.servers[server_id]
    assert (server.desired, server.startable, server.vcpus, server.memory_mib) == ("running", True, 1, 128)
    assert [(d.id, d.device, d.boot, d.pool, d.image) for d in server.disks] == [("root", "vda", True, "vms", f"{server_id}_disk")]
    assert server.disks[0].limits.total_bytes_sec == 1000000
    assert server.nics[0].network_id == cloud.network_id
    assert (server.nics[0].fixed_ips[0].prefix, server.nics[0].tap[:3]) == (24, "tap")
    assert document.networks[cloud.network_id].ips
    meta = raw["servers"][0]["metadata"]
    assert (meta["meta"], meta["user_data"], meta["availability_zone"], meta["security_groups"]) == (
        {"k": "v"},
        "aGk=",
        "nova",
        ["default"],
    )
    assert raw["servers"][0]["hostname"] == "my-server"


def test_the_document_says_what_a_port_may_send_as_beside_its_own(cloud: World) -> None:
    cloud.active()
    agent = cloud.agents[0]
    mine = agent.pull()["servers"][0]["nics"][0]
    assert not {"allowed_address_pairs", "port_security_enabled"} & mine.keys()

    def change(**values: object) -> dict[str, object]:
        cloud.db.run(lambda tx: tx.execute(update(Port).where(Port.id == mine["port_id"]).values(**values)))
        return {key: value for key, value in agent.pull()["servers"][0]["nics"][0].items() if key not in mine}

    pairs = [{"ip_address": "10.0.0.0/24", "mac_address": mine["mac"]}]
    assert change(allowed_address_pairs=pairs) == {"allowed_address_pairs": pairs}
    assert change(allowed_address_pairs=[], port_security_enabled=False) == {"port_security_enabled": False}


def test_a_server_that_is_not_prepared_is_not_startable(cloud: World) -> None:
    cloud.blocks.before = lambda call: (_ for _ in ()).throw(RuntimeError("no ceph")) if call == "clone" else None
    cloud.create()
    cloud.work()
    assert [item["startable"] for item in cloud.agents[0].pull()["servers"]] == [False]


def test_pull_and_report_ask_a_constant_number_of_queries(cloud: World) -> None:
    agent = cloud.agents[0]

    def count() -> tuple[int, int]:
        with counted(cloud.db) as pulled:
            agent.pull()
        said = [as_wished(server) for server in agent.document["servers"]]
        agent.report(*said)
        with counted(cloud.db) as reported:
            agent.report(*said)
        return len(pulled), len(reported)

    cloud.active()
    few = count()
    for _ in range(5):
        cloud.active()
    assert count() == few
    assert few[0] <= 16
    assert few[1] <= 10


def test_a_report_that_changes_nothing_writes_no_server(cloud: World) -> None:
    server_id = cloud.active()
    before = cloud.row(server_id).updated_at
    with counted(cloud.db) as sent:
        cloud.agents[0].settle()
    assert not [text for text in sent if "UPDATE compute.server" in text]
    assert cloud.row(server_id).updated_at == before


def test_a_guest_that_shuts_itself_down_stays_off(cloud: World) -> None:
    server_id = cloud.active()
    agent = cloud.agents[0]
    said = as_wished(agent.document["servers"][0])
    ended = {**said, "state": "stopped", "shutdown_by_guest": True}
    assert agent.report({**ended, "generation": 0}) == {"pull": False}
    assert cloud.row(server_id).desired == "running"
    assert agent.report(ended) == {"pull": True}
    assert cloud.row(server_id).desired == "stopped"
    agent.settle()
    assert cloud.show(server_id)["status"] == "SHUTOFF"
    found = cloud.api.get(f"/v2.1/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert (found[0]["action"], found[0]["message"]) == ("stop", "The guest shut itself down.")
    cloud.act(server_id, "os-start")
    agent.report(ended)
    assert cloud.row(server_id).desired == "running"


def test_a_qemu_that_died_is_wished_running_still(cloud: World) -> None:
    server_id = cloud.active()
    agent = cloud.agents[0]
    agent.report({**as_wished(agent.document["servers"][0]), "state": "crashed"})
    assert cloud.row(server_id).desired == "running"
    assert cloud.show(server_id)["OS-EXT-STS:power_state"] == 6
    agent.settle()
    assert cloud.show(server_id)["status"] == "ACTIVE"


def test_a_hosts_fault_is_shown_and_goes_when_the_server_runs(cloud: World) -> None:
    server_id = cloud.create()["id"]
    cloud.work()
    agent = cloud.agents[0]
    agent.pull()
    said = as_wished(agent.document["servers"][0])
    agent.report({**said, "state": "pending", "fault": {"code": 500, "message": "no such machine type"}, "reason": "later"})
    assert (cloud.show(server_id)["status"], cloud.show(server_id)["fault"]["message"]) == ("ERROR", "no such machine type")
    assert cloud.work() == 0
    agent.report(said)
    assert cloud.show(server_id)["status"] == "ACTIVE"
    assert "fault" not in cloud.show(server_id)


def test_a_report_of_another_history_moves_no_server(cloud: World) -> None:
    server_id = cloud.active()
    agent = cloud.agents[0]
    said = {**as_wished(agent.document["servers"][0]), "state": "stopped"}
    assert agent.report(said, epoch=99) == {"pull": True}
    assert cloud.show(server_id)["status"] == "ACTIVE"


def test_a_host_speaks_for_its_own_servers_only(cloud: World) -> None:
    server_id = cloud.active()
    second = cloud.agent("hv2")
    second.report({**as_wished(cloud.agents[0].document["servers"][0]), "state": "stopped"})
    assert cloud.show(server_id)["status"] == "ACTIVE"
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    second.report({"id": server_id, "generation": 99, "state": "absent"})
    cloud.work()
    assert cloud.row(server_id) is not None


def test_a_malformed_report_is_refused_whole(cloud: World) -> None:
    from common.errors import BadRequest

    server_id = cloud.active()
    with pytest.raises(BadRequest, match="state"):
        cloud.agents[0].report({"id": server_id, "generation": 1, "state": "asleep"})
    assert cloud.show(server_id)["status"] == "ACTIVE"


def test_unknown_domains_are_noted_and_nothing_more(cloud: World) -> None:
    agent, server_id = cloud.agents[0], cloud.active()
    said = ["server " + str(uuid.uuid4()), f"disk {server_id}/vdz", "domain web\x00\x1b"]
    for more in ({}, {"unknown_count": 40}):
        agent.report(unknown=said, **more)
    found = row(cloud.db, agent)
    assert (found.unknown, found.unknown_count) == ([*said[:2], "domain web??"], 40)
    assert cloud.show(server_id)["status"] == "ACTIVE"
    agent.report(unknown=["domain " + "x" * 999] * 99, unknown_count=2**40)
    found = row(cloud.db, agent)
    assert (len(found.unknown), len(found.unknown[0]), found.unknown_count) == (32, 300, 2**31 - 1)


def test_unknown_things_are_told_once_for_each_change(cloud: World, caplog: pytest.LogCaptureFixture) -> None:
    agent = cloud.agents[0]
    told = []
    for count, said in ((1, ["domain a"]), (1, ["domain a"]), (2, ["domain a"]), (2, ["domain a"]), (0, []), (0, [])):
        caplog.clear()
        with counted(cloud.db) as sent:
            agent.report(unknown=said, unknown_count=count)
        told.append([record.message for record in caplog.records if record.levelname == "WARNING"])
        assert bool(told[-1]) is any("unknown" in text for text in sent if text.startswith("UPDATE"))
    assert told == [
        ["host hv1 holds what no row knows; it is left alone: domain a"], [],
        ["host hv1 holds what no row knows; it is left alone: domain a and 1 more"], [],
        ["host hv1: nothing is left there that no row knows"], [],
    ]  # fmt: skip


def test_delete_waits_for_a_report_of_this_very_wish(cloud: World) -> None:
    server_id = cloud.active()
    agent = cloud.agents[0]
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.work()
    agent.report({"id": server_id, "generation": 1, "state": "absent"})
    assert cloud.work() == 1
    agent.settle()
    assert cloud.work() == 0
    assert cloud.row(server_id) is None


def test_while_the_host_is_down_a_deleted_server_is_hidden_and_stays(cloud: World) -> None:
    from sqlalchemy import update

    server_id = cloud.active()
    cloud.db.run(lambda tx: tx.execute(update(Host).values(seen_at=None)))
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.work()
    cloud.api("GET", f"/v2.1/servers/{server_id}", ok=404)
    assert cloud.api.get("/v2.1/servers")["servers"] == []
    assert cloud.row(server_id) is not None
    cloud.settle()
    assert cloud.row(server_id) is None
    assert cloud.blocks.names("vms") == []


def test_console_output_is_a_question_to_the_host(cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from compute.service import console

    server_id = cloud.create()["id"]
    assert "is not ready" in cloud.act(server_id, "os-getConsoleOutput", {"length": 10}, ok=409)
    cloud.settle()
    agent = cloud.agents[0]

    def answer(pause: float) -> None:
        questions = agent.pull()["questions"]
        assert [(q["server_id"], q["kind"], q["length"]) for q in questions] == [(server_id, "console_output", 10)]
        agent.report(answers=[{"id": questions[0]["id"], "output": "READY\x00\n", "error": None}])

    monkeypatch.setattr(console, "time", SimpleNamespace(sleep=answer))
    found = cloud.act(server_id, "os-getConsoleOutput", {"length": 10}, ok=200)
    assert found == {"output": "READY\n"}
    monkeypatch.setattr(console, "ANSWER_SECONDS", 0.0)
    assert "did not answer" in cloud.act(server_id, "os-getConsoleOutput", {}, ok=503)
    cloud.act("5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f", "os-getConsoleOutput", {}, ok=404)


def test_console_output_holds_no_more_than_its_share_of_the_threads(cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from common.config import CONF
    from compute.service import console

    server_id, agent = cloud.active(), cloud.agents[0]
    share = max(1, CONF.api.threads // 4)
    refused: list[str] = []

    def another_asks(pause: float) -> None:
        refused.append(cloud.act(server_id, "os-getConsoleOutput", {}, ok=503))
        agent.report(answers=[{"id": item["id"], "output": "x", "error": None} for item in agent.pull()["questions"]])

    monkeypatch.setattr(console, "time", SimpleNamespace(sleep=another_asks))
    with ExitStack() as others:
        for _ in range(share - 1):
            others.enter_context(console.seat())
        assert cloud.act(server_id, "os-getConsoleOutput", {}, ok=200) == {"output": "x"}
    assert len(refused) == 1
    assert "Too many requests" in refused[0]
    monkeypatch.setattr(console, "ANSWER_SECONDS", 0.0)
    for _ in range(share + 1):  # a seat is given back whatever came of it
        assert "did not answer" in cloud.act(server_id, "os-getConsoleOutput", {}, ok=503)


def test_console_output_of_a_host_that_is_down_is_refused_at_once(cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import update

    from compute.service import console

    server_id = cloud.active()
    cloud.db.run(lambda tx: tx.execute(update(Host).values(seen_at=None)))

    def waited(pause: float) -> None:
        raise AssertionError("it waited")

    monkeypatch.setattr(console, "time", SimpleNamespace(sleep=waited))
    assert "host does not answer" in cloud.act(server_id, "os-getConsoleOutput", {}, ok=503)


def test_limits_are_changed_on_the_running_server_and_read_back(cloud: World) -> None:
    add_flavor(cloud.db, "slow", extra_specs={"quota:disk_total_iops_sec": "500"})
    server_id = cloud.active(flavorRef="slow")
    agent = cloud.agents[0]
    path = f"/v2.1/servers/{server_id}/wolke-disk-limits"
    generation = cloud.row(server_id).generation
    cloud.act(server_id, "wolke-setDiskLimits", {"disk": "vda", "total_bytes_sec": 10_000_000, "total_iops_sec": 50}, by=cloud.admin)
    assert cloud.row(server_id).generation == generation + 1
    found = cloud.admin.get(path)["disks"][0]
    assert (found["desired"]["total_bytes_sec"], found["desired"]["total_iops_sec"]) == (10_000_000, 50)
    assert found["observed"]["total_iops_sec"] == 500
    assert agent.pull()["servers"][0]["disks"][0]["limits"]["total_bytes_sec"] == 10_000_000
    agent.settle()
    assert cloud.admin.get(path)["disks"][0]["observed"]["total_iops_sec"] == 50
    cloud.act(server_id, "wolke-setDiskLimits", {"disk": "/dev/vda", "total_bytes_sec": None, "total_iops_sec": None}, by=cloud.admin)
    assert cloud.admin.get(path)["disks"][0]["desired"]["total_iops_sec"] == 500
    cloud.act(server_id, "wolke-setDiskLimits", {"disk": "vda"}, ok=403)
    cloud.act(server_id, "wolke-setDiskLimits", {"disk": "vdz"}, ok=404, by=cloud.admin)
    both = {"disk": "vda", "total_bytes_sec": 1, "read_bytes_sec": 1}
    assert "total_bytes_sec cannot be combined" in cloud.act(server_id, "wolke-setDiskLimits", both, ok=400, by=cloud.admin)
    assert cloud.api("GET", path).status_code == 403
    assert cloud.db.run(lambda tx: len(tx.execute(select(ServerDisk)).all())) == 1


def test_hosts_are_added_listed_and_removed_by_the_operator(cloud: World) -> None:
    from common.errors import BadRequest, Conflict

    server_id = cloud.active()
    with pytest.raises(BadRequest, match="1 servers"):
        cloud.db.run(lambda tx: hosts.remove(tx, "hv1"))
    with pytest.raises(Conflict, match="known with the key"):
        cloud.db.run(lambda tx: hosts.add(tx, "hv1", host_id=None, chassis=None, public_key="other", zone=None))
    again = cloud.db.run(lambda tx: hosts.add(tx, "hv1", host_id=None, chassis="c2", public_key=None, zone="south"))
    assert again == cloud.agents[0].id
    assert cloud.db.run(lambda tx: tx.execute(select(Server.id)).scalar()) == server_id
