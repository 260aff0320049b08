"""What an agent keeps on its host's disk: who it is, its key, its lock, the last plan. Nothing in the plan is a secret of ours."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from compute.agent.signing import public_text


class AlreadyRunning(Exception):
    """Another agent holds this host."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The host's id and the key that proves it."""

    host_id: str
    key: Ed25519PrivateKey

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
        return Identity(host_id, key)

    def save_plan(self, raw: Mapping[str, Any]) -> None:
        """Keep the last document, whole or not at all."""
        write(self.plan_file, json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode())


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step, readable by this user only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    os.replace(temporary, path)
