"""The lease that makes one of several wolke-ovn processes the writer. Its fence goes into OVN and into every record in SQL."""

from __future__ import annotations

import os
from datetime import timedelta

from sqlalchemy import CursorResult, Interval, and_, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from common.clock import Deadline
from common.db import Database, Tx, clock
from common.models import Lease

NAME = "ovn"
SECONDS = 10.0
RENEW_BELOW = 7.0
PARTS = 3


class LostLeaseError(Exception):
    """Another process is the writer, or may be by now: this one must end."""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class WriterLease:
    """`holder` names this process: HOST/PID/UUID. The deadline is counted by CLOCK_BOOTTIME from before the claim."""

    def __init__(self, db: Database, holder: str, seconds: float = SECONDS) -> None:
        self._db, self._holder, self._seconds = db, holder, seconds
        self.fence = 0
        self._deadline = Deadline(0)

    def _died_here(self, holder: str) -> bool:
        """Whether `holder` was a process of this one's host and is no more."""
        theirs, ours = holder.split("/"), self._holder.split("/")
        return len(theirs) == len(ours) == PARTS and theirs[0] == ours[0] and theirs[1].isdecimal() and not _alive(int(theirs[1]))

    def _until(self) -> object:
        return clock() + literal(timedelta(seconds=self._seconds), Interval())

    def claim(self) -> bool:
        """Become the writer if there is none, or if it was a process of this host that is dead; the fence rises.

        Taking over too early harms nothing: the fence stops whoever wrote before.
        """
        deadline = Deadline(self._seconds)

        def run(tx: Tx) -> int | None:
            tx.execute(insert(Lease).values(name=NAME).on_conflict_do_nothing())
            holder = tx.scalars(select(Lease.holder).where(Lease.name == NAME)).one()
            dead = holder is not None and self._died_here(holder)
            free = or_(Lease.lease_until.is_(None), Lease.lease_until < clock(), and_(literal(dead), Lease.holder == holder))
            query = update(Lease).where(Lease.name == NAME, free)
            query = query.values(holder=self._holder, fence=Lease.fence + 1, lease_until=self._until())
            return tx.scalars(query.returning(Lease.fence), execution_options={"synchronize_session": False}).one_or_none()

        fence = self._db.run(run)
        if fence is None:
            return False
        self.fence, self._deadline = fence, deadline
        return True

    def keep(self) -> None:
        """Renew when it is due. Raises LostLeaseError."""
        if self._deadline.left() > RENEW_BELOW * self._seconds / SECONDS:
            return
        deadline = Deadline(self._seconds)

        def run(tx: Tx) -> int:
            query = update(Lease).where(Lease.name == NAME, Lease.fence == self.fence).values(lease_until=self._until())
            result = tx.execute(query, execution_options={"synchronize_session": False})
            assert isinstance(result, CursorResult)
            return result.rowcount

        if self._db.run(run) == 0:
            raise LostLeaseError(f"the lease with fence {self.fence} is another's")
        self._deadline = deadline

    def check(self) -> None:
        """Raise LostLeaseError once the lease may have run out, as this machine's clock counts."""
        if self._deadline.passed:
            raise LostLeaseError(f"the lease with fence {self.fence} ran out before it was renewed")

    def hold(self, tx: Tx) -> None:
        """In a transaction that records: nobody else becomes the writer before it ends. Raises LostLeaseError."""
        query = select(Lease.name).where(Lease.name == NAME, Lease.fence == self.fence).with_for_update(read=True)
        if tx.scalars(query).first() is None:
            raise LostLeaseError(f"the lease with fence {self.fence} is another's")

    def release(self) -> None:
        """The next writer need not wait."""

        def run(tx: Tx) -> None:
            query = update(Lease).where(Lease.name == NAME, Lease.fence == self.fence).values(lease_until=None)
            tx.execute(query, execution_options={"synchronize_session": False})

        self._db.run(run)
