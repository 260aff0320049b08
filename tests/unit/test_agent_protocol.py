"""The talk with the controller and the loop around the rules, on real threads and the twin in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.clock import boottime
from compute.agent import loop
from compute.agent.document import Document
from compute.agent.loop import Agent
from compute.agent.observed import Power
from compute.agent.protocol import AUTHORITY_S, REPORT_AGAIN_S, Courier
from compute.agent.state import Identity, StateDir
from tests.unit.agent_world import OTHER, SERVER, FakeController, World, nic, raw_document, server, wait_for


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return StateDir(str(tmp_path)).identity()


class Talk:
    """A courier that is stepped by hand on a clock of the test's."""

    def __init__(self, identity: Identity) -> None:
        self.now = 100.0
        self.controller = FakeController()
        self.courier = Courier(self.controller, identity, "hv1", clock=lambda: self.now, tick_s=10)
        self.taken: list[Document] = []
        self.courier.on_document = self.taken.append


def test_it_registers_pulls_once_and_then_on_ticks_and_wakes(identity: Identity) -> None:
    talk = Talk(identity)
    talk.controller.wish(server())
    talk.courier.step()
    assert (talk.controller.epoch, talk.controller.pulls) == (1, 1)
    assert SERVER in talk.taken[0].servers
    talk.courier.step()
    assert talk.controller.pulls == 1
    talk.courier.wake()
    talk.courier.step()
    talk.now += 10
    talk.courier.step()
    assert talk.controller.pulls == 3
    assert {document.digest for document in talk.taken} == {talk.controller.raw["digest"]}


def test_authority_lasts_30_s_from_before_the_pull_and_unchanged_renews_it(identity: Identity) -> None:
    talk = Talk(identity)
    assert not talk.courier.authority()
    talk.courier.step()
    talk.now += AUTHORITY_S - 1
    assert talk.courier.authority()
    talk.controller.away = True
    talk.courier.step()
    talk.now += 1
    assert not talk.courier.authority()
    talk.controller.away = False
    talk.courier.step()
    assert talk.courier.authority()


def test_a_report_is_repeated_until_it_is_answered_then_only_when_it_changes(identity: Identity) -> None:
    talk = Talk(identity)
    talk.courier.step()
    talk.courier.submit({"n": 1})
    talk.controller.deaf = True
    talk.courier.step()
    talk.courier.step()
    assert len(talk.controller.reports) == 0
    talk.controller.deaf = False
    talk.courier.step()
    talk.courier.submit({"n": 1})
    talk.courier.step()
    assert talk.controller.reports == [{"n": 1}]
    talk.courier.submit({"n": 2})
    talk.courier.step()
    talk.now += REPORT_AGAIN_S
    talk.courier.step()
    assert talk.controller.reports == [{"n": 1}, {"n": 2}, {"n": 2}]


def test_an_answer_may_ask_for_a_pull(identity: Identity) -> None:
    talk = Talk(identity)
    talk.courier.step()
    talk.controller.again = True
    talk.courier.submit({"n": 1})
    talk.courier.step()
    talk.courier.step()
    assert talk.controller.pulls == 2


def test_a_refused_agent_registers_anew_and_says_everything_again(identity: Identity) -> None:
    talk = Talk(identity)
    talk.courier.step()
    talk.courier.submit({"n": 1})
    talk.courier.step()
    talk.controller.refuses = True
    talk.courier.wake()
    talk.courier.step()
    talk.courier.step()
    assert (talk.controller.epoch, talk.controller.reports) == (2, [{"n": 1}, {"n": 1}])


def test_a_registration_whose_answer_was_lost_is_made_anew_with_a_newer_stamp(identity: Identity) -> None:
    talk = Talk(identity)
    talk.controller.deaf = True
    talk.courier.step()
    assert (talk.controller.epoch, talk.controller.pulls) == (1, 0)
    first = talk.controller.stamp
    talk.controller.deaf = False
    talk.courier.step()
    assert (talk.controller.epoch, talk.controller.pulls) == (2, 1)
    assert talk.controller.stamp > first


def test_a_refused_registration_is_tried_again_with_a_newer_stamp(identity: Identity) -> None:
    talk = Talk(identity)
    talk.controller.stamp = identity.stamps.next() + 2**60  # it has heard of a time that has not come yet
    talk.courier.step()
    assert talk.controller.epoch == 0
    talk.controller.stamp = 0
    talk.courier.step()
    assert (talk.controller.epoch, talk.controller.pulls) == (1, 1)


def test_an_answer_that_is_not_understood_changes_nothing_and_gives_no_authority(identity: Identity) -> None:
    talk = Talk(identity)
    talk.controller.wish(server())
    talk.courier.step()
    good = talk.courier.document
    talk.controller.raw = {**raw_document(), "servers": "all of them"}
    talk.now += AUTHORITY_S
    talk.courier.step()
    assert talk.courier.document is good
    assert not talk.courier.authority()


def test_one_bad_entry_takes_no_authority_and_is_told_once(identity: Identity, caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(identity)
    told = []
    for name in ("a", "a", "b"):  # the last is another document with the same fault in it
        talk.controller.wish(server(vcpus=-1), server(OTHER, name=name))
        talk.now += AUTHORITY_S
        caplog.clear()
        talk.courier.step()
        told.append([record.message for record in caplog.records if record.levelname == "ERROR"])
        assert talk.courier.authority()
        assert talk.courier.document is not None
        assert talk.courier.document.digest == talk.controller.raw["digest"]
        assert list(talk.courier.document.servers) == [OTHER]
    assert (len(told[0]), told[1:]) == (1, [[], []])
    assert SERVER in told[0][0]
    assert "server.vcpus is -1" in told[0][0]


class Life:
    """An agent with its threads, as main() puts it together."""

    def __init__(self, world: World, controller: FakeController, identity: Identity, tick_s: float = 0.2) -> None:
        self.courier = Courier(controller, identity, "hv1", clock=boottime, tick_s=tick_s)
        self.agent = Agent(world.host, self.courier, clock=boottime, address="a", hostname="hv1", shutdown_s=60.0, tick_s=tick_s)
        self.courier.on_document = lambda _: self.agent.look()
        self.threads = [threading.Thread(target=self.courier.run), threading.Thread(target=self.agent.run)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.agent.stop()
        self.courier.stop()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def controller() -> FakeController:
    return FakeController()


@pytest.fixture
def life(world: World, controller: FakeController, identity: Identity) -> Iterator[Life]:
    life = Life(world, controller, identity)
    yield life
    life.end()


def wish(life: Life, controller: FakeController, *servers: dict[str, object], **changes: object) -> None:
    controller.wish(*servers, **changes)
    life.courier.wake()


def test_from_a_wake_to_running_no_step_waits_for_a_tick(
    world: World, controller: FakeController, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WATCH_S", 3600.0)
    life = Life(world, controller, identity, tick_s=3600.0)
    try:
        wait_for(lambda: controller.reports)
        wish(life, controller, server())
        wait_for(lambda: controller.last().get("state") == "running")
        assert controller.reports[-1]["resources"]["hostname"] == "hv1"
    finally:
        life.end()


def test_a_slow_destroy_of_one_holds_up_no_other(life: Life, world: World, controller: FakeController) -> None:
    wish(life, controller, server())
    wait_for(lambda: controller.last().get("state") == "running")
    over = threading.Event()
    destroy = world.hypervisor.destroy
    world.hypervisor.destroy = lambda server_id: (over.wait(60), destroy(server_id))[1]  # type: ignore[method-assign]
    other = server(OTHER, nics=[nic("90000000-0000-4000-8000-000000000002", tap="tap2")])
    wish(life, controller, server(desired="absent", generation=2), other)
    wait_for(lambda: controller.last(OTHER).get("state") == "running")
    assert controller.last()["state"] == "running"
    over.set()
    wait_for(lambda: controller.last().get("state") == "absent")


def test_a_bus_that_is_away_stops_nothing_that_runs(life: Life, world: World, controller: FakeController) -> None:
    wish(life, controller, server())
    wait_for(lambda: controller.last().get("state") == "running")
    controller.away = True
    time.sleep(0.5)
    assert world.hypervisor.machines[SERVER].power is Power.RUNNING
    world.hypervisor.end(SERVER, Power.OFF, "crashed")  # within its authority it goes on by itself
    wait_for(lambda: world.hypervisor.machines[SERVER].power is Power.RUNNING)
    controller.away = False
    controller.reports.clear()
    controller.wish(server(desired="stopped", generation=2))
    wait_for(lambda: controller.last().get("state") == "stopped")


def test_a_libvirtd_that_is_away_is_waited_for(life: Life, world: World, controller: FakeController) -> None:
    world.hypervisor.away = True
    wish(life, controller, server())
    time.sleep(0.3)
    assert controller.last() == {}
    world.hypervisor.away = False
    wait_for(lambda: controller.last().get("state") == "running")
    assert controller.last()["fault"] is None


def test_a_new_life_without_an_answer_does_nothing(world: World, controller: FakeController, identity: Identity) -> None:
    controller.wish(server())
    controller.away = True
    life = Life(world, controller, identity)
    try:
        time.sleep(0.5)
        assert world.hypervisor.machines == {}
    finally:
        life.end()


def test_questions_are_answered_until_they_are_gone(life: Life, world: World, controller: FakeController) -> None:
    world.consoles.logs[SERVER] = "one\ntwo\n"
    asked = [
        {"id": "q1", "kind": "console_output", "server_id": SERVER, "length": 1},
        {"id": "q2", "kind": "console_output", "server_id": OTHER, "length": None},
        {"id": "q3", "kind": "screenshot", "server_id": SERVER, "length": None},
    ]
    asked.append({"id": "q4", "kind": "console_output", "server_id": SERVER, "length": -1})
    wish(life, controller, server(), questions=asked)
    wait_for(lambda: controller.reports and controller.reports[-1]["answers"])
    assert controller.reports[-1]["answers"] == [
        {"id": "q1", "output": "two\n", "error": None},
        {"id": "q2", "output": "", "error": None},
        {"id": "q3", "output": None, "error": "this agent cannot answer 'screenshot'"},
        {"id": "q4", "output": None, "error": "question.length is -1, not a whole number"},
    ]
    wish(life, controller, server())
    wait_for(lambda: controller.reports[-1]["answers"] == [])
