"""Every rule of a guest's life on its host, as stories on the twin in memory and as a property over all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.agent import plan as p
from compute.agent.observed import Phase, Power
from compute.agent.plan import Action
from tests.unit.agent_world import NETWORK, OTHER, PORT, SERVER, World, disk, network, nic, server

TAP = f"tap{PORT[:11]}"
VOLUME = "a7000000-0000-4000-8000-000000000001"


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def running(**changes: Any) -> World:
    world = World()
    world.wish(server(**changes))
    world.settle()
    assert world.reported()["state"] == "running"
    return world


def test_a_server_is_plugged_defined_started_held_then_resumed() -> None:
    world = World()
    world.wish(server())
    assert kinds(world.step()) == ["Plug", "Define", "Start"]
    assert world.hypervisor.machines[SERVER].power is Power.PAUSED
    assert kinds(world.step()) == ["Resume"]
    assert world.step() == []
    entry = world.reported()
    assert (entry["state"], entry["generation"], entry["fault"], entry["nics"]) == (
        "running", 1, None, [{"port_id": PORT, "state": "wired"}],
    )  # fmt: skip
    assert entry["started_at"]


def test_nothing_is_defined_before_its_volumes_are_ready() -> None:
    world = World()
    world.wish(server(startable=False))
    assert world.step() == []
    assert (world.reported()["state"], world.reported()["reason"]) == ("pending", "its volumes are not ready")


def test_a_guest_is_held_until_ovn_has_installed_its_port_and_reported_after_60_s() -> None:
    world = World()
    world.switch.installs = False
    world.wish(server())
    world.settle()
    assert world.reported()["state"] == "pending"
    world.now += 59
    assert world.reported()["state"] == "pending"
    world.now += 1
    assert (world.reported()["state"], world.reported()["reason"]) == ("paused", f"waiting for OVN to install port {PORT}")
    assert world.step() == []
    world.switch.install_all()
    assert kinds(world.settle()) == ["Resume"]


@pytest.mark.parametrize("desired", ["running", "stopped", "absent"])
def test_without_authority_nothing_starts_stops_or_goes(desired: str) -> None:
    for world in (World(), running(), running()):
        world.authority = False
        world.wish(server(desired=desired, generation=2, reboots=1, reboot_type="HARD"))
        power = [machine.power for machine in world.hypervisor.machines.values()]
        world.settle()
        assert [machine.power for machine in world.hypervisor.machines.values()] == power


def test_authority_lost_between_plan_and_act_starts_nothing() -> None:
    world = World()
    world.wish(server())
    actions = world.plan()
    world.authority = False
    world.applier.run(world.desired, actions)
    assert world.hypervisor.machines[SERVER].power is Power.OFF
    assert world.reported()["fault"] is None


def test_a_domain_that_is_not_listed_is_reported_and_left_alone() -> None:
    world = running()
    world.wish()
    assert world.settle() == []
    assert world.report()["unknown"] == [f"server {SERVER}"]
    assert world.hypervisor.machines[SERVER].power is Power.RUNNING


def test_absent_leaves_nothing_and_says_so_only_then() -> None:
    world = running()
    world.consoles.logs[SERVER] = "hello\n"
    world.wish(server(desired="absent", generation=2, nics=[], disks=[]))
    assert kinds(world.step()) == ["Destroy"]
    assert world.reported()["state"] != "absent"
    assert kinds(world.settle()) == ["Unplug", "RemoveConsole", "Undefine"]
    assert (world.reported()["state"], world.reported()["generation"]) == ("absent", 2)
    assert not (world.hypervisor.machines)
    assert not (world.switch.ports)
    assert not (world.consoles.logs)


def test_absent_from_a_row_older_than_the_domain_destroys_nothing() -> None:
    world = running(generation=7)
    world.wish(server(desired="absent", generation=6))
    assert world.settle() == []
    assert world.reported()["state"] == "running"
    world.wish(server(desired="absent", generation=6), epoch=2)
    world.settle()
    assert world.reported()["state"] == "absent"


def test_a_guest_that_shut_itself_down_stays_off_until_it_is_started_again() -> None:
    world = running(generation=3)
    world.hypervisor.end(SERVER, Power.OFF_BY_GUEST)
    world.agent_dies()
    assert kinds(world.settle()) == ["SetMark"]
    entry = world.reported()
    assert (entry["state"], entry["shutdown_by_guest"], entry["generation"]) == ("stopped", True, 3)
    world.hypervisor.end(SERVER, Power.OFF, "lost with its host")  # libvirtd restarts and knows no more why it is off
    assert world.settle() == []
    assert world.reported()["shutdown_by_guest"]
    world.wish(server(desired="stopped", generation=4))
    world.settle()
    entry = world.reported()
    assert (entry["state"], entry["shutdown_by_guest"], entry["generation"]) == ("stopped", False, 4)
    world.wish(server(generation=5))
    world.settle()
    assert (world.reported()["state"], world.reported()["generation"]) == ("running", 5)


def test_a_guest_that_qemu_lost_is_started_again() -> None:
    world = running()
    world.hypervisor.end(SERVER, Power.OFF, "crashed")
    assert (world.reported()["state"], world.reported()["reason"]) == ("crashed", "crashed")
    world.settle()
    assert world.hypervisor.starts == [SERVER, SERVER]
    assert world.reported()["state"] == "running"


def test_a_guest_whose_qemu_keeps_dying_is_started_ever_later_and_at_once_when_wished_anew() -> None:
    world = running()
    for _ in range(60):
        world.step()
        if world.hypervisor.machines[SERVER].power is Power.RUNNING:
            world.hypervisor.end(SERVER, Power.OFF, "QEMU died")
        world.now += 1
    assert len(world.hypervisor.starts) == 5  # again at once, then after 4, 8, 16 s
    assert world.reported()["reason"] == "QEMU died; it died often and is started later"
    world.wish(server(generation=2, reboots=1, reboot_type="HARD"))
    world.settle()
    assert world.reported()["state"] == "running"


def test_a_host_that_rebooted_plugs_and_starts_its_guests() -> None:
    world = running()
    world.hypervisor.end(SERVER, Power.OFF, "unknown")
    world.switch.ports.clear()
    world.agent_dies()
    assert kinds(world.settle()) == ["Plug", "Define", "Start", "Resume"]


def test_stop_presses_the_button_and_keeps_the_domain() -> None:
    world = running()
    world.wish(server(desired="stopped", generation=2))
    assert kinds(world.settle()) == ["Shutdown", "Unplug", "Define"]
    assert (world.reported()["state"], world.reported()["generation"]) == ("stopped", 2)
    assert world.reported()["disks"][0]["state"] == "present"


def test_a_guest_that_ignores_the_button_is_asked_again_and_destroyed_at_the_deadline() -> None:
    world = running()
    world.hypervisor.guest(SERVER).obeys_power_button = False
    world.wish(server(desired="stopped", generation=2))
    done: list[str] = []
    for _ in range(62):
        done += kinds(world.step())
        world.now += 1
    assert done.count("Shutdown") == 6
    assert "Destroy" in done
    assert world.reported()["state"] == "stopped"


def test_start_wished_while_the_guest_is_still_going_down_starts_it() -> None:
    world = running()
    world.hypervisor.guest(SERVER).obeys_power_button = False
    world.wish(server(desired="stopped", generation=2))
    world.step()
    world.wish(server(generation=3))
    world.settle()
    world.hypervisor.end(SERVER, Power.OFF_BY_GUEST)  # it heard the first request after all
    world.settle()
    assert (world.reported()["state"], world.reported()["generation"]) == ("running", 3)


@pytest.mark.parametrize("obeys", [True, False])
def test_a_soft_reboot_counts_once_however_the_agent_dies(obeys: bool) -> None:
    world = running()
    world.hypervisor.guest(SERVER).obeys_power_button = obeys
    world.wish(server(reboots=1, generation=2))
    for _ in range(100):
        world.agent_dies() if world.now < 1010 else None
        world.step()
        world.now += 1
    assert world.hypervisor.starts == [SERVER, SERVER]
    assert (world.reported()["state"], world.reported()["reboots"], world.reported()["generation"]) == ("running", 1, 2)


def test_a_death_between_define_and_start_of_a_reboot_is_not_the_guests_shutdown() -> None:
    world = running()
    world.wish(server(reboots=1, generation=2))
    world.step()
    define = [action for action in world.plan() if not isinstance(action, p.Start)]
    world.applier.run(world.desired, define)
    assert world.hypervisor.machines[SERVER].power is Power.OFF_BY_GUEST
    world.agent_dies()
    assert not world.reported()["shutdown_by_guest"]
    world.settle()
    assert world.reported()["state"] == "running"


def test_a_hard_reboot_destroys_and_starts_even_a_held_guest() -> None:
    for power in (Power.RUNNING, Power.PAUSED):
        world = running()
        world.hypervisor.machines[SERVER].power = power
        world.wish(server(reboots=1, reboot_type="HARD", generation=2))
        assert kinds(world.settle()) == ["Destroy", "Define", "Start", "Resume"]


def test_a_guest_held_by_an_io_error_is_reported_and_left() -> None:
    world = running()
    machine = world.hypervisor.machines[SERVER]
    machine.power, machine.why = Power.PAUSED, "I/O error"
    assert world.settle() == []
    assert (world.reported()["state"], world.reported()["reason"]) == ("paused", "I/O error")


def test_a_death_between_resume_and_mark_is_made_good() -> None:
    world = World()
    world.wish(server())
    world.step()
    world.hypervisor.resume(SERVER)
    world.agent_dies()
    assert kinds(world.settle()) == ["SetMark"]
    assert world.hypervisor.machines[SERVER].mark.phase is Phase.STARTED


def test_disks_come_and_go_in_the_running_guest() -> None:
    world = running()
    world.wish(server(disks=[disk(), disk(VOLUME)]))
    assert kinds(world.settle()) == ["Attach"]
    assert [entry["state"] for entry in world.reported()["disks"]] == ["present", "present"]
    world.wish(server(disks=[disk(), disk(VOLUME, desired="absent", generation=2)]))
    assert kinds(world.settle()) == ["Detach"]
    assert [(entry["state"], entry["generation"]) for entry in world.reported()["disks"]] == [("present", 1), ("absent", 2)]


def test_a_disk_that_the_guest_keeps_is_refused_at_its_deadline_and_asked_anew_for_a_new_wish() -> None:
    world = running(disks=[disk(), disk(VOLUME)])
    world.hypervisor.guest(SERVER).lets_go_of_disks = False
    world.wish(server(disks=[disk(), disk(VOLUME, desired="absent", generation=2, detach_deadline_s=20)]))
    done: list[str] = []
    for _ in range(30):
        done += kinds(world.step())
        world.now += 1
    assert set(done) == {"Detach"}
    assert len(done) == 5
    assert world.reported()["disks"][1]["state"] == "refused"
    world.wish(server(disks=[disk(), disk(VOLUME, generation=3)]))
    assert world.settle() == []
    assert world.reported()["disks"][1]["state"] == "present"
    world.hypervisor.guest(SERVER).lets_go_of_disks = True
    world.wish(server(disks=[disk(), disk(VOLUME, desired="absent", generation=4)]))
    world.settle()
    assert world.reported()["disks"][1]["state"] == "absent"


def test_a_disk_not_listed_any_more_is_not_detached() -> None:
    world = running(disks=[disk(), disk(VOLUME)])
    world.wish(server())
    assert world.settle() == []
    assert VOLUME in world.hypervisor.machines[SERVER].live


def test_disks_of_a_stopped_server_are_in_its_configuration() -> None:
    world = running()
    world.wish(server(desired="stopped", generation=2))
    world.settle()
    world.wish(server(desired="stopped", generation=2, disks=[disk(), disk(VOLUME)]))
    assert kinds(world.settle()) == ["Define"]
    assert [entry["state"] for entry in world.reported()["disks"]] == ["present", "present"]
    world.wish(server(desired="stopped", generation=2, disks=[disk(), disk(VOLUME, desired="absent", generation=2)]))
    world.settle()
    assert [entry["state"] for entry in world.reported()["disks"]] == ["present", "absent"]


def test_limits_are_set_on_the_running_guest_and_read_back() -> None:
    world = running()
    world.wish(server(disks=[disk(limits={"total_bytes_sec": 10_000_000, "total_iops_sec": 50})]))
    assert kinds(world.settle()) == ["SetLimits"]
    limits = world.reported()["disks"][0]["limits"]
    assert (limits["total_bytes_sec"], limits["total_iops_sec"], limits["read_bytes_sec"]) == (10_000_000, 50, 0)


def test_a_failed_start_is_reported_and_tried_again_later_each_time() -> None:
    world = World()
    world.hypervisor.fail["start"] = "no such image"
    world.wish(server())
    tries = 0
    for _ in range(100):
        tries += "Start" in kinds(world.step())
        world.now += 1
    assert tries == 6  # after 2, 4, 8, 16, 32 s
    assert world.reported()["fault"] == {"code": 500, "message": "no such image"}
    world.hypervisor.fail.clear()
    assert world.step() == []
    world.wish(server(generation=2))  # a newer wish is tried at once
    world.settle()
    assert (world.reported()["state"], world.reported()["fault"]) == ("running", None)


def test_a_disk_that_cannot_be_attached_blames_the_disk_not_the_server() -> None:
    world = running()
    world.hypervisor.fail["attach"] = "no free slot"
    world.wish(server(disks=[disk(), disk(VOLUME)]))
    world.step()
    entry = world.reported()
    assert (entry["state"], entry["fault"], entry["disks"][1]["state"]) == ("running", None, "absent")
    assert entry["disks"][1]["fault"] == {"code": 500, "message": "no free slot", "tries": 1}
    world.hypervisor.fail.clear()
    world.settle_in_time(5)
    assert world.reported()["disks"][1] == {**entry["disks"][1], "state": "present", "fault": None}


def test_one_server_in_trouble_does_not_hold_up_another() -> None:
    world = World()
    world.wish(server(nics=[]), server(OTHER, nics=[nic("90000000-0000-4000-8000-000000000002", tap="tap2")]))
    world.ledger.take(SERVER)  # its action hangs
    world.settle()
    assert (world.reported()["state"], world.reported(OTHER)["state"]) == ("pending", "running")


def test_metadata_namespaces_follow_the_networks_listed() -> None:
    world = World()
    world.wish(server(), networks=[network()])
    world.settle()
    changed = network(mtu=1400)
    world.wish(server(), networks=[changed])
    assert kinds(world.settle()) == ["AddNamespace"]
    present = world.namespaces.networks[NETWORK]
    assert present is not None
    assert present.mtu == 1400
    world.wish(server())
    assert world.settle() == []  # a server here still has a NIC on it
    world.wish()
    assert world.settle() == []  # nor is one taken from a guest in quarantine
    world.switch.ports.clear()
    assert kinds(world.settle()) == ["RemoveNamespace"]


DISKS = st.lists(st.sampled_from([VOLUME, "b" * 8]), unique=True, max_size=2).flatmap(
    lambda ids: st.tuples(*[st.tuples(st.just(i), st.sampled_from(["present", "absent"]), st.integers(0, 3)) for i in ids])
)
WISH = st.tuples(st.sampled_from(["running", "stopped", "absent"]), st.booleans(), st.sampled_from(["SOFT", "HARD"]), DISKS)
EVENT = st.sampled_from(
    ["nothing", "agent dies", "dies at work", "crash", "guest shutdown", "host reboot", "io error", "deaf", "keeps disks", "unwired"]
)


def happen(world: World, event: str) -> None:
    machine = world.hypervisor.machines.get(SERVER)
    active = machine is not None and machine.power in (Power.RUNNING, Power.PAUSED)
    if event == "agent dies":
        world.agent_dies()
    elif event == "dies at work":
        actions = world.plan()
        world.applier.run(world.desired, actions[: len(actions) // 2]) if len(actions) > 1 else None
        world.agent_dies()
    elif event == "deaf":
        world.hypervisor.guest(SERVER).obeys_power_button = False
    elif event == "keeps disks":
        world.hypervisor.guest(SERVER).lets_go_of_disks = False
    elif event == "unwired":
        world.switch.installs = False
        world.switch.ports = {name: replace(tap, installed=False) for name, tap in world.switch.ports.items()}
    elif active and event in ("crash", "host reboot"):
        world.hypervisor.end(SERVER, Power.OFF, event)
        world.switch.ports = {} if event == "host reboot" else world.switch.ports
    elif active and machine is not None and machine.power is Power.RUNNING and event == "guest shutdown":
        world.hypervisor.end(SERVER, Power.OFF_BY_GUEST)
        world.guest_ended = True


def as_wished(world: World, wish: dict[str, Any]) -> bool:
    entry = world.reported()
    machine = world.hypervisor.machines.get(SERVER)
    if wish["desired"] == "absent":
        return entry["state"] == "absent" and machine is None and not world.switch.ports
    if machine is None or entry["generation"] != wish["generation"]:
        return False
    if entry["shutdown_by_guest"]:
        return wish["desired"] == "running" and machine.power is Power.OFF_BY_GUEST
    disks = machine.live if wish["desired"] == "running" else machine.config
    wanted = {entry["id"] for entry in wish["disks"] if entry["desired"] == "present"}
    refused = {seen["id"] for seen in entry["disks"] if seen["state"] == "refused"}
    state = {"running": "running", "stopped": "stopped"}[wish["desired"]]
    return entry["state"] == state and disks.keys() - refused == wanted and entry["reboots"] == wish["reboots"]


def honest(world: World) -> bool:
    """A shutdown by the guest is told only where there was one."""
    return world.guest_ended or not world.reported()["shutdown_by_guest"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WISH, EVENT, st.integers(0, 70), EVENT), min_size=1, max_size=5))
def test_whatever_happens_in_between_the_last_wish_comes_about(story: list[tuple[Any, str, int, str]]) -> None:
    world = World()
    reboots = 0
    wish: dict[str, Any] = {}
    for generation, ((desired, reboot, kind, disks), event, seconds, later) in enumerate(story, 1):
        reboots += reboot
        more = [disk(i, desired=there, generation=generation, limits={"total_iops_sec": n}) for i, there, n in disks]
        wish = server(desired=desired, generation=generation, reboots=reboots, reboot_type=kind, disks=[disk(), *more])
        world.wish(wish)
        happen(world, event)
        world.settle_in_time(seconds, lambda: not honest(world))
        happen(world, later)
        assert honest(world), (world.reported(), "no guest has shut itself down")
    world.switch.install_all()
    listed = {entry["id"] for entry in wish["disks"]}  # a disk that is not listed any more may stay
    for machine in world.hypervisor.machines.values():
        machine.live = {key: value for key, value in machine.live.items() if key in listed}
    world.settle_in_time(400, lambda: as_wished(world, wish))
    assert as_wished(world, wish), (world.reported(), world.plan())
    world.settle()
    assert world.plan() == []
