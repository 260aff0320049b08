"""Connections to OVN's databases: a replica in memory, indexed by our ids, and one-shot transactions.

The only place that knows ovsdbapp and the `ovs` library, both untyped.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from network.engine.base import EngineError, UnavailableError
from network.engine.desired import NAMED, RANK

sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]  # ovs would load it wherever it is installed; we have threads

from ovs.db import idl as ovs_idl  # noqa: E402
from ovsdbapp import exceptions  # noqa: E402
from ovsdbapp.backend.ovs_idl import connection, idlutils, transaction  # noqa: E402

UNIT_KIND = "wolke:kind"
UNIT_ID = "wolke:id"
KEY = "wolke:key"
PARENT = "wolke:parent"
EPOCH = "wolke:epoch"
GENERATION = "wolke:generation"
WRITER = "wolke:writer"

NB_COLUMNS = {
    "NB_Global": ["external_ids"],
    "Logical_Switch": ["name", "ports", "other_config", "external_ids"],
    "Logical_Router": ["name", "ports", "static_routes", "nat", "enabled", "options", "external_ids"],
    "DHCP_Options": ["cidr", "options", "external_ids"],
    "Port_Group": ["name", "ports", "acls", "external_ids"],
    "ACL": ["direction", "priority", "match", "action", "external_ids"],
    "Logical_Switch_Port": [
        "name",
        "type",
        "addresses",
        "port_security",
        "options",
        "enabled",
        "dhcpv4_options",
        "up",
        "external_ids",
    ],
    "Logical_Router_Port": ["name", "mac", "networks", "enabled", "options", "gateway_chassis", "external_ids"],
    "Gateway_Chassis": ["name", "chassis_name", "priority", "external_ids"],
    "NAT": ["type", "external_ip", "logical_ip", "external_ids"],
    "Logical_Router_Static_Route": ["ip_prefix", "nexthop", "output_port", "external_ids"],
}
SB_COLUMNS = {"Chassis": ["name", "hostname", "other_config", "external_ids"]}


def _is_up(row: Any) -> bool:
    return bool(row.up and row.up[0])


class Replica(connection.OvsdbIdl):  # type: ignore[misc]
    """The library's copy of the database, with indexes that follow its notices.

    Notices come in the connection's thread, under its lock; an index entry may outlive its row after a reconnect, so
    every look-up asks the table again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.by_unit: dict[tuple[str, str], set[tuple[str, uuid.UUID]]] = {}
        self.by_key: dict[tuple[str, str], uuid.UUID] = {}
        self.groups: dict[uuid.UUID, tuple[str, frozenset[uuid.UUID]]] = {}
        self.groups_of: dict[uuid.UUID, set[str]] = {}
        self.moved: dict[str, bool] = {}
        self.changed = threading.Event()
        super().__init__(*args, **kwargs)

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        table = row._table.name
        if table == "Chassis":
            self.changed.set()
        if table not in RANK:
            return
        ids = row.external_ids
        unit = (ids.get(UNIT_KIND, ""), ids.get(UNIT_ID, ""))
        key = row.name if table in NAMED else ids.get(KEY, "")
        if event == ovs_idl.ROW_DELETE:
            self._forget(table, row, unit, key)
        else:
            self.by_key[table, key] = row.uuid
            if unit[1]:
                self.by_unit.setdefault(unit, set()).add((table, row.uuid))
        if table == "Logical_Switch_Port":
            self._note_port(event, row, updates)
        if table == "Port_Group":
            self._note_group(event, row)

    def _forget(self, table: str, row: Any, unit: tuple[str, str], key: str) -> None:
        if self.by_key.get((table, key)) == row.uuid:
            del self.by_key[table, key]
        members = self.by_unit.get(unit, set())
        members.discard((table, row.uuid))
        if not members:
            self.by_unit.pop(unit, None)

    def _note_port(self, event: str, row: Any, updates: Any) -> None:
        if event == ovs_idl.ROW_UPDATE and not hasattr(updates, "up"):
            return
        self.moved[row.name] = event != ovs_idl.ROW_DELETE and _is_up(row)
        self.changed.set()

    def _note_group(self, event: str, row: Any) -> None:
        """Keeps membership by port: OVN stores it by group, and groups are large."""
        name, old = self.groups.pop(row.uuid, (row.name, frozenset()))
        new: frozenset[uuid.UUID] = frozenset()
        if event != ovs_idl.ROW_DELETE:
            new = frozenset(atom.value for atom in row._data["ports"].values)
            self.groups[row.uuid] = row.name, new
        for port in old - new:
            self.groups_of.get(port, set()).discard(name)
            if not self.groups_of.get(port):
                self.groups_of.pop(port, None)
        for port in new - old:
            self.groups_of.setdefault(port, set()).add(name)

    def find(self, table: str, key: str) -> Any | None:
        found = self.by_key.get((table, key))
        return None if found is None else self.tables[table].rows.get(found)

    def members(self, unit: tuple[str, str]) -> list[Any]:
        rows = [self.tables[table].rows.get(at) for table, at in self.by_unit.get(unit, ())]
        return [row for row in rows if row is not None]

    def ports_up(self) -> dict[str, bool]:
        return {row.name: _is_up(row) for row in self.tables["Logical_Switch_Port"].rows.values()}


class _Command:
    """One function of the transaction, in the shape that ovsdbapp runs; it is run again after TRY_AGAIN."""

    result = None

    def __init__(self, run: Callable[[Any], None]) -> None:
        self._run = run

    def run_idl(self, txn: Any) -> None:
        self._run(txn)

    def post_commit(self, txn: Any) -> None:
        pass


class Client:
    """One connection to one of OVN's databases. `remote`: `unix:PATH`, `tcp:IP:PORT`, several with commas."""

    def __init__(self, remote: str, schema: str, columns: dict[str, list[str]], timeout: float = 20) -> None:
        try:
            helper = idlutils.get_schema_helper(remote, schema)
            for table, names in columns.items():
                helper.register_columns(table, names)
            self.idl: Any = Replica(remote, helper)
            self._connection = connection.Connection(self.idl, timeout=timeout)
            self._connection.start()
        except Exception as error:  # the libraries raise bare Exception and RuntimeError
            raise UnavailableError(f"{schema} at {remote} cannot be reached: {error}") from error

    @property
    def lock(self) -> threading.RLock:
        lock: threading.RLock = self._connection.lock
        return lock

    def transact(self, run: Callable[[Any], None]) -> None:
        """Run `run(txn)` in the connection's thread and commit. Its own EngineErrors pass through."""
        command = _Command(run)
        txn = transaction.Transaction(self, self._connection, check_error=True, log_errors=False)
        txn.add(command)
        try:
            txn.commit()
        except EngineError:
            raise
        except exceptions.TimeoutException as error:
            raise UnavailableError("OVN's northbound database did not answer in time") from error
        except Exception as error:  # ovsdbapp raises RuntimeError for whatever the server refused
            if "timed out" in str(error):
                raise UnavailableError("OVN's northbound database did not answer in time") from error
            raise EngineError(str(error)) from error

    def rows(self, table: str) -> Iterable[Any]:
        return list(self.idl.tables[table].rows.values())

    def close(self) -> None:
        self._connection.stop(timeout=5)
