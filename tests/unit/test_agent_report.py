"""What an agent must not say too early, and what it must not keep to itself."""

from __future__ import annotations

from typing import Any

import pytest

from compute.agent.observed import Power, Seen
from compute.agent.plan import Attach, Destroy, Detach
from compute.agent.report import MOST_UNKNOWN
from compute.agent.signing import canonical
from tests.unit.agent_world import NETWORK, OTHER, SERVER, World, disk, network, nic, server

VOLUME = "a7000000-0000-4000-8000-000000000001"


def running(**changes: Any) -> World:
    world = World()
    world.wish(server(**changes))
    world.settle()
    assert world.reported()["state"] == "running"
    return world


def test_a_server_is_not_absent_while_its_start_is_queued() -> None:
    world = World()
    world.wish(server())
    old, queued = world.desired, world.plan()
    assert world.ledger.take(SERVER)
    world.wish(server(desired="absent", generation=2))
    assert (world.reported()["state"], world.reported()["reason"]) == ("pending", "an action is under way")
    world.applier.run(old, queued)
    world.ledger.give_back(SERVER)
    assert world.reported()["state"] != "absent"
    world.settle()
    assert (world.reported()["state"], world.hypervisor.machines) == ("absent", {})


@pytest.mark.parametrize("desired", ["running", "stopped"])
def test_a_disk_is_not_absent_while_an_action_of_its_server_is_queued(desired: str) -> None:
    world = running()
    if desired == "stopped":
        world.wish(server(desired="stopped", generation=2))
        world.settle()
    world.wish(server(desired=desired, generation=2, disks=[disk(), disk(VOLUME)]))
    old, queued = world.desired, world.plan()
    assert queued
    assert world.ledger.take(SERVER)
    world.wish(server(desired=desired, generation=2, disks=[disk(), disk(VOLUME, desired="absent", generation=2)]))
    assert world.reported()["disks"][1]["state"] == "present"
    world.applier.run(old, queued)
    world.ledger.give_back(SERVER)
    assert world.reported()["disks"][1]["state"] == "present"
    world.settle()
    assert world.reported()["disks"][1]["state"] == "absent"


def test_what_ends_while_the_host_is_looked_at_counts_as_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.wish(server(desired="absent"))
    look = world.hypervisor.domains

    def ends_meanwhile() -> Seen:
        seen = look()
        world.ledger.give_back(SERVER)
        return seen

    monkeypatch.setattr(world.hypervisor, "domains", ends_meanwhile)
    world.ledger.take(SERVER)
    assert world.reported()["state"] == "pending"
    assert world.reported()["state"] == "absent"


def test_disks_of_a_held_guest_come_and_are_refused_at_their_deadline() -> None:
    world = running()
    machine = world.hypervisor.machines[SERVER]
    machine.power, machine.why = Power.PAUSED, "I/O error"
    world.wish(server(disks=[disk(), disk(VOLUME)]))
    assert [type(action) for action in world.settle()] == [Attach]
    assert world.reported()["disks"][1]["state"] == "present"
    world.hypervisor.guest(SERVER).lets_go_of_disks = False
    world.wish(server(disks=[disk(), disk(VOLUME, desired="absent", generation=2, detach_deadline_s=20)]))
    assert [type(action) for action in world.step()] == [Detach]
    world.settle_in_time(25)
    assert (world.reported()["state"], world.reported()["disks"][1]["state"]) == ("paused", "refused")
    assert machine.power is Power.PAUSED


def test_a_disks_fault_counts_its_tries_and_goes_with_its_wish() -> None:
    world = running()
    world.hypervisor.fail["attach"] = "no free slot"
    world.wish(server(disks=[disk(), disk(VOLUME)]))
    world.settle_in_time(62)
    assert world.reported()["disks"][1]["fault"]["tries"] == 5
    world.settle_in_time(1)
    assert world.reported()["disks"][1]["fault"] == {"code": 500, "message": "no free slot", "tries": 6}
    world.wish(server(disks=[disk(), disk(VOLUME, generation=2)]))
    assert world.reported()["disks"][1]["fault"] is None


def test_what_no_row_knows_is_listed_and_left_as_it_is() -> None:
    world = World()
    world.wish(server(disks=[disk(), disk(VOLUME)]), server(OTHER, nics=[nic("90000000-0000-4000-8000-000000000002", tap="tap2")]))
    world.settle()
    assert (world.report()["unknown"], world.report()["unknown_count"]) == ([], 0)
    world.hypervisor.strangers = {"u1": "web", "u2": "db"}
    world.hypervisor.machines[SERVER].foreign_disks = {"sda"}
    world.wish(server())  # the rows of a server and of an attachment are lost
    before = {key: (machine.power, dict(machine.live)) for key, machine in world.hypervisor.machines.items()}
    assert world.settle() == []
    said = [f"server {OTHER}", f"disk {SERVER}/sda", f"disk {SERVER}/vdb", "domain db", "domain web"]
    assert (world.report()["unknown"], world.report()["unknown_count"]) == (said, 5)
    assert {key: (machine.power, dict(machine.live)) for key, machine in world.hypervisor.machines.items()} == before
    world.wish(server(disks=[disk(), disk(VOLUME, desired="absent")]))  # one that a row wishes away is known
    assert f"disk {SERVER}/vdb" not in world.report()["unknown"]
    world.hypervisor.end(SERVER, Power.OFF)  # a disk that no QEMU has open is nowhere
    assert not [line for line in world.report()["unknown"] if line.startswith("disk")]


def test_the_list_of_the_unknown_is_short_and_stands_still() -> None:
    world = running()
    world.hypervisor.strangers = {str(number): f"{number:03}-" + "x" * 1000 for number in range(100)}
    said = world.report()
    assert (len(said["unknown"]), said["unknown_count"]) == (MOST_UNKNOWN, 100)
    assert len(canonical(said["unknown"])) < 10_000
    assert said["unknown"] == sorted(said["unknown"])  # it is sent again where it differs


BAD: dict[str, dict[str, Any]] = {
    desired: {"desired": desired, "generation": 2, "vcpus": -1} for desired in ("running", "stopped", "absent")
}


@pytest.mark.parametrize("desired", BAD)
@pytest.mark.parametrize("power", [Power.RUNNING, Power.PAUSED, Power.OFF, None])
def test_a_server_that_cannot_be_read_is_left_as_it_is_and_told(desired: str, power: Power | None) -> None:
    world = World() if power is None else running()
    if power is not None:
        world.hypervisor.machines[SERVER].power = power
    world.wish(server(**BAD[desired]), server(OTHER, nics=[]), networks=[])
    assert {action.subject for action in world.settle()} == {OTHER}
    assert [machine.power for key, machine in world.hypervisor.machines.items() if key == SERVER] == ([power] if power else [])
    assert world.report()["unknown"] == []
    said = world.reported()
    state = {Power.RUNNING: "running", Power.PAUSED: "paused", Power.OFF: "stopped", None: "pending"}[power]
    assert (said["state"], said["generation"], said["disks"]) == (state, 1 if power else 0, [])
    assert said["fault"]["message"] == said["reason"] == "Its host does not understand its entry: server.vcpus is -1, not a whole number"
    assert world.reported(OTHER)["state"] == "running"
    world.wish(server(desired=desired, generation=3), server(OTHER, nics=[]))
    world.settle_in_time(90)
    assert world.reported()["state"] == (desired if desired != "running" or power is not Power.PAUSED else "paused")


def test_what_was_asked_of_a_server_is_kept_while_it_cannot_be_read() -> None:
    world = running()
    world.hypervisor.guest(SERVER).obeys_power_button = False
    world.wish(server(desired="stopped", generation=2))
    world.step()
    world.wish(server(**BAD["stopped"]))
    world.now += 59
    assert world.step() == []
    world.wish(server(desired="stopped", generation=2))
    world.now += 1
    assert [type(action) for action in world.step()] == [Destroy]  # its minute began when it was first asked


def test_the_namespace_of_a_network_that_cannot_be_read_stays() -> None:
    world = running(nics=[])
    world.wish(networks=[network()])
    world.settle()
    world.wish(networks=[network(mtu=-1)])
    assert world.settle() == []
    assert NETWORK in world.namespaces.networks
    world.wish()
    world.settle()
    assert NETWORK not in world.namespaces.networks


@pytest.mark.parametrize("desired", ["running", "stopped", "absent"])
@pytest.mark.parametrize("stranger", [{SERVER: "web"}, {"u1": f"wolke-{SERVER}"}])
def test_a_server_whose_domain_lost_its_mark_is_left_alone_and_never_absent(desired: str, stranger: dict[str, str]) -> None:
    world = running(disks=[disk(), disk(VOLUME)])
    if SERVER not in stranger:
        machine = world.hypervisor.machines.pop(SERVER)  # it has another UUID, and our name
        world.hypervisor.machines["u1"] = machine
    world.hypervisor.strangers = stranger
    world.wish(server(desired=desired, generation=2, disks=[disk(), disk(VOLUME, desired="absent", generation=2)]))
    assert world.settle() == []
    assert [machine.power for machine in world.hypervisor.machines.values()] == [Power.RUNNING]
    said, name = world.reported(), next(iter(stranger.values()))
    assert (said["state"], said["disks"], world.report()["unknown"]) == ("pending", [], [f"domain {name}"])
    assert said["fault"]["message"] == f"The domain {name} on its host has lost its mark and is left alone; an operator must look at it."
    world.hypervisor.strangers = {}
    if SERVER not in stranger:
        world.hypervisor.machines[SERVER] = world.hypervisor.machines.pop("u1")
    world.settle_in_time(90)
    assert (world.reported()["state"], world.reported()["fault"]) == (desired, None)
