"""What is kept encrypted: credentials, secrets of OAuth consumers, passwords of directories. Fernet (AES-128-CBC and HMAC-SHA-256).

The keys are a file outside of the database, one a line: the first encrypts, all decrypt. Every node has the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.config import CONF
from common.errors import ServiceUnavailable

MISSING = (
    "The keys that encrypt credentials cannot be read on this node. Run: wolke-manage identity bootstrap, or copy them from another node."
)


def path() -> Path:
    """Where the keys are: `[identity] credential_key_file`, or `credential-keys` in the state path."""
    return Path(CONF.identity.credential_key_file or Path(CONF.state_path, "credential-keys"))


def encrypt(text: str) -> str:
    """`text` as ASCII that only a holder of the keys reads. Raises ServiceUnavailable without keys."""
    return _keys().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """What `encrypt` was given. Raises ServiceUnavailable without keys, or where none of them fits."""
    try:
        return _keys().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise ServiceUnavailable(f"None of the keys in {path()} decrypts what is stored. Are they those of the other nodes?") from None


def seal(purpose: str, values: Mapping[str, str]) -> str:
    """`values` as ASCII that a stranger may keep: who does not hold the keys can neither read nor change them. Raises ServiceUnavailable."""
    return encrypt(json.dumps([purpose, dict(values)]))


def unseal(purpose: str, sealed: str, seconds: int) -> dict[str, str] | None:
    """What `seal` was given for the same purpose at most `seconds` ago; None for anything else. Raises ServiceUnavailable without keys."""
    try:
        meant, values = json.loads(_keys().decrypt(sealed.encode(), ttl=seconds))
    except (InvalidToken, ValueError, TypeError):
        return None
    return values if meant == purpose and isinstance(values, dict) else None


def make_keys() -> bool:
    """Make the file with one key where there is none; says whether it did. Whole or not at all, and for its owner's eyes only."""
    where = path()
    where.parent.mkdir(parents=True, exist_ok=True)
    return _put(where, [Fernet.generate_key().decode()], replace=False)


def write_keys(keys: list[str]) -> None:
    """Put these in place of the keys of this node; the first encrypts. Raises ValueError for what is no key."""
    for key in keys:
        Fernet(key)
    _put(path(), keys, replace=True)


def read_keys() -> list[str]:
    """The keys of this node. Raises OSError, ValueError."""
    return [line for line in path().read_text("ascii").split() if Fernet(line)]


def _put(where: Path, keys: list[str], *, replace: bool) -> bool:
    fresh = where.with_name(f".{where.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:  # the service that reads it owns the folder
        os.chown(fresh, where.parent.stat().st_uid, where.parent.stat().st_gid)
    if replace:
        fresh.replace(where)
        return True
    try:
        os.link(fresh, where)
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    return True


_lock = threading.Lock()
_known: tuple[object, MultiFernet] | None = None


def _keys() -> MultiFernet:
    """The keys as the file has them now; read again only when it was changed."""
    global _known
    try:
        seen = path().stat()
        mark = (str(path()), seen.st_ino, seen.st_mtime_ns, seen.st_size)
        with _lock:
            if _known is None or _known[0] != mark:
                _known = mark, MultiFernet([Fernet(key) for key in read_keys()])
            return _known[1]
    except (OSError, ValueError):
        raise ServiceUnavailable(MISSING) from None
