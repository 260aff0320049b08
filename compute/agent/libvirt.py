"""The one module that talks to libvirt. A connection that died is opened again at the next look, its events registered anew.

Facts about a domain are kept until an event names it; libvirt's own state is what counts after each reconnection.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from compute.agent.document import Disk, Server
from compute.agent.domain_xml import NAMESPACE, Builder, mark_element, read_disks, read_foreign_disks, read_mark
from compute.agent.limits import Limits
from compute.agent.observed import Domain, Mark, ObservedDisk, Power, Seen
from compute.agent.ports import EngineAway, EngineError

LOG = logging.getLogger(__name__)
REFRESH_S = 30.0  # for what changed without an event
UNSURE_S = 20.0  # a libvirtd that has just started loses guests without telling
OFF_REASONS = {
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "QEMU died",
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: "QEMU could not be started",
    libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN: "lost with its host",
}
PAUSED_REASONS = {libvirt.VIR_DOMAIN_PAUSED_IOERROR: "I/O error on a disk", libvirt.VIR_DOMAIN_PAUSED_USER: "paused from outside"}
EVENTS = (
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR,
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE,
)

_loop_lock = threading.Lock()
_loop_runs = False


def run_event_loop() -> None:
    """Run libvirt's event loop in a thread of this process; must be called before the first connection is opened."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(lambda *_: None, None)  # it would print to stderr what we raise
        threading.Thread(target=_spin, name="libvirt-events", daemon=True).start()
        _loop_runs = True


def _spin() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


class LibvirtHypervisor:
    """`ports.Hypervisor` on libvirt. `on_connect` gets each new connection before it is used (secrets)."""

    def __init__(self, uri: str, builder: Builder, on_connect: Callable[[Any], None] = lambda _: None) -> None:
        run_event_loop()
        self._uri = uri
        self._builder = builder
        self._on_connect = on_connect
        self._lock = threading.RLock()
        self._conn: Any = None
        self._callback: Callable[[str | None], None] = lambda _: None
        self._facts: dict[str, Domain | str | None] = {}  # of one that is not ours its name, None of one that is gone
        self._dirty: set[str] = set()
        self._refresh_at = 0.0
        self._sure_at = 0.0

    def on_change(self, callback: Callable[[str | None], None]) -> None:
        self._callback = callback

    def domains(self) -> Seen:
        with self._engine() as conn:
            handles = {handle.UUIDString(): handle for handle in conn.listAllDomains()}
            known = self._still_known(handles.keys())
            for key in handles.keys() - known.keys():
                known[key] = self._read(handles[key])
            with self._lock:
                self._facts = known
        ours = {key: fact for key, fact in known.items() if isinstance(fact, Domain)}
        return Seen(ours, {key: fact for key, fact in known.items() if isinstance(fact, str)})

    def _still_known(self, present: Collection[str]) -> dict[str, Domain | str | None]:
        """The facts that no event and no age has undone; the others stay unknown even if reading them fails."""
        with self._lock:
            now = time.monotonic()
            if now >= self._refresh_at or now < self._sure_at:
                self._facts, self._refresh_at = {}, now + REFRESH_S
            self._facts = {key: fact for key, fact in self._facts.items() if key in present and key not in self._dirty}
            self._dirty = set()
            return dict(self._facts)

    def define(self, server: Server, mark: Mark) -> None:
        with self._engine(server.id) as conn:
            conn.defineXML(self._builder.domain(server, mark))

    def start(self, server_id: str) -> None:
        with self._domain(server_id) as domain:
            if not domain.isActive():
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def resume(self, server_id: str) -> None:
        with self._domain(server_id) as domain:
            if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
                domain.resume()

    def set_mark(self, server_id: str, mark: Mark) -> None:
        text = ET.tostring(mark_element(mark, "server"), encoding="unicode")
        with self._domain(server_id) as domain:
            flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG | (libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0)
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, "wolke", NAMESPACE, flags)

    def shutdown(self, server_id: str) -> None:
        with self._domain(server_id) as domain, _unless_inactive(domain):
            domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def destroy(self, server_id: str) -> None:
        with self._domain(server_id) as domain, _unless_inactive(domain):
            domain.destroy()

    def undefine(self, server_id: str) -> None:
        flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        with self._engine(server_id) as conn:
            try:
                domain = conn.lookupByUUIDString(server_id)
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return
                raise
            if domain.isActive():
                raise EngineError(f"domain {server_id} is active; it is ended before it is removed")
            domain.undefineFlags(flags)

    def attach(self, server_id: str, disk: Disk) -> None:
        with self._domain(server_id) as domain:
            if disk.id not in read_disks(_parse(domain.XMLDesc()), live=True):
                text = ET.tostring(self._builder.disk(disk), encoding="unicode")
                domain.attachDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach(self, server_id: str, disk_id: str) -> None:
        with self._domain(server_id) as domain:
            if disk_id not in read_disks(_parse(domain.XMLDesc()), live=True):
                return
            try:
                domain.detachDeviceAlias(f"ua-{disk_id}", libvirt.VIR_DOMAIN_AFFECT_LIVE)
            except libvirt.libvirtError as error:
                if "in the process of unplug" not in str(error):
                    raise

    def set_limits(self, server_id: str, disk_id: str, limits: Limits) -> Limits:
        with self._domain(server_id) as domain:
            disk = read_disks(_parse(domain.XMLDesc()), live=True).get(disk_id)
            if disk is None:
                raise EngineError(f"domain {server_id} has no disk {disk_id}")
            conflict = limits.conflict()
            if conflict is not None:
                raise EngineError(conflict)
            domain.setBlockIoTune(disk.device, limits.as_dict(), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            return _limits_of(domain, disk.device)

    def resources(self) -> Mapping[str, Any]:
        with self._engine() as conn:
            _, memory_mib, vcpus, *_ = conn.getInfo()
            return {
                "vcpus": vcpus,
                "memory_mib": memory_mib,
                "hypervisor_type": "QEMU",
                "hypervisor_version": conn.getVersion(),
                "cpu_info": _cpu_info(conn.getCapabilities()),
            }

    def _read(self, handle: Any) -> Domain | str | None:
        """The facts of one domain; its name when it is not ours, None when it is gone meanwhile."""
        try:
            state, reason = handle.state()
            root = _parse(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
            mark = read_mark(root)
            if mark is None:
                return str(handle.name())
            power, why = _power(state, reason)
            active = power in (Power.RUNNING, Power.PAUSED)
            disks = dict(read_disks(root, live=active))
            config = disks
            if active:
                config = dict(read_disks(_parse(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)), live=False))
                disks = {key: _with_limits(handle, disk) for key, disk in disks.items()}
            foreign = read_foreign_disks(root) if active else frozenset()
            return Domain(handle.UUIDString(), power, mark, disks, frozenset(config), why, foreign)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    @contextmanager
    def _engine(self, touched: str | None = None) -> Iterator[Any]:
        """A live connection; libvirt's errors as ours. What was known of `touched` is forgotten afterwards."""
        try:
            conn = self._connection()
            yield conn
        except libvirt.libvirtError as error:
            if self._is_away():
                raise EngineAway(f"libvirtd does not answer: {error}") from None
            raise EngineError(str(error)) from None
        finally:
            if touched is not None:
                with self._lock:
                    self._dirty.add(touched)

    @contextmanager
    def _domain(self, server_id: str) -> Iterator[Any]:
        with self._engine(server_id) as conn:
            yield conn.lookupByUUIDString(server_id)

    def _is_away(self) -> bool:
        with self._lock:
            conn = self._conn
        try:
            return conn is None or not conn.isAlive()
        except libvirt.libvirtError:
            return True

    def _connection(self) -> Any:
        with self._lock:
            if self._conn is not None and not self._is_away():
                return self._conn
            self._conn = None
            conn = libvirt.open(self._uri)
            conn.setKeepAlive(5, 3)
            self._on_connect(conn)
            conn.registerCloseCallback(self._closed, None)
            for event in EVENTS:
                conn.domainEventRegisterAny(None, event, self._changed, None)
            self._facts, self._dirty, self._conn = {}, set(), conn
            self._sure_at = time.monotonic() + UNSURE_S
            LOG.info("connected to libvirt at %s", self._uri)
            return conn

    def _closed(self, conn: Any, reason: int, _opaque: object) -> None:
        LOG.warning("the connection to libvirt closed (reason %d)", reason)
        with self._lock:
            if self._conn is conn:
                self._conn = None
        self._callback(None)

    def _changed(self, _conn: Any, domain: Any, *_details: object) -> None:
        server_id = domain.UUIDString()
        with self._lock:
            self._dirty.add(server_id)
        self._callback(server_id)


@contextmanager
def _unless_inactive(domain: Any) -> Iterator[None]:
    """Passes over an error whose cause is that the domain has no QEMU (any more)."""
    try:
        yield
    except libvirt.libvirtError:
        if domain.isActive():
            raise


def _parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - libvirt's own output


def _power(state: int, reason: int) -> tuple[Power, str]:
    if state == libvirt.VIR_DOMAIN_PAUSED:
        return Power.PAUSED, PAUSED_REASONS.get(reason, "paused")
    if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_NOSTATE):
        if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN:
            return Power.OFF_BY_GUEST, ""
        return Power.OFF, OFF_REASONS.get(reason, "off")
    return Power.RUNNING, ""  # running, blocked, being shut down, suspended by its guest


def _limits_of(handle: Any, device: str) -> Limits:
    return Limits.of(handle.blockIoTune(device, libvirt.VIR_DOMAIN_AFFECT_LIVE))


def _with_limits(handle: Any, disk: ObservedDisk) -> ObservedDisk:
    """The disk with what QEMU itself says; what libvirt remembers where QEMU is occupied, for asking would wait on it."""
    with suppress(libvirt.libvirtError):
        if handle.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_OK:
            return ObservedDisk(disk.id, disk.device, _limits_of(handle, disk.device), disk.live)
    return disk


def _cpu_info(capabilities: str) -> dict[str, Any]:
    cpu = _parse(capabilities).find("host/cpu")
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    return {
        "arch": cpu.findtext("arch"),
        "model": cpu.findtext("model"),
        "vendor": cpu.findtext("vendor"),
        "topology": {key: int(value) for key, value in topology.items() if value.isdigit()} if topology is not None else {},
        "features": sorted(feature.get("name", "") for feature in cpu.iterfind("feature")),
    }


def define_ceph_secret(conn: Any, uuid: str, user: str, key: bytes) -> None:
    """Give libvirt the host's cephx key, in its memory only; it is lost with libvirtd, hence given at each connection."""
    text = f"<secret ephemeral='yes' private='yes'><uuid>{uuid}</uuid><usage type='ceph'><name>client.{user}</name></usage></secret>"
    conn.secretDefineXML(text).setValue(key)
    LOG.info("libvirt has the key of client.%s", json.dumps(user))
