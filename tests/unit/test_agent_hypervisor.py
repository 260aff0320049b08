"""What the libvirt hypervisor remembers between two looks, on a libvirt of this process that dies when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest

from compute.agent import libvirt as house
from compute.agent.domain_xml import NAMESPACE, Builder
from compute.agent.memory import MemoryConsoles, MemoryNamespaces, MemorySwitch
from compute.agent.observe import Host, Ledger, observe
from compute.agent.observed import Seen
from compute.agent.ports import EngineError
from compute.agent.report import make
from tests.unit.agent_world import OTHER, SERVER, disk, document, server

OURS = f"<server xmlns='{NAMESPACE}' epoch='1' generation='1' reboots='0' phase='started'/>"


class Handle:
    """One domain without QEMU; `mark` is its metadata element."""

    def __init__(self, server_id: str, mark: str) -> None:
        self.id, self.mark, self.broken = server_id, mark, False

    def UUIDString(self) -> str:
        return self.id

    def name(self) -> str:
        return f"wolke-{self.id}"

    def state(self) -> tuple[int, int]:
        if self.broken:
            raise libvirt.libvirtError("cannot acquire state change lock")
        return libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED

    def XMLDesc(self, _flags: int = 0) -> str:
        return f"<domain><metadata>{self.mark}</metadata></domain>"


class Connection:
    """One connection to a libvirtd that has `handles`."""

    def __init__(self, handles: list[Handle]) -> None:
        self.handles, self.alive = handles, True

    def listAllDomains(self) -> list[Handle]:
        return self.handles

    def isAlive(self) -> bool:
        return self.alive

    def setKeepAlive(self, *_: object) -> None:
        pass

    def registerCloseCallback(self, *_: object) -> None:
        pass

    def domainEventRegisterAny(self, *_: object) -> None:
        pass


class Reconnected(house.LibvirtHypervisor):
    """Whose connection dies after each look, and is opened anew by another thread's action before the look's caller goes on."""

    def domains(self) -> Seen:
        seen = super().domains()
        self._conn.alive = False
        self._connection()
        return seen


@pytest.fixture
def hypervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., house.LibvirtHypervisor]:
    def on(kind: type[house.LibvirtHypervisor], *handles: Handle) -> house.LibvirtHypervisor:
        monkeypatch.setattr(house, "run_event_loop", lambda: None)
        monkeypatch.setattr(libvirt, "open", lambda _uri: Connection(list(handles)))
        return kind("test:///", Builder("qemu", lambda _: ET.Element("source"), lambda _: tmp_path / "log"))

    return on


@pytest.mark.parametrize("desired", ["running", "absent"])
def test_a_domain_without_its_mark_is_seen_though_the_connection_is_opened_anew(
    desired: str, hypervisor: Callable[..., house.LibvirtHypervisor]
) -> None:
    host = Host(hypervisor(Reconnected, Handle(SERVER, "")), MemorySwitch(), MemoryNamespaces(), MemoryConsoles())
    wish = document(server(desired=desired, disks=[disk()], nics=[]))
    seen = observe(host, Ledger(lambda: 1.0), wish, 60.0)
    assert seen.usurper(SERVER) == f"wolke-{SERVER}"
    said = make(wish, seen, 1.0, authority=True, address="172.31.0.11", resources={})
    assert said["servers"][0]["state"] == "pending"


def test_what_an_event_named_is_read_anew_though_a_look_failed(
    hypervisor: Callable[..., house.LibvirtHypervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "UNSURE_S", 0.0)
    changed, broken = Handle(SERVER, OURS), Handle(OTHER, OURS)
    looked = hypervisor(house.LibvirtHypervisor, broken, changed)
    assert set(looked.domains().ours) == {SERVER, OTHER}
    changed.mark, broken.broken = "", True
    for handle in (changed, broken):
        looked._changed(None, handle)
    with pytest.raises(EngineError, match="state change lock"):
        looked.domains()
    broken.broken = False
    seen = looked.domains()
    assert (set(seen.ours), seen.foreign) == ({OTHER}, {SERVER: f"wolke-{SERVER}"})
