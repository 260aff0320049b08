"""The server on a real socket: who stalls, lies about sizes or goes away costs no thread for long, no memory, and no other client its answer."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import image.engine
from common.api import app as kit
from common.api import server as serving
from common.api import wire
from common.api.server import Server
from common.cmd import api as command
from common.config import CONF
from common.db import Database
from common.rbd_memory import Memory
from image.api import SERVICE
from image.engine.store import ImageStore
from image.service import data
from tests.support.api import Client, client

THREADS = 2
GET = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
SECONDS = 20.0


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, port: int, said: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._rest = b""
        self.say(said)

    def say(self, said: bytes) -> None:
        self.socket.sendall(said)

    def hear(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by their lower-case names, and body of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(first.split()[1]), headers, body

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        assert piece, f"the connection ended after {self._rest!r}"
        self._rest += piece

    def ended(self) -> bool:
        """Whether nothing more comes but the end."""
        try:
            return not self._rest and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self, *, abruptly: bool = False) -> None:
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Callable[..., Peer]]]:
    """Serve an application with THREADS threads; gives how to reach it."""
    CONF.set_override("threads", THREADS, group="api")
    servers: list[Server] = []
    peers: list[Peer] = []

    def start_(app: Any, *, waiting: int = 0) -> Callable[..., Peer]:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        servers.append(Server(app, "image", listener, waiting=waiting))
        servers[-1]._server.expiration_interval = 0.02  # for so long a server that stops may still look at its sockets
        threading.Thread(target=servers[-1].run, daemon=True).start()

        def reach(said: bytes = b"") -> Peer:
            peers.append(Peer(listener.getsockname()[1], said))
            return peers[-1]

        first = reach(GET)
        first.hear()
        first.close()
        reach.stop, reach.listener = servers[-1].stop, listener  # type: ignore[attr-defined]
        return reach

    try:
        yield start_
    finally:
        for peer in peers:
            peer.close()
        for server in servers:
            server.stop()
        CONF.clear_override("threads", group="api")


@pytest.fixture
def api(db: Database) -> Iterator[Client]:
    image.engine.use(ImageStore(Memory()))
    yield client(SERVICE, db)
    image.engine.use(None)


@pytest.fixture
def images(api: Client, start: Any) -> Any:
    """The image API, served."""
    return start(kit.build(SERVICE), waiting=SERVICE.waiting())


def refuse(environ: Any, start_response: Any) -> list[bytes]:
    """An application that reads no body."""
    start_response("401 Unauthorized", [("Content-Length", "2")])
    return [environ["REQUEST_METHOD"][:2].encode()]


def read(environ: Any, start_response: Any) -> list[bytes]:
    """An application that answers with the body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def head(method: str, path: str = "/", **headers: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextlib.contextmanager
def connection() -> Iterator[tuple[Any, socket.socket]]:
    """A connection that no server looks after, and its client's end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(SECONDS)
        yield serving._Connection(Server(refuse, "image")._server, ours), theirs


def within(seen: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.01)


# Heads


def test_half_requests_hold_no_thread(start: Any) -> None:
    reach = start(refuse)
    halves = [reach(b"GET /hea") for _ in range(4 * THREADS)]
    assert reach(GET).hear()[0] == 401
    halves[0].say(b"lth HTTP/1.1\r\nHost: x\r\n")
    assert reach(GET).hear()[0] == 401
    halves[0].say(b"\r\n")
    assert halves[0].hear()[2] == b"GE"


def test_a_head_has_a_deadline_overall(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    half, end = start(refuse)(b"GET / HTTP/1.1\r\nX: "), time.monotonic() + SECONDS
    with contextlib.suppress(OSError):
        half.socket.settimeout(0.05)
        while time.monotonic() < end:
            half.say(b"x")
            with contextlib.suppress(TimeoutError):
                assert half.socket.recv(1) == b""
                break
    assert time.monotonic() < end


def test_a_head_has_a_size(start: Any) -> None:
    reach = start(refuse)
    fits = b"x" * (wire.HEAD_BYTES - 100)
    assert reach(head("GET", X=fits.decode())).hear()[0] == 401
    for large in (b"GET /" + fits + fits, b"GET / HTTP/1.1\r\nX: " + fits + fits):
        peer = reach(large)
        assert peer.hear()[0] in (413, 414)
        assert peer.ended()


def test_one_that_is_too_large_gets_a_thread_when_it_can_be_told_so() -> None:
    with connection() as (conn, peer):
        peer.sendall(b"G" * (wire.HEAD_BYTES + 1))
        assert not any(conn.rfile.gather() for _ in range(100))
        peer.sendall(b"G" * 255)
        assert conn.rfile.gather()
        conn.communicate()
        assert b" 414 " in peer.recv(100)


def test_for_a_head_no_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one did, it would wait longer than pytest does."""
    monkeypatch.setattr(wire, "SEND_SECONDS", 3600.0)
    with connection() as (conn, peer):
        peer.sendall(b"GET / HTTP/1.1\r\n")
        assert not conn.rfile.gather()
        conn.communicate()
        assert b" 408 " in peer.recv(100)


def test_kept_connections_hold_no_thread_and_stay(start: Any) -> None:
    reach = start(refuse)
    kept = [reach(GET) for _ in range(8 * THREADS)]
    for _ in range(2):
        assert {peer.hear()[1].get("connection") for peer in kept} == {None}
        for peer in kept:
            peer.say(GET)


def test_over_the_most_connections_half_requests_are_closed_and_whole_ones_served(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)
    reach = start(refuse)
    halves = [reach(b"GET") for _ in range(8)]
    for peer in halves:
        peer.socket.settimeout(0)
    within(lambda: sum(_ended(peer) for peer in halves) >= 5)
    assert reach(GET).hear()[0] == 401


def _ended(peer: Peer) -> bool:
    try:
        return peer.ended()
    except BlockingIOError:
        return False


def test_what_would_wait_behind_too_many_is_told_to_come_again(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_WAITING", 1)
    begun, go = threading.Semaphore(0), threading.Event()

    def wait(environ: Any, start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            begun.release()
            go.wait(SECONDS)
        return refuse(environ, start_response)

    reach = start(wait)
    served = []
    for _ in range(THREADS):
        served.append(reach(head("PUT")))
        assert begun.acquire(timeout=SECONDS)
    others = [reach(head("PUT")) for _ in range(3)]
    for peer in others[1:]:
        status, headers, _ = peer.hear()
        assert (status, headers["connection"]) == (503, "close")
        assert int(headers["retry-after"])
        assert peer.ended()
    go.set()
    assert [peer.hear()[0] for peer in (*served, others[0])] == [401] * 3


def test_answers_of_a_handed_over_socket_do_not_wait_for_acknowledgements(start: Any) -> None:
    reach = start(refuse)
    assert reach.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("lines", [
    {"Content_Length": "-1"}, {"Content_Length": "+2"}, {"Content_Length": "1_0"}, {"Content_Length": 2, "Transfer_Encoding": "chunked"},
])  # fmt: skip
def test_a_body_that_two_readers_could_frame_differently_is_refused(start: Any, lines: dict[str, Any]) -> None:
    peer = start(read)(head("POST", **lines) + b"{}")
    assert peer.hear()[0] == 400
    assert peer.ended()


@pytest.mark.parametrize("lines", [
    b"Content-Length: 2\r\nContent-Length: 2", b"Content-Length: 5\r\n 2", b"Content-Length : 2", b"Content-Length: 2\0", b": 2", b"Content-Length",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: ,chunked",
    b"Content-Length: 2\r\nTransfer-Encoding : chunked", b"Content-Length: 2\r\nX: y\r\n\tz", b"Content-Length: 2\r\nX: y\rZ: z", b"Host: y",
])  # fmt: skip
def test_so_is_a_header_that_they_could_read_differently(start: Any, lines: bytes) -> None:
    peer = start(read)(b"POST / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert peer.hear()[0] == 400
    assert peer.ended()


def test_an_underscore_is_no_hyphen(start: Any) -> None:
    def names(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        return [str(environ.get("HTTP_X_A"))[:3].encode()]

    peer = start(names)(
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: yes\r\nX_A: no!\r\nTransfer_Encoding: chunked\r\nContent_Length: 9\r\n\r\n" + GET
    )
    assert [peer.hear()[2] for _ in range(2)] == [b"yes", b"Non"]


# Bodies


def test_a_body_that_nobody_reads_passes_by_behind_the_answer(start: Any) -> None:
    peer, body = start(refuse)(head("PUT", Content_Length=1 << 20)), GET.ljust(1 << 20, b"x")
    assert peer.hear()[1].get("connection") is None
    peer.say(body + GET)
    assert peer.hear()[2] == b"GE"


def test_of_a_large_one_only_a_part_does(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "DRAIN_BYTES", 1 << 20)
    peer = start(refuse)(head("PUT", Content_Length=1 << 30))
    status, headers, _ = peer.hear()
    assert (status, headers["connection"]) == (401, "close")
    sent = 0
    with contextlib.suppress(OSError):
        while sent < 1 << 26:
            peer.say(b"x" * (1 << 16))
            sent += 1 << 16
    assert sent < 1 << 26


def test_one_that_does_not_come_is_not_waited_for(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "DRAIN_SECONDS", 0.2)
    peer = start(refuse)(head("PUT", Content_Length=100))
    assert peer.hear()[0] == 401
    assert peer.ended()


def test_an_only_thread_waits_less_for_it(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "DRAIN_SECONDS", 3600.0)
    CONF.set_override("threads", 1, group="api")
    reach = start(refuse)
    peer = reach(head("PUT", Content_Length=100))
    assert peer.hear()[0] == 401
    assert reach(GET).hear()[0] == 401


@pytest.mark.parametrize("read_before", [0, 1, 5])
def test_a_chunked_one_passes_by_to_its_end(read_before: int) -> None:
    with connection() as (conn, peer):
        peer.sendall(b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" + GET)
        body = wire.Body(conn.rfile, None)
        assert len(body.read(read_before)) == read_before
        body.drain(SECONDS)
        assert body.ended
        assert conn.rfile.read1(len(GET)) == GET


def test_who_sends_a_large_chunked_body_hears_why_nobody_reads_it(start: Any) -> None:
    peer, piece = start(refuse)(head("PUT", Transfer_Encoding="chunked")), b"10000\r\n%s\r\n" % bytes(1 << 16)
    for _ in range(128):
        peer.say(piece)
    peer.say(b"0\r\n\r\n")
    assert peer.hear()[0] == 401


def test_a_chunked_body_that_nobody_reads_becomes_no_request(start: Any) -> None:
    inner = head("DELETE")
    peer = start(refuse)(head("POST", Transfer_Encoding="chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner) + inner)
    status, headers, body = peer.hear()
    assert (status, headers["connection"], body) == (401, "close", b"PO")
    assert peer.ended()


def test_behind_a_chunked_body_and_its_trailer_comes_the_next_request(start: Any) -> None:
    peer = start(read)(head("POST", Transfer_Encoding="Chunked") + b"2;x=y\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert peer.hear()[2] == b"abcde"
    peer.say(head("POST", Content_Length=2) + b"fg")
    assert peer.hear()[2] == b"fg"


def test_a_chunk_is_given_as_it_comes(start: Any) -> None:
    def first(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        return [environ["wsgi.input"].read1(10) if environ["REQUEST_METHOD"] == "POST" else b"..."]

    assert start(first)(head("POST", Transfer_Encoding="chunked") + b"fffffff\r\nabc").hear()[2] == b"abc"


def test_lines_between_chunks_have_a_size() -> None:
    for said in (b"1" * 9000, b"1;" + b"x" * 9000 + b"\r\n", b"0\r\n" + b"X: y\r\n" * 100, b"0\r\n" + b"x" * 9000):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(said)
            with pytest.raises(ValueError, match="chunk"):
                wire.Body(wire.Wire(ours), None).read(10)


def post(**headers: object) -> bytes:
    return head("POST", "/v2/images", X_Auth_Token="member", Content_Type="application/json", **headers)


@pytest.mark.parametrize(
    "said", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n", b"-5\r\n\r\n", b"\r\n", b"0\r\nX: y\r\n" + b"Y: z\r\n" * 99]
)
def test_malformed_chunks_are_a_400_and_the_end(images: Any, said: bytes) -> None:
    peer = images(post(Transfer_Encoding="chunked") + said)
    status, headers, body = peer.hear()
    assert (status, headers["connection"]) == (400, "close")
    assert b"did not arrive whole" in body
    assert peer.ended()


def test_chunked_in_any_case_is_a_body(images: Any) -> None:
    peer = images(post(Transfer_Encoding="Chunked") + b"d\r\n" + json.dumps({"name": "a"}).encode() + b"\r\n0\r\n\r\n")
    status, headers, body = peer.hear()
    assert (status, json.loads(body)["name"], headers.get("connection")) == (201, "a", None)


def test_a_json_body_has_a_deadline_overall(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.3)
    peer = images(post(Content_Length=10000))
    peer.socket.settimeout(0.05)
    for _ in range(1000):
        try:
            peer.say(b" ")
            status, headers, body = peer.hear()
            break
        except TimeoutError:
            continue
    assert (status, headers["connection"]) == (400, "close")
    assert b"did not arrive whole: timed out" in body


# Streams


def upload(image_id: str, length: int) -> bytes:
    path = f"/v2/images/{image_id}/file"
    return head("PUT", path, X_Auth_Token="member", Content_Type="application/octet-stream", Content_Length=length)


def make(api: Client) -> str:
    made = api.post("/v2/images", {"name": "x", "disk_format": "raw", "container_format": "bare"}, ok=201)
    return str(made["id"])


def test_streams_leave_threads_to_all_others(api: Client, images: Any) -> None:
    """Of four threads two may be streams."""
    whole = make(api)
    peer = images(upload(whole, 16 << 20) + bytes(16 << 20))
    assert peer.hear()[0] == 204
    get = head("GET", f"/v2/images/{whole}/file", X_Auth_Token="member", Range="bytes=0-9")
    up = images(upload(make(api), 100))
    down = images(head("GET", f"/v2/images/{whole}/file", X_Auth_Token="member"))
    assert down.socket.recv(9) == b"HTTP/1.1 "

    def over() -> bool:
        peer.say(get)
        status, headers, _ = peer.hear()
        assert status in (206, 503)
        return status == 503 and int(headers["retry-after"]) > 0

    within(over)
    other = make(api)
    peer.say(upload(other, 1) + b"x")
    assert peer.hear()[0] == 503
    assert api.get(f"/v2/images/{other}")["status"] == "queued"
    listing = [images(head("GET", "/v2/images", X_Auth_Token="member") + head("GET", "/healthcheck")) for _ in range(4)]
    assert [(one.hear()[0], one.hear()[0]) for one in listing] == [(200, 200)] * 4
    up.say(b"x" * 100)
    assert up.hear()[0] == 204
    down.close()
    within(lambda: not over())
    peer.say(upload(other, 1) + b"x")
    assert peer.hear()[0] == 204


def test_a_slow_upload_is_kept_while_bytes_arrive(api: Client, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = threading.Semaphore(0)
    monkeypatch.setattr(data, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(data, "_keep", lambda _tx, _ticket: kept.release())
    peer = images(upload(make(api), 3))
    for _ in range(3):
        peer.say(b"x")
        assert kept.acquire(timeout=SECONDS)
    assert peer.hear()[0] == 204


def test_a_client_that_goes_away_is_no_error(api: Client, images: Any, caplog: pytest.LogCaptureFixture) -> None:
    whole = make(api)
    peer = images(upload(whole, 16 << 20) + bytes(16 << 20))
    assert peer.hear()[0] == 204
    caplog.set_level(logging.INFO)
    cut = make(api)
    for said in (b"GET", post(Content_Length=9) + b"{", post(Transfer_Encoding="chunked") + b"9\r\n{", upload(cut, 9) + b"x"):
        for abruptly in (False, True):
            images(said).close(abruptly=abruptly)
            within(lambda: api.get(f"/v2/images/{cut}")["status"] != "saving")
    down = images(head("GET", f"/v2/images/{whole}/file", X_Auth_Token="member"))
    down.socket.recv(1)
    down.close(abruptly=True)
    images.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# The end


def test_who_reads_slowly_does_not_keep_a_server_that_stops(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STOP_SECONDS", 0.2)
    begun = threading.Semaphore(0)

    def large(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "PUT":
            return refuse(environ, start_response)
        begun.release()
        serving.hold_stream(environ)
        start_response("200 OK", [("Content-Length", str(1 << 30))])
        return (bytes(1 << 18) for _ in range(1 << 12))

    reach = start(large, waiting=THREADS)
    peers = [reach(head("PUT")) for _ in range(THREADS)]
    for _ in peers:
        assert begun.acquire(timeout=SECONDS)
    stopping = threading.Thread(target=reach.stop, daemon=True)
    stopping.start()
    stopping.join(SECONDS)
    assert not stopping.is_alive()


def test_a_request_in_hand_is_finished_before_a_server_stops(start: Any) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait(environ: Any, start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            begun.set()
            go.wait(SECONDS)
        return refuse(environ, start_response)

    reach = start(wait)
    peer = reach(head("PUT"))
    assert begun.wait(SECONDS)
    stopping = threading.Thread(target=reach.stop, daemon=True)
    stopping.start()
    within(lambda: reach.listener.fileno() < 0)
    go.set()
    assert peer.hear()[2] == b"PU"
    stopping.join(SECONDS)
    assert not stopping.is_alive()


class _Served:
    """A server that only stops."""

    name, where, failed, stopped = "x", ("", 0), False, False

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._wait = wait

    def run(self) -> None:
        """Serve nothing."""

    def stop(self) -> None:
        self._wait(SECONDS)
        self.stopped = True


def test_all_servers_of_a_process_stop_at_once() -> None:
    stop, together = threading.Event(), threading.Barrier(2)
    servers: list[Any] = [_Served(together.wait) for _ in range(2)]
    stop.set()
    assert command.serve(servers, stop) == 0
    assert all(server.stopped for server in servers)


def test_none_of_them_keeps_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, never = threading.Event(), threading.Event()
    servers: list[Any] = [_Served(never.wait), _Served(lambda _: None)]

    class Over:
        """The time is over as soon as the one has stopped that can."""

        def __init__(self, seconds: float) -> None:
            assert seconds == command.LAST_SECONDS

        def left(self) -> float:
            within(lambda: servers[1].stopped)
            return 0.0

    monkeypatch.setattr(command, "Deadline", Over)
    stop.set()
    assert command.serve(servers, stop) == 0
    assert [server.stopped for server in servers] == [False, True]
    never.set()
