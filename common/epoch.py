"""Which history this database tells: rises when the server is another (restored, failed over), so that nobody destroys by what it forgot."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.models import Epoch

LOG = logging.getLogger(__name__)
# The timeline of the log that is being written: the control file's is that of the last checkpoint, minutes old after a promotion.
IDENTITY = text(
    "SELECT (SELECT system_identifier::text FROM pg_control_system()),"
    " ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int"
)


@dataclass(frozen=True, slots=True)
class History:
    """`epoch` counts histories from 1; while `sweeping` is false, sweeps only report what they would remove."""

    epoch: int
    sweeping: bool


def current(tx: Tx) -> History:
    """The history as it is; notices a change of PostgreSQL's system identifier or timeline, and raises the epoch for it.

    Called by who acts on what is absent: the OVN writer, the pull, sweeps. Source: PostgreSQL's control data functions.
    """
    system, timeline = tx.execute(IDENTITY).one()
    row = tx.execute(select(Epoch)).scalar_one_or_none()
    if row is None:
        tx.execute(insert(Epoch).values(system_identifier=system, timeline=timeline).on_conflict_do_nothing())
        return History(1, True)
    if (row.system_identifier, row.timeline) != (system, timeline):
        LOG.warning("the database is another one than before: epoch %d, sweeps only report", row.epoch + 1)
        raise_epoch(tx, (row.system_identifier, row.timeline), (system, timeline))
        row = tx.execute(select(Epoch).execution_options(populate_existing=True)).scalar_one()
    return History(row.epoch, row.sweeping)


def raise_epoch(tx: Tx, before: tuple[str, int], now: tuple[str, int]) -> None:
    """Begin a new history, once: whoever comes second finds `before` gone."""
    tx.execute(
        update(Epoch)
        .where(Epoch.system_identifier == before[0], Epoch.timeline == before[1])
        .values(epoch=Epoch.epoch + 1, sweeping=False, system_identifier=now[0], timeline=now[1])
    )


def restored(tx: Tx) -> History:
    """`wolke-manage db restored`: an operator says that data was lost."""
    history = current(tx)
    tx.execute(update(Epoch).values(epoch=history.epoch + 1, sweeping=False))
    return current(tx)


def resume_sweeping(tx: Tx) -> None:
    """`wolke-manage db resume-sweeps`: an operator has looked at what sweeps reported, and lets them remove again."""
    tx.execute(update(Epoch).values(sweeping=True))
