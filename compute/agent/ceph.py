"""The host's own cephx key and the cluster's size, read with Ceph's command-line tools: its bindings would double this process."""

from __future__ import annotations

import base64
import binascii
import configparser
import json
import logging
import subprocess
import threading
from collections.abc import Callable
from uuid import NAMESPACE_URL, uuid5

LOG = logging.getLogger(__name__)


class CephError(Exception):
    """The host's Ceph configuration cannot be used; the message says what to put right."""


def key(conf: str, user: str) -> bytes:
    """The key of `client.<user>` from the keyring that `conf` names. Raises CephError."""
    command = ["ceph-conf", "-c", conf, "-n", f"client.{user}", "--show-config-value", "keyring"]
    try:
        files = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip().split(",")
    except (OSError, subprocess.SubprocessError) as error:
        raise CephError(f"`{' '.join(command)}` failed: {error}") from None
    for name in files:
        keyring = configparser.ConfigParser(strict=False, interpolation=None)
        try:
            if keyring.read(name.strip()) and keyring.has_option(f"client.{user}", "key"):
                return base64.b64decode(keyring.get(f"client.{user}", "key"), validate=True)
        except (configparser.Error, binascii.Error, OSError, UnicodeDecodeError) as error:
            raise CephError(f"the keyring {name} cannot be read: {type(error).__name__}") from None
    raise CephError(f"no key of client.{user} in {', '.join(files)}; put the host's keyring there")


def secret_uuid(conf: str, user: str) -> str:
    """The id under which libvirt holds the key; the same at each start, so that running guests' configurations stay valid."""
    return str(uuid5(NAMESPACE_URL, f"wolke:ceph:{conf}:{user}"))


def size_gib(conf: str, user: str) -> int:
    """The cluster's raw size in GiB; 0 when it does not say."""
    command = ["rados", "-c", conf, "-n", f"client.{user}", "df", "--format", "json"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        return int(json.loads(answer)["total_space"]) // 1024 // 1024
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        LOG.warning("the cluster's size is not known: %s", error)
        return 0


class Size:
    """The cluster's size, asked in a thread: a cluster that does not answer must hold up no guest."""

    def __init__(self, ask: Callable[[], int], *, again_s: float = 300.0, unknown_s: float = 15.0) -> None:
        self._ask = ask
        self._again_s = again_s
        self._unknown_s = unknown_s
        self._gib = 0
        self.on_change: Callable[[], None] = lambda: None
        threading.Thread(target=self._run, name="ceph-size", daemon=True).start()

    def gib(self) -> int:
        """GiB as last heard; 0 before the first answer."""
        return self._gib

    def _run(self) -> None:
        while True:
            found = self._ask()
            if found and found != self._gib:
                self._gib = found
                self.on_change()
            threading.Event().wait(self._again_s if self._gib else self._unknown_s)
