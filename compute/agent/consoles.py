"""Serial logs: QEMU appends, we read the tail and keep a guest from filling the host's disk.

QEMU holds the file open with O_APPEND, so cutting it to nothing is safe: the next byte lands at the new end.
"""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 100 * 1024
KEEP_BYTES = 1024 * 1024


class FileConsoles:
    """`ports.Consoles` on a folder; a log's older part is in `<id>.log.old`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)

    def path(self, server_id: str) -> Path:
        """Where QEMU writes."""
        return self._folder / f"{server_id}.log"

    def present(self) -> frozenset[str]:
        names = os.listdir(self._folder)
        return frozenset(name.split(".")[0] for name in names if name.endswith((".log", ".log.old")))

    def tail(self, server_id: str, lines: int | None) -> str:
        data = self._read(self.path(server_id), required=True)
        if len(data) < TAIL_BYTES:
            data = self._read(self._old(server_id), required=False) + data
        text = data[-TAIL_BYTES:].decode("utf-8", "replace")
        if lines is None:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

    def remove(self, server_id: str) -> None:
        for path in (self.path(server_id), self._old(server_id)):
            path.unlink(missing_ok=True)

    def trim(self) -> None:
        """Cut every log that has grown past 1 MiB to its last 100 KiB."""
        for server_id in self.present():
            path = self.path(server_id)
            try:
                if path.stat().st_size > KEEP_BYTES:
                    self._old(server_id).write_bytes(self._read(path, required=True))
                    os.truncate(path, 0)
            except FileNotFoundError:
                continue

    def _old(self, server_id: str) -> Path:
        return self._folder / f"{server_id}.log.old"

    @staticmethod
    def _read(path: Path, *, required: bool) -> bytes:
        """The last 100 KiB."""
        try:
            with path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
                return file.read(TAIL_BYTES)
        except FileNotFoundError:
            if required:
                raise
            return b""
