"""`wolke-worker`: jobs of every kind, the agents' questions, and the sweeps."""

from __future__ import annotations

import logging
import math
import random
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from common import bus, metrics
from common.api import idempotency
from common.cmd import SERVICES, process, room
from common.config import CONF
from common.db import Database
from common.jobs import Engines, Flow, Kernel, queue
from common.jobs.worker import Worker

LOG = logging.getLogger(__name__)


@dataclass
class Parts:
    """What the services' `worker.contribute(parts)` add to.

    endpoints: objects whose methods answer calls, by topic. sweeps: (name, seconds between, function), each harmless to repeat.
    """

    db: Database
    bus: bus.Bus
    flows: list[Flow[Any]] = field(default_factory=list)
    engines: Engines = field(default_factory=Engines)
    endpoints: dict[str, list[object]] = field(default_factory=dict)
    sweeps: list[tuple[str, float, Callable[[], None]]] = field(default_factory=list)


def collect(db: Database, the_bus: bus.Bus) -> Parts:
    """What every service contributes to a worker."""
    parts = Parts(db, the_bus)
    parts.sweeps.append(("idempotency-keys", idempotency.SWEEP_SECONDS, lambda: idempotency.sweep(db.run)))
    for name in SERVICES:
        module = room(name, "worker")
        if module is not None:
            module.contribute(parts)
    return parts


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until SIGTERM; steps in hand are finished."""
    options, _ = process.split(sys.argv[1:] if arguments is None else arguments)
    stop = process.begin("wolke-worker", options)
    db = process.database()
    the_bus = bus.connect("wolke-worker")
    db.on_commit = lambda topics: the_bus.wake(*topics)
    parts = collect(db, the_bus)
    kernel = Kernel(db, parts.flows, parts.engines, lease_seconds=CONF.worker.lease_seconds)
    worker = Worker(kernel, threads=CONF.worker.threads, poll_seconds=CONF.worker.poll_seconds)
    worker.start()
    the_bus.listen("worker", worker.wake)
    for topic, endpoints in parts.endpoints.items():
        the_bus.serve(topic, endpoints)
    for name, seconds, sweep in parts.sweeps:
        threading.Thread(target=_sweep, args=(name, seconds, sweep, stop), name=f"sweep-{name}", daemon=True).start()
    metrics.PARKED.set_function(lambda: _parked(db))
    metrics.serve(CONF.api.metrics_port)
    LOG.info("working on %s", ", ".join(sorted(kernel.flows)))
    stop.wait()
    worker.stop()
    db.close()
    return 0


def _parked(db: Database) -> float:
    """Not a number while the database is away: the other figures are told all the same."""
    try:
        return db.run(queue.parked)
    except SQLAlchemyError:
        return math.nan


def _sweep(name: str, seconds: float, sweep: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(seconds * random.uniform(0.8, 1.2)):
        try:
            sweep()
        except Exception:  # the next round looks again
            LOG.warning("sweep %s failed", name, exc_info=True)


if __name__ == "__main__":
    sys.exit(main())
