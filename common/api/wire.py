"""What a client sends and is sent: its socket as cheroot reads and writes it, and the body of a request. All of it is bounded in bytes and seconds.

Source: RFC 9112.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Any

from common.clock import Deadline

HEAD_BYTES = 64 << 10
# cheroot reads a head in pieces of this size, and counts them after.
_HEAD_PIECE = 256
# Overall, for a request line with its headers, and for a body that is no stream.
HEAD_SECONDS = BODY_SECONDS = 10.0
# For 256 KiB of an answer, and of a stream either way.
SEND_SECONDS, STREAM_SECONDS = 10.0, 120.0
# What a client may still send of a body that nobody reads, so that it comes to read why.
DRAIN_BYTES = 64 << 20
_PIECE, _LINE, _MOST_TRAILERS = 256 << 10, 4096, 64
_HEAD_END = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)\r\n")
# Fields by which a request is framed and addressed, and those that are lists; of any other the last counts.
_ONCE = (b"Content-Length", b"Transfer-Encoding", b"Host")
_LISTS = (b"Accept", b"Connection", b"If-Match")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


def read_fields(lines: Any, fields: dict[bytes, bytes]) -> None:
    """Fill `fields` with the header that `lines` has next. Those with an underscore, which WSGI confuses with a hyphen, are dropped.

    Raises ValueError for what two readers could understand differently.
    """
    while (line := lines.readline()) != b"\r\n":
        form = _FIELD.fullmatch(line)
        if form is None:
            raise ValueError("Malformed header line.")
        name, value = form[1].title(), form[2].strip()
        if name in fields and name in _ONCE:
            raise ValueError(f"Repeated {name.decode()} header.")
        if name in fields and name in _LISTS:
            value = fields[name] + b", " + value
        if b"_" not in name:
            fields[name] = value


class Wire:
    """The socket of one connection, as cheroot's rfile and wfile."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._buffer, self._looked = sock, bytearray(), 0
        self.closed = False
        # When the request that is being gathered began, by time.time().
        self.begun: float | None = None
        # Until when reads may wait; without one each may for `patience` seconds, as each write may.
        self.deadline: Deadline | None = None
        self.patience = SEND_SECONDS

    def gather(self) -> bool:
        """Take what has arrived, without waiting. Whether that is the whole head of a request, or more than one may have.

        Raises OSError when the client is gone.
        """
        if self.begun is None:
            self.begun, self._looked = time.time(), 0
        if self._has_head():
            return True
        self._socket.settimeout(0)
        try:
            data = self._socket.recv(_PIECE >> 4)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionAbortedError
        self._buffer += data
        return self._has_head()

    def _has_head(self) -> bool:
        start, self._looked = max(0, self._looked - 2), len(self._buffer)
        if self._looked < HEAD_BYTES + _HEAD_PIECE and not _HEAD_END.search(self._buffer, start):
            return False
        self.begun = None
        return True

    def has_data(self) -> bool:
        """Whether a read would not wait."""
        return bool(self._buffer)

    def read1(self, size: int) -> bytes:
        """What there is, or comes next: 1 to `size` bytes; none when the client sends no more. Raises OSError."""
        if not self._buffer:
            return self._receive(min(size, _PIECE))
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def readline(self, size: int) -> bytes:
        """Up to and with the next line feed, at most `size` bytes. Raises OSError."""
        while len(self._buffer) < size and b"\n" not in self._buffer:
            data = self._receive(_LINE)
            if not data:
                break
            self._buffer += data
        return self.read1(min(size, self._buffer.find(b"\n") + 1 or size)) if self._buffer else b""

    def _receive(self, size: int) -> bytes:
        seconds = self.deadline.left() if self.deadline else self.patience
        if not seconds:
            raise TimeoutError("timed out")
        self._socket.settimeout(seconds)
        return self._socket.recv(size)

    def write(self, data: bytes) -> int:
        """Send all of it. Raises OSError."""
        self._socket.settimeout(self.patience)
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self._socket.sendall(view[start : start + _PIECE])
        return len(view)

    def close(self) -> None:
        """For cheroot, which closes the socket itself."""
        self.closed = True


class Body:
    """The body of a request, as `wsgi.input`: of `length` bytes, or chunked without one. No more of it is held than was asked for."""

    def __init__(self, wire: Wire, length: int | None) -> None:
        self._wire, self._left, self._chunked = wire, length or 0, length is None
        self._begun = self._in_chunk = False
        self.seconds: float | None = BODY_SECONDS
        self.ended, self.broken = length == 0, False

    @property
    def endless(self) -> bool:
        """Whether the next request cannot be reached behind it."""
        return not self.ended and (self.broken or self._chunked or self._left > DRAIN_BYTES)

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, or all without one; less only at the end. Raises as `read1` does."""
        data = bytearray()
        while size < 0 or len(data) < size:
            piece = self.read1(size - len(data) if size >= 0 else _PIECE)
            if not piece:
                break
            data += piece
        return bytes(data)

    def read1(self, size: int = _PIECE) -> bytes:
        """What there is, or comes next: 1 to `size` bytes; none at the end.

        Raises OSError when the rest does not come, or not in time; ValueError when it is not framed as a chunked body is.
        """
        try:
            return self._read1(size)
        except (OSError, ValueError):
            self.broken = True
            raise

    def _read1(self, size: int) -> bytes:
        if self.ended or size <= 0:
            return b""
        if not self._begun:
            self._wire.deadline = None if self.seconds is None else Deadline(self.seconds)
        if self._chunked and not self._left:
            self._next_chunk()
        self._begun = True
        if self.ended:
            return b""
        piece = self._wire.read1(min(size, self._left))
        if not piece:
            raise ConnectionAbortedError("the client sends no more")
        self._left -= len(piece)
        self.ended = not self._left and not self._chunked
        return piece

    def _next_chunk(self) -> None:
        if self._in_chunk and self._wire.readline(2) != b"\r\n":
            raise ValueError("a chunk has not the size that it says")
        line = self._wire.readline(_LINE)
        form = _CHUNK.fullmatch(line)
        if form is None:
            raise ValueError(f"{line[:32]!r} is not the size of a chunk")
        self._left, self._in_chunk = int(form[1], 16), True
        if self._left:
            return
        for _ in range(_MOST_TRAILERS):
            line = self._wire.readline(_LINE)
            self.ended = line == b"\r\n"
            if self.ended:
                return
            if not line.endswith(b"\r\n"):
                break
        raise ValueError("the chunks' trailer has too long a line, or too many")

    def drain(self, seconds: float) -> None:
        """Let what nobody reads pass by, within bounds; `ended` tells whether that was all."""
        self._wire.deadline, self._begun, left = Deadline(seconds), True, DRAIN_BYTES
        try:
            while left > 0 and (piece := self.read1(min(left, _PIECE))):
                left -= len(piece)
        except (OSError, ValueError):
            return
