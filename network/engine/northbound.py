"""The northbound engine on a real OVN: units are compared with the replica and brought about in fenced transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from network.engine import ovsdb
from network.engine.base import Chassis, Content, MissingReferenceError, StaleFenceError, UnavailableError
from network.engine.desired import RANK, Row, Stamp, Unit, Value

_PARENT_COLUMNS = {
    "ACL": ("Port_Group", "acls"),
    "Logical_Switch_Port": ("Logical_Switch", "ports"),
    "Logical_Router_Port": ("Logical_Router", "ports"),
    "Gateway_Chassis": ("Logical_Router_Port", "gateway_chassis"),
    "NAT": ("Logical_Router", "nat"),
    "Logical_Router_Static_Route": ("Logical_Router", "static_routes"),
}
_PLAIN = {
    "Logical_Switch": ("name", "other_config"),
    "Logical_Router": ("name", "enabled", "options"),
    "DHCP_Options": ("cidr", "options"),
    "Port_Group": ("name",),
    "ACL": ("direction", "priority", "match", "action"),
    "Logical_Switch_Port": ("name", "type", "addresses", "port_security", "options", "enabled"),
    "Logical_Router_Port": ("name", "mac", "networks", "enabled", "options"),
    "Gateway_Chassis": ("name", "chassis_name", "priority"),
    "NAT": ("type", "external_ip", "logical_ip"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port"),
}


def _wire(value: Value) -> Any:
    """As the library takes it: sets are lists, an empty optional is an empty one."""
    if value is None:
        return []
    if isinstance(value, tuple):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else value


def _same(actual: Any, wanted: Any) -> bool:
    if isinstance(actual, list):
        return sorted(actual) == (wanted if isinstance(wanted, list) else [wanted])
    return bool(actual == wanted)


def _external_ids(unit: Unit, row: Row) -> dict[str, str]:
    ids = {
        ovsdb.UNIT_KIND: unit.kind,
        ovsdb.UNIT_ID: unit.id,
        ovsdb.EPOCH: str(unit.epoch),
        ovsdb.GENERATION: str(unit.generation),
        ovsdb.KEY: row.key,
    }
    if row.parent:
        ids[ovsdb.PARENT] = row.parent.key
    return ids


class _Writing:
    """One transaction's work. It lives for one run: after TRY_AGAIN another starts from the refreshed replica."""

    def __init__(self, idl: Any, txn: Any) -> None:
        self._idl = idl
        self._txn = txn
        self._made: dict[tuple[str, str], Any] = {}

    def check(self, fence: int) -> None:
        """Refuse unless NB_Global names this writer, and let the server refuse if that changes before the commit."""
        rows = list(self._idl.tables["NB_Global"].rows.values())
        if not rows:
            raise UnavailableError("the northbound database is not loaded")
        rows[0].verify("external_ids")
        holder = int(rows[0].external_ids.get(ovsdb.WRITER, "0"))
        if holder != fence:
            raise StaleFenceError(f"writer {holder} holds OVN, not {fence}")

    def write(self, units: Sequence[Unit]) -> None:
        for unit in units:
            self._prune(unit)
        pairs = [(unit, row) for unit in units for row in unit.rows]
        for unit, row in sorted(pairs, key=lambda pair: RANK[pair[1].TABLE]):
            self._put(unit, row)

    def _prune(self, unit: Unit) -> None:
        wanted = {(row.TABLE, row.key, row.parent.key if row.parent else "") for row in unit.rows}
        rows = self._idl.members(unit.name)
        for row in sorted(rows, key=lambda one: RANK[one._table.name], reverse=True):
            table, ids = row._table.name, row.external_ids
            if (table, ids.get(ovsdb.KEY, ""), ids.get(ovsdb.PARENT, "")) in wanted:
                continue
            if table in _PARENT_COLUMNS:
                above, column = _PARENT_COLUMNS[table]
                parent = self._idl.find(above, ids.get(ovsdb.PARENT, ""))
                if parent is not None:
                    parent.delvalue(column, row.uuid)
            row.delete()

    def _find(self, table: str, key: str) -> Any | None:
        return self._made.get((table, key)) or self._idl.find(table, key)

    def _need(self, row: Row, table: str, key: str) -> Any:
        found = self._find(table, key)
        if found is None:
            raise MissingReferenceError(f"{row.TABLE} {row.key} names {table} {key}, which OVN lacks")
        return found

    def _put(self, unit: Unit, row: Row) -> None:
        parent = self._need(row, row.parent.table, row.parent.key) if row.parent else None
        refs = {column: self._need(row, ref.table, ref.key) if ref else None for column, ref in row.refs.items()}
        at = self._find(row.TABLE, row.key)
        if at is None:
            at = self._txn.insert(self._idl.tables[row.TABLE])
            self._made[row.TABLE, row.key] = at
            if parent is not None and row.parent is not None:
                parent.addvalue(row.parent.column, at)
        self._set(at, {**row.columns(), "external_ids": _external_ids(unit, row)})
        for column, target in refs.items():
            self._refer(at, column, target)
        if row.groups is not None:
            self._join(row, at, row.groups)

    def _join(self, row: Row, at: Any, wanted: frozenset[str]) -> None:
        """Make the port a member of exactly these groups; only what changes is sent, as groups are large."""
        old = set(self._idl.groups_of.get(at.uuid, ()))
        for name in wanted:
            group = self._need(row, "Port_Group", name)
            if name not in old:
                group.addvalue("ports", at)
        for name in old - wanted:
            group = self._find("Port_Group", name)
            if group is not None:
                group.delvalue("ports", at.uuid)

    @staticmethod
    def _set(at: Any, columns: Mapping[str, Value]) -> None:
        for column, value in columns.items():
            wanted = _wire(value)
            if not _same(getattr(at, column, object()), wanted):
                setattr(at, column, wanted)

    @staticmethod
    def _refer(at: Any, column: str, target: Any | None) -> None:
        actual = getattr(at, column, [])
        wanted = [] if target is None else [target]
        if [one.uuid for one in actual] != [one.uuid for one in wanted]:
            setattr(at, column, wanted)


_SETS = frozenset({"addresses", "port_security", "networks"})


def _read(row: Any, column: str) -> Value:
    value = getattr(row, column)
    if column in _SETS:
        return tuple(sorted(value))
    if isinstance(value, list):
        return value[0] if value else None
    return dict(value) if isinstance(value, dict) else value


class OvnNorthbound:
    """`northbound`, `southbound`: OVSDB remotes; without a southbound there are no chassis to schedule gateways on."""

    def __init__(self, northbound: str, southbound: str | None = None, timeout: float = 20) -> None:
        self._nb = ovsdb.Client(northbound, "OVN_Northbound", ovsdb.NB_COLUMNS, timeout)
        self._sb = ovsdb.Client(southbound, "OVN_Southbound", ovsdb.SB_COLUMNS, timeout) if southbound else None
        if self._sb:
            self._sb.idl.changed = self._nb.idl.changed

    def acquire(self, fence: int) -> None:
        def run(txn: Any) -> None:
            table = self._nb.idl.tables["NB_Global"]
            rows = list(table.rows.values())
            row = rows[0] if rows else txn.insert(table)
            row.verify("external_ids")
            ids = dict(getattr(row, "external_ids", {}))
            holder = int(ids.get(ovsdb.WRITER, "0"))
            if holder > fence:
                raise StaleFenceError(f"writer {holder} holds OVN, not {fence}")
            row.external_ids = {**ids, ovsdb.WRITER: str(fence)}

        self._nb.transact(run)

    def apply(self, fence: int, units: Sequence[Unit]) -> None:
        def run(txn: Any) -> None:
            writing = _Writing(self._nb.idl, txn)
            writing.check(fence)
            writing.write(units)

        self._nb.transact(run)

    def _ours(self) -> list[Any]:
        found = []
        for table in RANK:
            found += [row for row in self._nb.rows(table) if row.external_ids.get(ovsdb.UNIT_ID)]
        return found

    def units(self) -> dict[tuple[str, str], Stamp]:
        found: dict[tuple[str, str], Stamp] = {}
        with self._nb.lock:
            for row in self._ours():
                unit, stamp = _unit(row), _stamp(row)
                old = found.get(unit)
                if old is None or (stamp.epoch, stamp.generation) < (old.epoch, old.generation):
                    found[unit] = stamp
        return found

    def content(self) -> dict[tuple[str, str], Content]:
        with self._nb.lock:
            return {(row._table.name, row.external_ids[ovsdb.KEY]): self._content(row) for row in self._ours()}

    def _content(self, row: Any) -> Content:
        table = row._table.name
        port = table == "Logical_Switch_Port"
        options = row.dhcpv4_options if port else []
        return Content(
            _unit(row),
            _stamp(row),
            row.external_ids.get(ovsdb.PARENT),
            {column: _read(row, column) for column in _PLAIN[table]},
            {"dhcpv4_options": options[0].external_ids.get(ovsdb.KEY) if options else None} if port else {},
            frozenset(self._nb.idl.groups_of.get(row.uuid, ())) if port else None,
        )

    def wired(self) -> dict[str, bool]:
        with self._nb.lock:
            ports: dict[str, bool] = self._nb.idl.ports_up()
            return ports

    def take_wired(self) -> dict[str, bool]:
        with self._nb.lock:
            moved: dict[str, bool] = self._nb.idl.moved
            self._nb.idl.moved = {}
            return moved

    def chassis(self) -> tuple[Chassis, ...]:
        if not self._sb:
            return ()
        with self._sb.lock:
            found = [_chassis(row) for row in self._sb.rows("Chassis")]
        return tuple(sorted(found, key=lambda one: one.name))

    def wait(self, seconds: float) -> bool:
        changed = self._nb.idl.changed
        woken = bool(changed.wait(seconds))
        changed.clear()
        return woken

    def wake(self) -> None:
        self._nb.idl.changed.set()

    def close(self) -> None:
        self._nb.close()
        if self._sb:
            self._sb.close()


def _unit(row: Any) -> tuple[str, str]:
    return row.external_ids.get(ovsdb.UNIT_KIND, ""), row.external_ids[ovsdb.UNIT_ID]


def _stamp(row: Any) -> Stamp:
    ids = row.external_ids
    return Stamp(int(ids.get(ovsdb.EPOCH, "0")), int(ids.get(ovsdb.GENERATION, "0")))


def _chassis(row: Any) -> Chassis:
    """`ovn-bridge-mappings` and `ovn-cms-options` stand in other_config, before OVN 21.09 in external_ids."""
    config = {**row.external_ids, **row.other_config}
    mappings = config.get("ovn-bridge-mappings", "")
    bridges = frozenset(pair.partition(":")[0] for pair in mappings.split(",") if pair)
    options = config.get("ovn-cms-options", "").split(",")
    return Chassis(row.name, row.hostname, bridges, "enable-chassis-as-gw" in options)
