"""What engines and flows do with a block store in several calls, each of which may be repeated after a death between any two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from common.db import Tx
from common.jobs import Done, Outcome, Run
from common.jobs.flow import Commit
from common.rbd import BlockStore, StoreExists, StoreNotFound

S = TypeVar("S")


def finish_removal(run: Run[S], remove: Callable[[Run[S]], Outcome | None]) -> Outcome | Commit:
    """The last step of a delete: when nobody can be at work any more, remove what is there by then; then the row goes.

    `remove` answers what the step has to wait for, or None when all is gone.
    """

    def forget(tx: Tx) -> Outcome:
        row = run.lock(tx)
        if row is not None:
            tx.delete(row)
            tx.flush()
        return Done()

    return Done() if run.subject is None else run.wait_out() or remove(run) or forget


def make_whole(blocks: BlockStore, pool: str, partial: str, name: str) -> None:
    """Give the finished image `partial` its lasting name; one that has the name already is whole, and wins."""
    try:
        blocks.rename(pool, partial, name)
    except StoreExists:
        ensure_gone(blocks, pool, partial)


def ensure_gone(blocks: BlockStore, pool: str, name: str) -> None:
    """Put an image without its snapshots into the trash, from which `purge` removes it, after its clones if it has any.

    Raises StoreBusy while it is open somewhere.
    """
    info = blocks.info(pool, name)
    for snapshot in sorted(info.snapshots) if info else ():
        try:
            blocks.remove_snapshot(pool, name, snapshot)
        except StoreNotFound:
            continue
    try:
        if info is not None:
            blocks.trash(pool, name)
        else:
            # An image that a dying process had half made cannot be opened, but is in the directory all the same; it has no data.
            blocks.remove(pool, name)
    except StoreNotFound:
        return


def ensure_snapshot(blocks: BlockStore, pool: str, name: str, snapshot: str) -> None:
    """Take a snapshot unless it is there. Raises StoreNotFound where the image is not."""
    try:
        blocks.snapshot(pool, name, snapshot)
    except StoreExists:
        return
