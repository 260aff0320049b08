"""What an agent keeps on its host's disk: who it is, its key, its lock, the last plan. Nothing in the plan is a secret of ours."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from compute.agent.signing import public_text

LOG = logging.getLogger(__name__)
MOST_KEPT = 2**62  # the year 2116; the controller takes twice as much


class AlreadyRunning(Exception):
    """Another agent holds this host."""


class Stamps:
    """Numbers for registrations, each greater than all before, so that one that was overheard is worth nothing.

    A number is wall-clock time in ns, or one more than the last in `path` where the clock was set back. Either alone is enough: a file that
    is lost, or old because the host came back from a backup, is made good by the clock.
    """

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """The next number; it is on the disk before it is used, or, where the disk takes nothing, at least never used twice in this life."""
        self._last = max(self._last + 1, self._kept() + 1, self._clock())
        try:
            write(self._path, f"{self._last}\n".encode())
        except OSError as error:
            LOG.error("%s cannot be written: %s; now only the clock keeps registrations in order", self._path, error)
        return self._last

    def _kept(self) -> int:
        try:
            kept = int(self._path.read_text())
            if not 0 <= kept < MOST_KEPT:
                raise ValueError(f"{kept} is out of range")
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            LOG.warning("%s is damaged and is made anew: %s", self._path, error)
            return 0
        return kept


@dataclass(frozen=True, slots=True)
class Identity:
    """The host's id, the key that proves it, and the stamps of its registrations."""

    host_id: str
    key: Ed25519PrivateKey
    stamps: Stamps

    @property
    def public_key(self) -> str:
        """Raw 32 bytes in base64."""
        return public_text(self.key)


class StateDir:
    """The folder `<state_path>/agent`, mode 0700."""

    def __init__(self, state_path: str) -> None:
        self.path = Path(state_path) / "agent"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd: int | None = None

    @property
    def plan_file(self) -> Path:
        """The last document, read by wolke-metadata."""
        return self.path / "plan.json"

    @property
    def console_dir(self) -> Path:
        """Serial logs, `<server id>.log`."""
        return self.path / "console"

    def lock(self) -> None:
        """Be the one agent of this host as long as this process lives. Raises AlreadyRunning."""
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise AlreadyRunning(f"another agent holds {self.path}/lock; one agent runs on a host") from None
        self._lock_fd = fd

    def identity(self) -> Identity:
        """The host's id and key, made on the first start. Raises ValueError when a file is not what it should be."""
        id_file, key_file = self.path / "host-id", self.path / "host-key"
        if not id_file.exists():
            write(id_file, f"{uuid.uuid4()}\n".encode())
        if not key_file.exists():
            raw = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            write(key_file, raw)
        host_id = id_file.read_text().strip()
        try:
            uuid.UUID(host_id)
            key = Ed25519PrivateKey.from_private_bytes(key_file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{id_file} or {key_file} is damaged: {error}; restore it or add the host anew") from None
        return Identity(host_id, key, Stamps(self.path / "registrations"))

    def save_plan(self, raw: Mapping[str, Any]) -> None:
        """Keep the last document, whole or not at all."""
        write(self.plan_file, json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode())


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step that outlasts a loss of power, readable by this user only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
