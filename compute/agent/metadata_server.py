"""Sockets and HTTP for metadata: small, bounded per guest, and no word of the guest is believed but where its frame came from."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from compute.agent.metadata_answers import Answer, answer
from compute.agent.netns import METADATA_IP

LOG = logging.getLogger(__name__)
CLONE_NEWNET = 0x40000000
TCP_SAVE_SYN, TCP_SAVED_SYN = 27, 28
SAVE_WITH_FRAME = 2  # linux 5.10: the Ethernet header as well
ETHERNET_HEADER = 14
WORKERS = 32
PER_GUEST = 2  # sixteen guests that hold on to theirs keep no other waiting
REQUEST_S = 10.0
Owner = Callable[[str, str, str | None], Mapping[str, Any] | None]
libc = ctypes.CDLL(None, use_errno=True)


def listen_in(namespace: str, address: tuple[str, int] = (METADATA_IP, 80)) -> socket.socket:
    """A listening socket that belongs to another network namespace. Raises OSError.

    A thread enters the namespace to make it and ends there; the socket stays what it is wherever it is used.
    """
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns to {namespace}")
            finally:
                os.close(fd)
            made.append(_listen(address))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="enter-namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _listen(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # an older kernel: then the address alone counts, which OVN's port security vouches for
            sock.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, SAVE_WITH_FRAME)
        sock.bind(address)
        sock.listen(64)
    except OSError:
        sock.close()
        raise
    return sock


def sender_mac(sock: socket.socket) -> str | None:
    """The MAC that sent the connection's first frame; None where the kernel did not keep it."""
    try:
        saved = sock.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 256)
    except OSError:
        return None
    if len(saved) < ETHERNET_HEADER + 40 or saved[12:14] != b"\x08\x00":
        return None
    return saved[6:12].hex(":")


class Listener:
    """Accepts the guests of one network."""

    def __init__(self, sock: socket.socket, network_id: str, pool: Pool) -> None:
        self._sock = sock
        self._network_id = network_id
        self._pool = pool
        self._closed = False
        threading.Thread(target=self._accept, name=f"listen-{network_id[:11]}", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, (ip, _) = self._sock.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.1)  # out of file descriptors, for one
                continue
            self._pool.take(self._network_id, ip, sock)


class Pool:
    """Answers connections in a few threads; a guest has two at a time at the most, and 10 s for each from when a thread takes it up."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="answer")
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        self._of: Counter[tuple[str, str]] = Counter()

    def take(self, network_id: str, ip: str, sock: socket.socket) -> None:
        """Answer a connection soon, or close it when the guest has too many."""
        with self._lock:
            if self._of[network_id, ip] >= PER_GUEST:
                sock.close()
                return
            self._of[network_id, ip] += 1
        self._threads.submit(self._answer, network_id, ip, sock)

    def end_slow(self) -> None:
        """Cut connections that are past their time: a guest that trickles bytes would hold a thread."""
        limit = time.monotonic() - REQUEST_S
        with self._lock:
            slow = [sock for sock, since in self._open.items() if since < limit]
        for sock in slow:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _answer(self, network_id: str, ip: str, sock: socket.socket) -> None:
        with self._lock:
            self._open[sock] = time.monotonic()
        try:
            sock.settimeout(REQUEST_S)
            server = self._owner(network_id, ip, sender_mac(sock))
            _Handler(sock, ip, server)
        except OSError as error:
            LOG.debug("guest %s of network %s: %s", ip, network_id, error)
        except Exception:  # a guest must not be able to end a thread
            LOG.exception("answering %s of network %s failed", ip, network_id)
        finally:
            with self._lock:
                self._open.pop(sock, None)
                self._of[network_id, ip] -= 1
                if not self._of[network_id, ip]:
                    del self._of[network_id, ip]
            sock.close()


class _Handler(BaseHTTPRequestHandler):
    """One request of one guest; its headers are not looked at."""

    server_version, sys_version = "Wolke", ""

    def __init__(self, sock: socket.socket, ip: str, guest: Mapping[str, Any] | None) -> None:
        self._guest = guest
        super().__init__(sock, (ip, 0), None)  # type: ignore[arg-type]  # no socketserver stands behind it

    def do_GET(self) -> None:
        found = answer(self._guest, self.path) if self._guest is not None else None
        if found is None:
            self._send(404, Answer(b"404 Not Found\n"))
        else:
            self._send(200, found)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, format: str, *arguments: Any) -> None:
        LOG.debug("%s %s", self.client_address[0], format % arguments)

    def _send(self, code: int, what: Answer) -> None:
        self.send_response(code)
        self.send_header("Content-Type", what.media_type)
        self.send_header("Content-Length", str(len(what.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(what.body)
