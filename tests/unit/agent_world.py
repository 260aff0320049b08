"""Builders for the agent's tests: documents, and a whole host in memory whose clock the test moves."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from compute.agent.apply import Applier
from compute.agent.document import Document, parse
from compute.agent.memory import MemoryConsoles, MemoryHypervisor, MemoryNamespaces, MemorySwitch
from compute.agent.observe import Host, Ledger, observe
from compute.agent.observed import Observed
from compute.agent.plan import Action, plan
from compute.agent.ports import Refused, Unreachable
from compute.agent.report import make
from compute.agent.signing import canonical, verify

SERVER = "5e000000-0000-4000-8000-000000000001"
OTHER = "5e000000-0000-4000-8000-000000000002"
NETWORK = "4e000000-0000-4000-8000-000000000001"
PORT = "90000000-0000-4000-8000-000000000001"


def disk(id: str = "root", **changes: Any) -> dict[str, Any]:
    return {
        "id": id, "generation": 1, "serial": id[:20], "device": "vda" if id == "root" else "vdb", "boot": id == "root", "desired": "present",
        "detach_deadline_s": 60, "pool": "vms", "image": f"{id}_disk", "size_gib": 1, "limits": {}, **changes,
    }  # fmt: skip


def nic(port_id: str = PORT, **changes: Any) -> dict[str, Any]:
    return {
        "port_id": port_id, "generation": 1, "mac": "fa:16:3e:00:00:01", "tap": f"tap{port_id[:11]}", "mtu": 1442, "network_id": NETWORK,
        "fixed_ips": [{"ip": "10.0.0.11", "prefix": 24, "version": 4}], **changes,
    }  # fmt: skip


def server(id: str = SERVER, **changes: Any) -> dict[str, Any]:
    return {
        "id": id, "generation": 1, "name": "vm", "project_id": "p", "user_id": "u", "hostname": "vm", "desired": "running", "reboots": 0,
        "reboot_type": "SOFT", "startable": True, "vcpus": 1, "memory_mib": 128, "machine": {"firmware": "bios"}, "disks": [disk()],
        "nics": [nic()], "metadata": {"meta": {}, "public_keys": {}}, **changes,
    }  # fmt: skip


def network(id: str = NETWORK, **changes: Any) -> dict[str, Any]:
    return {
        "id": id, "mtu": 1442, "metadata_port": {"id": f"md-{id}", "mac": "fa:16:3e:00:00:fe", "ips": ["10.0.0.2"]}, **changes,
    }  # fmt: skip


def raw_document(*servers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    rest = {
        "epoch": 1, "host": {"id": "h", "name": "hv1", "chassis": "hv1"}, "servers": list(servers), "networks": [], "questions": [], **changes,
    }  # fmt: skip
    return {**rest, "digest": hashlib.sha256(canonical(rest)).hexdigest()}


def document(*servers: dict[str, Any], **changes: Any) -> Document:
    return parse(raw_document(*servers, **changes))


class World:
    """A host in memory, its agent's parts in one thread, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.authority = True
        self.hypervisor = MemoryHypervisor()
        self.switch = MemorySwitch()
        self.namespaces = MemoryNamespaces()
        self.consoles = MemoryConsoles()
        self.host = Host(self.hypervisor, self.switch, self.namespaces, self.consoles)
        self.desired = document()
        self.guest_ended = False
        self.agent_dies()

    def agent_dies(self) -> None:
        """What the agent remembers is gone; the host is as it was."""
        self.ledger = Ledger(lambda: self.now)
        self.applier = Applier(self.host, self.ledger, lambda: self.authority, lambda: self.now)

    def wish(self, *servers: dict[str, Any], **changes: Any) -> None:
        self.desired = document(*servers, **changes)

    def observe(self) -> Observed:
        return observe(self.host, self.ledger, self.desired, 60.0)

    def plan(self) -> list[Action]:
        return plan(self.desired, self.observe(), self.now, authority=self.authority)

    def step(self) -> list[Action]:
        """One look; returns what was done."""
        actions = self.plan()
        for subject in dict.fromkeys(action.subject for action in actions):
            self.applier.run(self.desired, [action for action in actions if action.subject == subject])
        return actions

    def settle(self, rounds: int = 12) -> list[Action]:
        """Look until there is nothing to do; returns all that was done."""
        done: list[Action] = []
        for _ in range(rounds):
            actions = self.step()
            if not actions:
                return done
            done += actions
        raise AssertionError(f"not settled after {rounds} rounds: {actions}")

    def settle_in_time(self, seconds: float = 600.0, until: Callable[[], bool] = lambda: False) -> None:
        """Look once a second for so long, or until it holds."""
        end = self.now + seconds
        while self.now < end and not until():
            self.step()
            self.now += 1.0

    def report(self) -> dict[str, Any]:
        return make(self.desired, self.observe(), self.now, authority=self.authority, address="172.31.0.11", resources={})

    def reported(self, id: str = SERVER) -> dict[str, Any]:
        return next(entry for entry in self.report()["servers"] if entry["id"] == id)


class FakeController:
    """The controller's side in this process: believes keys, counts lives, keeps reports. `away` gives no answer, `deaf` loses the answer."""

    def __init__(self) -> None:
        self.raw = raw_document()
        self.away = False
        self.deaf = False
        self.refuses = False
        self.again = False
        self.epoch = 0
        self.seq = 0
        self.stamp = 0
        self.key = ""
        self.pulls = 0
        self.reports: list[dict[str, Any]] = []

    def wish(self, *servers: dict[str, Any], **changes: Any) -> None:
        self.raw = raw_document(*servers, **changes)

    def register(self, host_id: str, name: str, public_key: str, stamp: int, signature: str) -> Mapping[str, Any]:
        self._answers()
        if not verify(public_key, signature, host_id, 0, stamp, {"name": name, "public_key": public_key}):
            raise Refused("wrong signature")
        if stamp <= self.stamp:
            raise Refused(f"registration {stamp} is not newer than {self.stamp}")
        self.key, self.epoch, self.seq, self.stamp, self.refuses = public_key, self.epoch + 1, 0, stamp, False
        if self.deaf:
            raise Unreachable("the answer was lost")
        return {"agent_epoch": self.epoch}

    def pull(self, host_id: str, agent_epoch: int, seq: int, digest: str | None, signature: str) -> Mapping[str, Any]:
        self._heard(host_id, agent_epoch, seq, digest, signature)
        self.pulls += 1
        return {"unchanged": True} if digest == self.raw["digest"] else self.raw

    def report(self, host_id: str, agent_epoch: int, seq: int, body: Mapping[str, Any], signature: str) -> Mapping[str, Any]:
        self._heard(host_id, agent_epoch, seq, body, signature)
        self.reports.append(json.loads(json.dumps(body)))
        again, self.again = self.again, False
        return {"pull": True} if again else {}

    def last(self, server_id: str = SERVER) -> dict[str, Any]:
        """What was last reported of a server under the present document; empty if nothing was."""
        for report in reversed(self.reports[-1:]):
            if report["digest"] == self.raw["digest"]:
                return next((entry for entry in report["servers"] if entry["id"] == server_id), {})
        return {}

    def _answers(self) -> None:
        if self.away:
            raise Unreachable("no answer in 10 s")

    def _heard(self, host_id: str, agent_epoch: int, seq: int, body: Any, signature: str) -> None:
        self._answers()
        if self.refuses or agent_epoch != self.epoch or seq <= self.seq:
            raise Refused(f"life {agent_epoch}, message {seq} is not newer than {self.epoch}, {self.seq}")
        if not verify(self.key, signature, host_id, agent_epoch, seq, body):
            raise Refused("wrong signature")
        self.seq = seq
        if self.deaf:
            raise Unreachable("the answer was lost")


def wait_for(holds: Callable[[], object], seconds: float = 20) -> None:
    """Look until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
