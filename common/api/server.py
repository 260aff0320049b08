"""The HTTP server under an application: cheroot, which streams bodies both ways; on a port of ours or a socket handed over.

A thread is given to a request whose head is whole; only a stream may keep one for long, and streams never have them all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
from typing import Any

from cheroot import server as cheroot
from cheroot import wsgi

from common.api.wire import HEAD_BYTES, HEAD_SECONDS, SEND_SECONDS, STREAM_SECONDS, Body, Wire, read_fields
from common.clock import Deadline
from common.config import CONF
from common.errors import ServiceUnavailable

LOG = logging.getLogger(__name__)
FIRST_FD = 3
# Seconds that a connection may be idle; connections without a thread, and requests that wait for one, at the most.
IDLE_SECONDS, MOST_CONNECTIONS, MOST_WAITING = 120, 256, 256
# Seconds for the rest of a body that nobody reads, when there is room for one more stream and a thread besides; else 1.
DRAIN_SECONDS = 10.0
# Seconds that requests in hand have when the server stops.
STOP_SECONDS = 20
_STREAM = "wolke.stream"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def handed_over() -> dict[str, socket.socket]:
    """Listening sockets that systemd, or whoever speaks its protocol, handed over, by their names."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
    return {names[n]: socket.socket(fileno=FIRST_FD + n) for n in range(min(count, len(names)))}


def hold_stream(environ: dict[str, Any]) -> None:
    """Let this request take as long as bytes flow. Raises ServiceUnavailable when as many do already as the server allows."""
    hold = environ.get(_STREAM)
    if hold is not None and not hold():
        raise ServiceUnavailable("Too many uploads and downloads are running. Try again.", headers={"Retry-After": "10"})


class _Request(cheroot.HTTPRequest):
    """One request. What is left of its body never becomes the next one."""

    header_reader = staticmethod(read_fields)
    held = False
    rfile: Any

    def parse_request(self) -> None:
        """Parse the head, which is here: for none of it a thread waits."""
        self.conn.rfile.deadline = Deadline(0)
        super().parse_request()

    def read_request_headers(self) -> bool:
        """Refuse also what two readers could frame differently."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        length, coding = self.inheaders.get(b"Content-Length"), self.inheaders.get(b"Transfer-Encoding")
        framed = length is None or length.isdigit()
        if coding is not None:
            framed = length is None and self.chunked_read and coding.lower() == b"chunked"
        if not framed:
            self.simple_response("400 Bad Request", "Malformed Content-Length or Transfer-Encoding Header.")
            return False
        return True

    def respond(self) -> None:
        """Call the application and send what it answers."""
        self.conn.wfile.patience = SEND_SECONDS
        self.rfile = Body(self.conn.rfile, None if self.chunked_read else int(self.inheaders.get(b"Content-Length", 0)))
        try:
            self.server.gateway(self).respond()
            self.ensure_headers_sent()
            if self.chunked_write:
                self.conn.wfile.write(b"0\r\n\r\n")
            self._pass_by()
        finally:
            if self.held:
                self.server.streams.release()

    def hold(self) -> bool:
        """Become a stream, if there is room for one more."""
        self.held = self.held or self.server.streams.acquire(blocking=False)
        if self.held:
            self.rfile.seconds, self.conn.rfile.patience = None, STREAM_SECONDS
        return self.held

    def _pass_by(self) -> None:
        if not self.rfile.ended and not self.rfile.broken:
            self.rfile.drain(DRAIN_SECONDS if self.server.numthreads > 1 and self.hold() else 1.0)
        self.close_connection = self.close_connection or not self.rfile.ended

    def send_headers(self) -> None:
        """Say so when the connection ends with this answer."""
        self.close_connection = self.close_connection or self.rfile.endless
        super().send_headers()


class _Connection(cheroot.HTTPConnection):
    RequestHandlerClass = _Request

    def __init__(self, server: Any, sock: socket.socket, makefile: Any = None) -> None:
        wire = Wire(sock)
        super().__init__(server, sock, lambda *_: wire)

    def communicate(self) -> bool:
        """Serve the next request, unless it is too late for that. Whether the connection stays."""
        return not self.server.late and super().communicate()  # type: ignore[no-untyped-call]


class _Gateway(wsgi.Gateway_10):
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """With what `hold_stream` calls."""
        return {**super().get_environ(), _STREAM: self.req.hold}  # type: ignore[no-untyped-call]


class _Server(wsgi.Server):
    """A cheroot server that may be given its listening socket, and gives no thread to half a request."""

    ConnectionClass = _Connection
    given: socket.socket | None = None
    late = False
    streams: threading.Semaphore
    _connections: Any

    def bind(self, family: int, type: int, proto: int = 0) -> Any:
        """Use the given socket, or make one as usual."""
        if self.given is None:
            super().bind(family, type, proto)
        else:
            self.socket = self.given
            self.bind_addr = self.given.getsockname()
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Who says nothing stays with the kernel.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(HEAD_SECONDS))
        return self.socket

    def process_conn(self, conn: _Connection) -> None:
        """Hand a connection to a thread when the head of its request is whole; until then it waits with the idle ones, not as long."""
        try:
            whole = conn.rfile.gather()
            if whole and self.requests.qsize < MOST_WAITING:
                super().process_conn(conn)
                return
            if whole:
                conn.wfile.patience = 0.0
                conn.wfile.write(_BUSY)
            elif self.can_add_keepalive_connection:
                conn.last_used = conn.rfile.begun + HEAD_SECONDS - IDLE_SECONDS
                self._connections._selector.register(conn.socket.fileno(), selectors.EVENT_READ, data=conn)
                return
        except OSError as error:
            LOG.debug("a client went away: %s", error)
        with contextlib.suppress(OSError):
            conn.close()

    def stop(self) -> None:
        """Take no more requests; finish those in hand, and hang up on their clients when it takes too long."""
        timer = threading.Timer(self.shutdown_timeout, self._hang_up, [list(self.requests._threads)])
        timer.daemon = True
        timer.start()
        try:
            super().stop()
        finally:
            timer.cancel()

    def _hang_up(self, workers: list[Any]) -> None:
        self.late = True
        for conn in (worker.conn for worker in workers):
            if conn is not None:
                with contextlib.suppress(OSError):
                    conn.socket.shutdown(socket.SHUT_RDWR)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Into our log; a client that went away is no error."""
        LOG.log(logging.DEBUG if level <= logging.INFO else logging.WARNING, "%s", msg, exc_info=traceback)


class Server:
    """One application on one socket."""

    def __init__(self, app: Any, name: str, given: socket.socket | None = None, *, waiting: int = 0) -> None:
        """waiting: threads on top of the option's, for requests that only wait."""
        self.name, self.failed, threads = name, False, CONF.api.threads + waiting
        where = (CONF.api.bind, getattr(CONF.api, f"{name}_port"))
        self._server = made = _Server(
            where, app, numthreads=threads, max=threads, request_queue_size=256, timeout=IDLE_SECONDS, shutdown_timeout=STOP_SECONDS,
        )  # fmt: skip
        made.given, made.gateway, made.server_name = given, _Gateway, "wolke"
        made.streams, made.keep_alive_conn_limit, made.max_request_header_size = threading.Semaphore(max(1, threads // 2)), MOST_CONNECTIONS, HEAD_BYTES  # fmt: skip
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
        """Take no more requests; finish those in hand, hanging up after STOP_SECONDS."""
        self._server.stop()
