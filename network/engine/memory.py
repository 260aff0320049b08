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
        for unit in units:
            self._prune(unit)
        self._collect()
        pairs = [(unit, row) for unit in units for row in unit.rows]
        for unit, row in sorted(pairs, key=lambda pair: RANK[pair[1].TABLE]):
            self._put(unit, row)

    def _prune(self, unit: Unit) -> None:
        rows = self.store.rows
        wanted = {(row.TABLE, row.key): row.parent for row in unit.rows}
        mine = [(key, at) for key, (content, at) in rows.items() if content.unit == unit.name]
        for key, at in mine:
            if key not in wanted or wanted[key] != at:
                del rows[key]

    def _collect(self) -> None:
        """What has lost its parent goes; references to what went are emptied."""
        rows = self.store.rows
        while orphans := [key for key, (_, at) in rows.items() if at and (at.table, at.key) not in rows]:
            for key in orphans:
                del rows[key]
        for key, (content, at) in list(rows.items()):
            rows[key] = self._without_gone(content), at

    def _without_gone(self, content: Content) -> Content:
        rows = self.store.rows
        refs = {column: value if ("DHCP_Options", value) in rows else None for column, value in content.refs.items()}
        groups = content.groups
        kept = None if groups is None else frozenset(name for name in groups if ("Port_Group", name) in rows)
        return replace(content, refs=refs, groups=kept)

    def _needs(self, row: Row) -> list[Key]:
        parent = [(row.parent.table, row.parent.key)] if row.parent else []
        refs = [(ref.table, ref.key) for ref in row.refs.values() if ref]
        return [*parent, *refs, *(("Port_Group", name) for name in row.groups or ())]

    def _put(self, unit: Unit, row: Row) -> None:
        for table, name in self._needs(row):
            if (table, name) not in self.store.rows:
                raise MissingReferenceError(f"{row.TABLE} {row.key} names {table} {name}, which OVN lacks")
        content = Content(
            unit.name,
            Stamp(unit.epoch, unit.generation),
            row.parent.key if row.parent else None,
            {column: _normal(value) for column, value in row.columns().items()},
            {column: ref.key if ref else None for column, ref in row.refs.items()},
            row.groups,
        )
        self.store.rows[row.TABLE, row.key] = content, row.parent

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
