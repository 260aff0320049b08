"""The host's own Open vSwitch database, watched in one thread; the only module that touches `ovs`.

What is read is a snapshot replaced as a whole; what is written is handed to the thread and waited for.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

from compute.agent.ports import EngineAway, EngineError

sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]  # ovs would load and keep it wherever it is installed

import ovs.db.idl  # noqa: E402
import ovs.jsonrpc  # noqa: E402
import ovs.poller  # noqa: E402
import ovs.stream  # noqa: E402
from ovs import socket_util  # noqa: E402

LOG = logging.getLogger(__name__)
WRITE_S = 10.0
RETRY_S = 1.0
COLUMNS = {
    "Open_vSwitch": ["external_ids"],
    "Bridge": ["name", "ports", "datapath_type"],
    "Port": ["name", "interfaces"],
    "Interface": ["name", "external_ids", "ofport", "error", "type"],
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database has: external_ids by interface, the system's, the integration bridge's kind of datapath (None: no bridge)."""

    interfaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()  # interfaces that OVS could not open
    system: Mapping[str, str] = field(default_factory=dict)
    datapath: str | None = None


class Ovsdb:
    """A connection that is opened again whenever it is lost."""

    def __init__(self, remote: str, bridge: str) -> None:
        self._remote = remote
        self._bridge = bridge
        self._snapshot: Snapshot | None = None
        self._callback: Callable[[], None] = lambda: None
        self._work: queue.SimpleQueue[tuple[Callable[[Any], None], Future[None]]] = queue.SimpleQueue()
        self._bell, self._rope = socket_util.socket.socketpair()
        self._bell.setblocking(False)
        threading.Thread(target=self._run, name="ovsdb", daemon=True).start()

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback()` after something watched has changed; from the database's thread, must not block."""
        self._callback = callback

    def snapshot(self) -> Snapshot:
        """What the database has now. Raises EngineAway before it was ever reached."""
        snapshot = self._snapshot
        if snapshot is None:
            raise EngineAway(f"Open vSwitch's database at {self._remote} does not answer")
        return snapshot

    def put_port(self, name: str, external_ids: Mapping[str, str], *, anew: bool) -> None:
        """Have interface `name` on the bridge with these external_ids; `anew` drops a row that an older device left behind."""
        self._write(lambda idl: self._put(idl, name, dict(external_ids), anew))

    def drop_port(self, name: str) -> None:
        """Take a port from the bridge; nothing if it is gone."""
        self._write(lambda idl: self._drop(idl, name))

    def _write(self, work: Callable[[Any], None]) -> None:
        done: Future[None] = Future()
        self._work.put((work, done))
        self._rope.send(b"!")
        try:
            done.result(WRITE_S)
        except FutureTimeoutError:
            done.cancel()
            raise EngineAway(f"Open vSwitch's database at {self._remote} does not answer") from None

    def _run(self) -> None:
        while True:
            try:
                self._watch(self._open())
            except Exception as error:  # whatever it is, the switch must be found again
                self._snapshot = None
                LOG.warning("Open vSwitch's database at %s: %s", self._remote, error)
                self._callback()
                threading.Event().wait(RETRY_S)

    def _open(self) -> Any:
        """An IDL that watches our columns. Raises EngineAway."""
        error, stream = ovs.stream.Stream.open_block(ovs.stream.Stream.open(self._remote), timeout=2000)
        if error:
            raise EngineAway(f"cannot connect: error {error}")
        rpc = ovs.jsonrpc.Connection(stream)
        request = ovs.jsonrpc.Message.create_request("get_schema", ["Open_vSwitch"])
        error, reply = rpc.transact_block(request)
        rpc.close()
        if error or reply.error:
            raise EngineAway(f"cannot read the schema: {error or reply.error}")
        helper = ovs.db.idl.SchemaHelper(schema_json=reply.result)
        for table, columns in COLUMNS.items():
            helper.register_columns(table, columns)
        return ovs.db.idl.Idl(self._remote, helper)

    def _watch(self, idl: Any) -> None:
        seen, was_connected = None, False
        while True:
            idl.run()
            connected = idl.has_ever_connected() and idl._session.is_connected()
            if was_connected and not connected:
                raise EngineAway("the connection is lost")
            was_connected = connected
            if connected and idl.change_seqno != seen:
                seen = idl.change_seqno
                self._snapshot = self._read(idl)
                self._callback()
            if connected:
                self._work_off(idl)
            poller = ovs.poller.Poller()
            idl.wait(poller)
            poller.fd_wait(self._bell.fileno(), ovs.poller.POLLIN)
            if self._work.empty() and idl.change_seqno == seen:
                poller.block()

    def _work_off(self, idl: Any) -> None:
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            pass
        while not self._work.empty():
            work, done = self._work.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                work(idl)
                self._snapshot = self._read(idl)  # who wrote reads what it wrote
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _read(self, idl: Any) -> Snapshot:
        rows = {row.name: row for row in idl.tables["Interface"].rows.values()}
        bridge = self._find_bridge(idl)
        return Snapshot(
            interfaces={name: dict(row.external_ids) for name, row in rows.items()},
            broken=frozenset(name for name, row in rows.items() if row.error or row.ofport == [-1]),
            system=next((dict(row.external_ids) for row in idl.tables["Open_vSwitch"].rows.values()), {}),
            datapath=bridge.datapath_type if bridge is not None else None,
        )

    def _find_bridge(self, idl: Any) -> Any:
        return next((row for row in idl.tables["Bridge"].rows.values() if row.name == self._bridge), None)

    def _put(self, idl: Any, name: str, external_ids: dict[str, str], anew: bool) -> None:
        bridge = self._find_bridge(idl)
        if bridge is None:
            raise EngineAway(f"there is no bridge {self._bridge} yet")
        old = [port for port in bridge.ports if port.name == name]
        transaction = ovs.db.idl.Transaction(idl)
        if old and not anew:
            interface = old[0].interfaces[0]
            for key, value in external_ids.items():
                interface.setkey("external_ids", key, value)
        else:
            for port in old:
                bridge.delvalue("ports", port)
            interface = transaction.insert(idl.tables["Interface"])
            interface.name, interface.external_ids = name, external_ids
            port = transaction.insert(idl.tables["Port"])
            port.name, port.interfaces = name, [interface]
            bridge.addvalue("ports", port)
        self._commit(transaction, f"plug {name}")

    def _drop(self, idl: Any, name: str) -> None:
        transaction = ovs.db.idl.Transaction(idl)
        for bridge in idl.tables["Bridge"].rows.values():
            for port in bridge.ports:
                if port.name == name:
                    bridge.delvalue("ports", port)
        self._commit(transaction, f"unplug {name}")

    @staticmethod
    def _commit(transaction: Any, what: str) -> None:
        status = transaction.commit_block()
        done = (ovs.db.idl.Transaction.SUCCESS, ovs.db.idl.Transaction.UNCHANGED)
        if status not in done:
            error = transaction.get_error()
            again = status in (ovs.db.idl.Transaction.TRY_AGAIN, ovs.db.idl.Transaction.NOT_LOCKED)
            raise (EngineAway if again else EngineError)(f"Open vSwitch did not {what}: {status} {error or ''}".strip())
