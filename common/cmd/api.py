"""`wolke-api NAME…`: the named services, each on its own port, in one process."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Sequence

from common.api.app import build
from common.api.server import STOP_SECONDS, Server, handed_over
from common.api.service import Service
from common.auth import Authenticator
from common.clock import Deadline
from common.cmd import SERVICES, process, room
from common.config import CONF
from common.db import Database

LOG = logging.getLogger(__name__)
# Seconds in which all servers stop; what then is left ends with the process.
LAST_SECONDS = STOP_SECONDS + 5


def prepare(names: Sequence[str], db: Database) -> list[Service]:
    """The services of these names, connected to `db` and to identity's token check."""
    identity = room("identity", "public")
    if identity is None:
        raise RuntimeError("identity.public is missing")
    authenticate = Authenticator(identity.token_checker(db), seconds=CONF.identity.check_cache_seconds)
    services = []
    for name in names:
        api = room(name, "api")
        if api is None:
            raise RuntimeError(f"{name}.api is missing")
        service: Service = api.SERVICE
        service.connect(db, authenticate)
        services.append(service)
    return services


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; requests in hand are finished."""
    options, names = process.split(sys.argv[1:] if arguments is None else arguments)
    if not names or any(name not in SERVICES for name in names):
        print(f"usage: wolke-api [--config-file FILE] NAME…   with names of {', '.join(SERVICES)}", file=sys.stderr)
        return 2
    stop = process.begin("wolke-api", options)
    db = process.database()
    from common import bus

    the_bus = bus.connect("wolke-api")
    db.on_commit = lambda topics: the_bus.wake(*topics)
    sockets = handed_over()
    servers = [Server(build(service), service.name, sockets.get(service.name), waiting=service.waiting()) for service in prepare(names, db)]
    status = serve(servers, stop)
    db.close()
    return status


def serve(servers: list[Server], stop: threading.Event) -> int:
    """Serve until `stop`, or until one of them fails: then the process ends, and who supervises it starts it again."""
    gc.collect()
    gc.freeze()  # modules, routes and shapes stay: to look them through again and again takes a long list longer than its rows do
    for server in servers:
        threading.Thread(target=server.run, name=server.name, daemon=True).start()
    LOG.info("serving %s", ", ".join(f"{server.name} on {server.where}" for server in servers))
    while not stop.wait(1.0):
        if any(server.failed for server in servers):
            return 1
    _stop(servers)
    return 0


def _stop(servers: list[Server]) -> None:
    """Stop all of them at once."""
    threads, deadline = [threading.Thread(target=server.stop, daemon=True) for server in servers], Deadline(LAST_SECONDS)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left())


if __name__ == "__main__":
    sys.exit(main())
