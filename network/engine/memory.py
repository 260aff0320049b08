"""The northbound engine's in-memory twin: the same promises, the same refusals, no OVN."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from network.engine.base import Chassis, Content, EngineError, MissingReferenceError, StaleFenceError
from network.engine.desired import RANK, Parent, Row, Stamp, Unit, Value

Key = tuple[str, str]


@dataclass
class Store:
    """The database itself; several engines may share one, as several processes share OVN."""

    writer: int = 0
    rows: dict[Key, tuple[Content, Parent | None]] = field(default_factory=dict)
    up: dict[str, bool] = field(default_factory=dict)
    chassis: tuple[Chassis, ...] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)
    transactions: list[list[tuple[str, str]]] = field(default_factory=list)


class MemoryNorthbound:
    """`refuse` names units that make a transaction fail, as OVSDB does on a constraint."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.refuse: set[tuple[str, str]] = set()
        self._seen: dict[str, bool] = {}
        self._woken = threading.Event()

    def acquire(self, fence: int) -> None:
        with self.store.lock:
            if self.store.writer > fence:
                raise StaleFenceError(f"writer {self.store.writer} holds OVN, not {fence}")
            self.store.writer = fence

    def apply(self, fence: int, units: Sequence[Unit]) -> None:
        with self.store.lock:
            if self.store.writer != fence:
                raise StaleFenceError(f"writer {self.store.writer} holds OVN, not {fence}")
            refused = [unit.name for unit in units if unit.name in self.refuse]
            if refused:
                raise EngineError(f"constraint violation by {refused}")
            before = dict(self.store.rows)
            try:
                self._write(units)
            except EngineError:
                self.store.rows = before
                raise
            self.store.transactions.append([unit.name for unit in units])

    def _write(self, units: Sequence[Unit]) -> None:
        rows = self.store.rows
        for unit in units:
            wanted = {(row.TABLE, row.key): row.parent for row in unit.rows}
            for key, (_, at) in [(key, value) for key, value in rows.items() if value[0].unit == unit.name]:
                if key not in wanted or wanted[key] != at:
                    rows.pop(key, None)
        self._collect()
        pairs = sorted(((unit, row) for unit in units for row in unit.rows), key=lambda pair: RANK[pair[1].TABLE])
        for unit, row in pairs:
            self._put(unit, row)

    def _collect(self) -> None:
        """What has lost its parent goes; references to what went are emptied."""
        rows = self.store.rows
        while True:
            orphans = [key for key, (_, at) in rows.items() if at is not None and (at.table, at.key) not in rows]
            if not orphans:
                break
            for key in orphans:
                del rows[key]
        groups = {name for table, name in rows if table == "Port_Group"}
        options = {name for table, name in rows if table == "DHCP_Options"}
        for key, (content, at) in list(rows.items()):
            refs = {column: value if value in options else None for column, value in content.refs.items()}
            kept = content.groups & groups if content.groups is not None else None
            rows[key] = replace(content, refs=refs, groups=kept), at

    def _put(self, unit: Unit, row: Row) -> None:
        rows = self.store.rows
        wanted: list[tuple[str, str]] = []
        if row.parent:
            wanted.append((row.parent.table, row.parent.key))
        wanted += [(ref.table, ref.key) for ref in row.refs.values() if ref]
        wanted += [("Port_Group", name) for name in row.groups or ()]
        for key in wanted:
            if key not in rows:
                raise MissingReferenceError(f"{row.TABLE} {row.key} names {key[0]} {key[1]}, which OVN lacks")
        refs = {column: ref.key if ref else None for column, ref in row.refs.items()}
        content = Content(
            unit.name,
            Stamp(unit.epoch, unit.generation),
            row.parent.key if row.parent else None,
            {column: _normal(value) for column, value in row.columns().items()},
            refs,
            row.groups,
        )
        rows[row.TABLE, row.key] = content, row.parent

    def units(self) -> dict[tuple[str, str], Stamp]:
        found: dict[tuple[str, str], Stamp] = {}
        with self.store.lock:
            for content, _ in self.store.rows.values():
                old = found.get(content.unit)
                if old is None or (content.stamp.epoch, content.stamp.generation) < (old.epoch, old.generation):
                    found[content.unit] = content.stamp
        return found

    def content(self) -> dict[tuple[str, str], Content]:
        with self.store.lock:
            return {key: content for key, (content, _) in self.store.rows.items()}

    def set_up(self, name: str, up: bool) -> None:
        """What a chassis does when it binds a port."""
        with self.store.lock:
            self.store.up[name] = up
        self._woken.set()

    def set_chassis(self, *chassis: Chassis) -> None:
        self.store.chassis = chassis
        self._woken.set()

    def wired(self) -> dict[str, bool]:
        with self.store.lock:
            return {name: self.store.up.get(name, False) for table, name in self.store.rows if table == "Logical_Switch_Port"}

    def take_wired(self) -> dict[str, bool]:
        now = self.wired()
        changed = {name: up for name, up in now.items() if self._seen.get(name) != up}
        changed |= {name: False for name in self._seen if name not in now}
        self._seen = now
        return changed

    def chassis(self) -> tuple[Chassis, ...]:
        return tuple(sorted(self.store.chassis, key=lambda one: one.name))

    def wait(self, seconds: float) -> bool:
        woken = self._woken.wait(seconds)
        self._woken.clear()
        return woken

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._woken.set()


def _normal(value: Value) -> Value:
    """Sets have no order in OVSDB."""
    return tuple(sorted(value)) if isinstance(value, tuple) else value
