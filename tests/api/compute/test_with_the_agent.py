"""The controller against the agent's own rules, on a hypervisor in memory: what a tenant asks is what the host comes to."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects.postgresql import insert

from compute.agent.document import parse
from compute.agent.observed import Power
from compute.agent.signing import sign
from compute.models import Server, ServerDisk
from compute.names import host_topic
from tests.support.compute import Agent, World, add_flavor, world
from tests.unit import agent_world


class RealAgent(Agent):
    """Pulls, brings its host in memory to the document by the agent's own plan, and reports what it then sees."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.host = agent_world.World()

    def settle(self, seconds: int = 0) -> list[dict[str, Any]]:
        for _ in range(2):
            self.pull()
            self.host.desired = parse(self.document)
            self.host.settle_in_time(seconds) if seconds else self.host.settle(30)
            self.host.now += 1
            body = {**self.host.report(), "resources": self.resources}
            self.seq += 1
            signature = sign(self.key, self.id, self.epoch, self.seq, body)
            self.endpoint.report({}, host_id=self.id, agent_epoch=self.epoch, seq=self.seq, body=body, signature=signature)
        return body["servers"]

    @property
    def machines(self) -> dict[str, Any]:
        return self.host.hypervisor.machines


@pytest.fixture
def cloud(db) -> World:
    made = world(db, ())
    made.agents.append(RealAgent(db, "hv1").up())
    return made


def power(cloud: World, server_id: str) -> Power:
    return cloud.agents[0].machines[server_id].power


def test_a_servers_life(cloud: World) -> None:
    server_id = cloud.active()
    agent = cloud.agents[0]
    assert power(cloud, server_id) is Power.RUNNING
    assert len(agent.host.switch.ports) == 1
    cloud.act(server_id, "os-stop")
    cloud.settle()
    assert (cloud.show(server_id)["status"], power(cloud, server_id)) == ("SHUTOFF", Power.OFF_BY_GUEST)
    cloud.act(server_id, "os-start")
    cloud.settle()
    assert (cloud.show(server_id)["status"], power(cloud, server_id)) == ("ACTIVE", Power.RUNNING)
    starts = len(agent.host.hypervisor.starts)
    for kind in ("SOFT", "HARD"):
        cloud.act(server_id, "reboot", {"type": kind})
        cloud.settle()
        assert cloud.show(server_id)["status"] == "ACTIVE"
    assert len(agent.host.hypervisor.starts) == starts + 2
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert agent.machines == {}
    assert agent.host.switch.ports == {}
    assert cloud.row(server_id) is None


def test_a_host_is_told_when_a_servers_row_has_gone(cloud: World) -> None:
    """What only this server needed on its host goes by the next document, which does not wait for a tick."""
    server_id, agent = cloud.active(), cloud.agents[0]
    told: list[tuple[bool, set[str]]] = []
    cloud.db.on_commit = lambda topics: told.append((cloud.row(server_id) is None, set(topics)))
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert [host_topic(agent.id) in topics for gone, topics in told if gone] == [True]


def test_a_guest_that_ends_stays_off_and_a_qemu_that_dies_comes_back(cloud: World) -> None:
    server_id, agent = cloud.active(), cloud.agents[0]
    agent.host.hypervisor.end(server_id, Power.OFF, "crashed")
    cloud.settle()
    assert (cloud.show(server_id)["status"], power(cloud, server_id)) == ("ACTIVE", Power.RUNNING)
    agent.host.hypervisor.end(server_id, Power.OFF_BY_GUEST)
    cloud.settle()
    assert (cloud.show(server_id)["status"], power(cloud, server_id)) == ("SHUTOFF", Power.OFF_BY_GUEST)
    assert cloud.row(server_id).desired == "stopped"


def test_a_volume_is_plugged_and_unplugged_live(cloud: World) -> None:
    server_id, volume_id, agent = cloud.active(), cloud.volume(), cloud.agents[0]
    path = f"/v2.1/servers/{server_id}/os-volume_attachments"
    cloud.api.post(path, {"volumeAttachment": {"volumeId": volume_id}}, ok=200)
    cloud.settle()
    assert [disk.device for disk in agent.machines[server_id].live.values()] == ["vda", "vdb"]
    cloud.api.delete(f"{path}/{volume_id}", ok=202)
    cloud.settle()
    assert [disk.device for disk in agent.machines[server_id].live.values()] == ["vda"]
    assert cloud.api.get(path)["volumeAttachments"] == []


def test_a_guest_that_keeps_a_disk_keeps_its_attachment(cloud: World) -> None:
    server_id, volume_id, agent = cloud.active(), cloud.volume(), cloud.agents[0]
    path = f"/v2.1/servers/{server_id}/os-volume_attachments"
    cloud.api.post(path, {"volumeAttachment": {"volumeId": volume_id}}, ok=200)
    cloud.settle()
    agent.host.hypervisor.guest(server_id).lets_go_of_disks = False
    cloud.api.delete(f"{path}/{volume_id}", ok=202)
    agent.settle(seconds=70)
    assert [item["volumeId"] for item in cloud.api.get(path)["volumeAttachments"]] == [volume_id]
    cloud.settle()
    assert len(agent.machines[server_id].live) == 2


def test_limits_reach_the_running_qemu(cloud: World) -> None:
    add_flavor(cloud.db, "slow", extra_specs={"quota:disk_total_iops_sec": "500"})
    server_id, agent = cloud.active(flavorRef="slow"), cloud.agents[0]
    assert agent.machines[server_id].live["root"].limits.total_iops_sec == 500
    cloud.act(server_id, "wolke-setDiskLimits", {"disk": "vda", "total_iops_sec": 50}, by=cloud.admin)
    cloud.settle()
    assert agent.machines[server_id].live["root"].limits.total_iops_sec == 50
    found = cloud.admin.get(f"/v2.1/servers/{server_id}/wolke-disk-limits")["disks"]
    assert found[0]["observed"] == found[0]["desired"]
    assert len(agent.host.hypervisor.starts) == 1


def test_a_start_that_fails_is_a_fault_and_heals(cloud: World) -> None:
    agent = cloud.agents[0]
    agent.host.hypervisor.fail = {"start": "no /dev/kvm"}
    server_id = cloud.create()["id"]
    cloud.work()
    agent.settle(seconds=3)
    shown = cloud.show(server_id)
    assert (shown["status"], "no /dev/kvm" in shown["fault"]["message"]) == ("ERROR", True)
    assert cloud.work() == 0
    agent.host.hypervisor.fail = {}
    agent.settle(seconds=130)
    assert cloud.show(server_id)["status"] == "ACTIVE"
    assert cloud.db.run(lambda tx: tx.get_one(Server, server_id).settled)


def test_an_agent_that_comes_back_knows_nothing_and_does_right(cloud: World) -> None:
    server_id, agent = cloud.active(), cloud.agents[0]
    agent.host.agent_dies()
    assert agent.register() == 2
    cloud.act(server_id, "os-stop")
    cloud.settle()
    assert cloud.show(server_id)["status"] == "SHUTOFF"
    assert len(agent.host.hypervisor.starts) == 1


def test_deleted_before_it_ever_ran(cloud: World) -> None:
    agent = cloud.agents[0]
    agent.host.switch.installs = False
    server_id = cloud.create()["id"]
    cloud.work()
    agent.settle(seconds=5)
    assert cloud.show(server_id)["OS-EXT-STS:task_state"] == "spawning"
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert agent.machines == {}
    assert cloud.row(server_id) is None
    assert cloud.blocks.names("vms") == []


def test_an_attach_that_its_host_cannot_do_is_given_up_and_said(cloud: World) -> None:
    server_id, volume_id, agent = cloud.active(), cloud.volume(), cloud.agents[0]
    path = f"/v2.1/servers/{server_id}/os-volume_attachments"
    cloud.api.post(path, {"volumeAttachment": {"volumeId": volume_id}}, ok=200)
    agent.host.hypervisor.fail = {"attach": "no free port"}
    agent.settle(seconds=20)
    assert len(cloud.api.get(path)["volumeAttachments"]) == 1  # a hiccup would be over by now or soon
    agent.settle(seconds=70)
    cloud.settle()
    assert cloud.api.get(path)["volumeAttachments"] == []
    found = cloud.api.get(f"/v2.1/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert [item["message"] for item in found if item["message"]] == [f"Volume {volume_id} could not be attached: no free port"]
    agent.host.hypervisor.fail = {}
    cloud.api.post(path, {"volumeAttachment": {"volumeId": volume_id}}, ok=200)
    cloud.settle()
    assert len(agent.machines[server_id].live) == 2


def test_a_server_that_its_host_cannot_read_is_at_fault_alone_until_it_can(cloud: World) -> None:
    server_id, other = cloud.active(), cloud.active()

    def limit(value: int) -> None:
        row = insert(ServerDisk).values(server_id=server_id, disk_id="root", limits={"total_iops_sec": value})
        cloud.db.run(
            lambda tx: tx.execute(row.on_conflict_do_update(index_elements=["server_id", "disk_id"], set_={"limits": row.excluded.limits}))
        )

    limit(-5)
    cloud.act(other, "os-stop")
    cloud.settle()
    assert cloud.show(other)["status"] == "SHUTOFF"
    assert (cloud.show(server_id)["status"], power(cloud, server_id)) == ("ERROR", Power.RUNNING)
    assert cloud.show(server_id)["fault"]["message"].endswith("server.disks[0].limits.total_iops_sec is -5, not a whole number")
    limit(5)
    cloud.settle()
    assert cloud.show(server_id)["status"] == "ACTIVE"
    assert "fault" not in cloud.show(server_id)


def test_a_server_is_not_gone_while_its_domain_stands_without_our_mark(cloud: World) -> None:
    volume_id = cloud.volume()
    server_id, agent = cloud.active(), cloud.agents[0]
    cloud.api.post(f"/v2.1/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume_id}}, ok=200)
    cloud.settle()
    agent.host.hypervisor.strangers = {server_id: f"wolke-{server_id}"}
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert cloud.show(server_id)["OS-EXT-STS:task_state"] == "deleting"
    assert power(cloud, server_id) is Power.RUNNING
    agent.host.hypervisor.strangers = {}
    cloud.settle()
    assert (cloud.row(server_id), agent.machines) == (None, {})
