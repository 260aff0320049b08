"""The writer's turn: removals, then what shall be, then what is up; each a fenced transaction in OVN followed by its record in SQL.

A process that dies between the two leaves rows dirty; the next turn finds OVN as wished and records it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from common import epoch
from common.clock import Deadline
from common.db import Database, Tx
from network.engine import translate
from network.engine.base import EngineError, MissingReferenceError, Northbound, StaleFenceError, UnavailableError
from network.engine.desired import Unit
from network.models import ABSENT, OWNER_GATEWAY, PRESENT
from network.writer import store
from network.writer.lease import WriterLease
from network.writer.load import BY_NAME, KINDS, Kind, World

LOG = logging.getLogger(__name__)
COMPARE_SECONDS = 300.0
RETRY_SECONDS = 10.0

_WITH_ADDRESSES = frozenset({translate.PORT, translate.FLOATING_IP})
Done = Callable[[Sequence[Unit], Tx], None]


class Writer:
    """One life of the writer: from a claimed lease until it is lost or the process is told to end."""

    def __init__(self, db: Database, engine: Northbound, lease: WriterLease) -> None:
        self._db, self._engine, self._lease = db, engine, lease
        self._refused: dict[tuple[str, str], Deadline] = {}
        self._compared = Deadline(0)
        self._history = epoch.History(0, False)
        self._gateways_for: tuple[object, ...] | None = None

    def begin(self) -> None:
        """Take OVN over. Raises StaleFenceError, EngineError."""
        self._engine.acquire(self._lease.fence)

    def turn(self) -> None:
        """Everything that is due. Raises LostLeaseError and StaleFenceError (the process must end), UnavailableError, DBAPIError."""
        self._lease.keep()
        compare = self._compared.passed
        found = self._db.run(store.dirty_kinds)
        if found or compare:
            self._history = self._db.run(epoch.current)
        if compare:
            self._apply([translate.drop_group(self._history.epoch)], None)
        self._remove(_absent(found))
        self._bring([kind for kind in KINDS if (kind.name, PRESENT) in found])
        if compare:
            self._compare()
        self._reschedule()
        self._note_wired(whole=compare)
        if compare:
            self._compared = Deadline(COMPARE_SECONDS * random.uniform(0.8, 1.2))

    def _world(self) -> World:
        return World(self._history.epoch, self._engine.chassis())

    def _skip(self, kind: Kind) -> list[str]:
        """Rows that OVN refused a moment ago."""
        self._refused = {unit: until for unit, until in self._refused.items() if not until.passed}
        return [id for name, id in self._refused if name == kind.name]

    def _remove(self, kinds: set[str]) -> set[tuple[str, str]]:
        """Rows are read roots first and removed leaves first: what names a root that was read has been read as well.

        Answers what was removed.
        """
        removed: set[tuple[str, str]] = set()
        while kinds:
            batches: list[tuple[Kind, list[Unit]]] = []
            for kind in KINDS:
                if kind.name in kinds:
                    rows = self._dirty(kind, ABSENT)
                    batches.append((kind, [Unit(kind.name, row.id, self._history.epoch, row.generation) for row in rows]))
            for kind, units in reversed(batches):
                if units:
                    self._apply(units, partial(store.forget, kind.model))
                removed |= {unit.name for unit in units}
            kinds = {kind.name for kind, units in batches if len(units) >= store.BATCH}
        return removed

    def _bring(self, kinds: Sequence[Kind]) -> None:
        """Rows are read leaves first and brought about roots first: what a leaf names was committed before it was read."""
        first = {kind.name: self._dirty(kind, PRESENT) for kind in reversed(kinds)}
        for kind in kinds:
            rows = first[kind.name]
            while rows:
                self._again(kind, rows)
                rows = self._dirty(kind, PRESENT) if len(rows) >= store.BATCH else []

    def _dirty(self, kind: Kind, desired: str) -> list[Any]:
        skip = self._skip(kind) if desired == PRESENT else []
        return self._db.run(lambda tx: store.dirty(tx, kind, desired, skip))

    def _apply(self, units: Sequence[Unit], done: Done | None) -> None:
        """One transaction; where OVN refuses it, halves, until the row that it refuses stands alone and is left for later."""
        self._lease.keep()
        self._lease.check()
        try:
            self._engine.apply(self._lease.fence, units)
        except (StaleFenceError, UnavailableError):
            raise
        except EngineError as error:
            if len(units) == 1:
                self._refuse(units[0], error)
                return
            middle = len(units) // 2
            self._apply(units[:middle], done)
            self._apply(units[middle:], done)
            return
        if done is not None:
            self._record(partial(done, units))

    def _record(self, write: Callable[[Tx], None]) -> None:
        """Write to SQL while the lease is still this process's."""

        def run(tx: Tx) -> None:
            self._lease.hold(tx)
            write(tx)

        self._db.run(run)

    def _refuse(self, unit: Unit, error: EngineError) -> None:
        self._refused[unit.name] = Deadline(RETRY_SECONDS * random.uniform(0.8, 1.2))
        kind = BY_NAME.get(unit.kind)
        if isinstance(error, MissingReferenceError) or kind is None:
            LOG.info("%s %s waits: %s", unit.kind, unit.id, error)
            self._refused[unit.name] = Deadline(random.uniform(0.5, 1.5))
            return
        LOG.error("OVN refuses %s %s: %s", unit.kind, unit.id, error)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        message = f"The network's engine refused it: {error}"[:1000]
        self._record(partial(store.fail, kind.model, unit, message, moment))

    def _compare(self) -> None:
        """Everything that shall be is brought about again where OVN differs; rows of ours that no row of SQL knows go.

        OVN is read before SQL: whatever it holds was written by a row that SQL still has, or has not any more.
        """
        there = self._engine.units()
        known = self._db.run(store.known) | {(translate.DROP, translate.drop_group(0).id)}
        unknown = [Unit(kind, id, self._history.epoch, 0) for kind, id in sorted(there.keys() - known)]
        if unknown and not self._history.sweeping:
            LOG.warning("OVN has %d units that the database does not know; left until an operator lets sweeps remove", len(unknown))
        elif unknown:
            LOG.warning("OVN has units that the database does not know; removed: %s", ", ".join(f"{u.kind} {u.id}" for u in unknown))
            self._apply(unknown, None)
        for kind in KINDS:
            last = ""
            while True:
                rows = self._db.run(partial(store.after, kind, last))
                if rows:
                    self._again(kind, rows)
                    last = rows[-1].id
                if len(rows) < store.BATCH:
                    break

    def _again(self, kind: Kind, rows: Sequence[Any]) -> None:
        """An address is free as soon as its holder is deleted: whoever held one of these is looked for after they were read."""
        world = self._world()
        units = self._db.run(lambda tx: kind.units(tx, world, rows))
        if kind.name in _WITH_ADDRESSES:
            removed = self._remove(_absent(self._db.run(store.dirty_kinds)))
            units = [unit for unit in units if unit.name not in removed]
        if not units:
            return
        self._apply(units, partial(store.record, kind.model))

    def _reschedule(self) -> None:
        """Gateways follow the chassis that there are."""
        chassis = self._engine.chassis()
        if chassis == self._gateways_for:
            return
        kind = BY_NAME[translate.PORT]
        rows = self._db.run(lambda tx: store.gateways(tx, OWNER_GATEWAY))
        if rows:
            self._again(kind, rows)
        self._gateways_for = chassis

    def _note_wired(self, *, whole: bool) -> None:
        states = self._engine.take_wired()
        if whole:
            states |= self._engine.wired()
        if not states:
            return
        try:
            self._record(partial(store.set_wired, states))
        except Exception:
            self._compared = Deadline(0)  # what was taken is not lost: the next turn looks at everything
            raise


def _absent(found: set[tuple[str, str]]) -> set[str]:
    """The kinds of which there is something to remove."""
    return {name for name, desired in found if desired == ABSENT}
