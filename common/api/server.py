"""The HTTP server under an application: cheroot, which streams bodies both ways; on a port of ours or a socket handed over."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from cheroot import wsgi

from common.config import CONF

LOG = logging.getLogger(__name__)
FIRST_FD = 3


def handed_over() -> dict[str, socket.socket]:
    """Listening sockets that systemd, or whoever speaks its protocol, handed over, by their names."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
    return {names[n]: socket.socket(fileno=FIRST_FD + n) for n in range(min(count, len(names)))}


class _Handed(wsgi.Server):
    """A cheroot server that may be given its listening socket."""

    given: socket.socket | None = None

    def bind(self, family: int, type: int, proto: int = 0) -> Any:
        """Use the given socket, or make one as usual."""
        if self.given is None:
            return super().bind(family, type, proto)
        self.socket = self.given
        self.bind_addr = self.given.getsockname()
        return self.socket

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Into our log; a client that went away is no error."""
        LOG.log(logging.DEBUG if level <= logging.INFO else logging.WARNING, "%s", msg, exc_info=traceback)


class Server:
    """One application on one socket."""

    def __init__(self, app: Any, name: str, given: socket.socket | None = None, *, waiting: int = 0) -> None:
        """waiting: threads on top of the option's, for requests that only wait."""
        self.name, self.failed, threads = name, False, CONF.api.threads + waiting
        where = (CONF.api.bind, getattr(CONF.api, f"{name}_port"))
        self._server = _Handed(where, app, numthreads=threads, max=threads + CONF.api.threads, request_queue_size=256, timeout=120, shutdown_timeout=20)  # fmt: skip
        self._server.given = given
        self._server.server_name = "wolke"
        self.where = given.getsockname() if given else where

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            self._server.prepare()
            self._server.serve()
        except BaseException:
            LOG.exception("the server of %s ended", self.name)
            self.failed = True

    def stop(self) -> None:
        """Take no more requests; finish those in hand."""
        self._server.stop()
