"""`wolke-ovn`: the OVN writer. Several may run; one holds the lease, the others wait for it."""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError

from common import metrics
from common.cmd import process
from common.config import CONF
from common.db import Database, new_uuid
from network.engine.base import EngineError, Northbound, StaleFenceError
from network.engine.northbound import OvnNorthbound
from network.writer.lease import LostLeaseError, WriterLease
from network.writer.writer import Writer

LOG = logging.getLogger(__name__)
TOPIC = "ovn"
POLL_SECONDS = 2.0
LOST = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Write until SIGTERM; a turn in hand is finished. 1 when another process has become the writer."""
    options, _ = process.split(sys.argv[1:] if arguments is None else arguments)
    stop = process.begin("wolke-ovn", options)
    db = process.database()
    from common import bus

    metrics.serve(CONF.api.metrics_port)
    engine = connect(stop)
    if engine is None:
        return 0
    the_bus = bus.connect("wolke-ovn")
    the_bus.listen(TOPIC, engine.wake)
    threading.Thread(target=_wake_at, args=(stop, engine.wake), name="stop", daemon=True).start()
    try:
        return serve(db, engine, stop)
    finally:
        engine.close()
        db.close()


def _wake_at(stop: threading.Event, wake: Callable[[], None]) -> None:
    stop.wait()
    wake()


def connect(stop: threading.Event) -> Northbound | None:
    """OVN's databases, waited for; None when told to end meanwhile."""
    while not stop.is_set():
        try:
            return OvnNorthbound(CONF.ovn.northbound, CONF.ovn.southbound)
        except EngineError as error:
            LOG.warning("%s", error)
            stop.wait(1.0)
    return None


def serve(db: Database, engine: Northbound, stop: threading.Event, *, poll_seconds: float = POLL_SECONDS) -> int:
    """Claim the lease and write, until `stop` (0) or until another is the writer (1)."""
    lease = WriterLease(db, f"{CONF.host}/{os.getpid()}/{new_uuid()}")
    if not _claimed(lease, stop):
        return 0
    LOG.info("this process is the writer, fence %d", lease.fence)
    writer = Writer(db, engine, lease)
    begun = False
    try:
        while not stop.is_set():
            try:
                if not begun:
                    writer.begin()
                    begun = True
                writer.turn()
            except StaleFenceError:
                raise
            except (EngineError, DBAPIError) as error:
                LOG.warning("a turn failed and is repeated: %.500r", error)
                stop.wait(random.uniform(0.5, 1.0))
                continue
            engine.wait(poll_seconds * random.uniform(0.8, 1.2))
        lease.release()
    except (StaleFenceError, LostLeaseError) as error:
        LOG.warning("this process ends: %s", error)
        return LOST
    return 0


def _claimed(lease: WriterLease, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            if lease.claim():
                return True
        except DBAPIError as error:
            LOG.warning("the database does not answer: %s", str(error.orig).splitlines()[0])
        stop.wait(random.uniform(0.5, 1.0))
    return False


if __name__ == "__main__":
    sys.exit(main())
