"""The child that converts qcow2 to raw inside the cluster: bounded in memory and time, dead when its parent dies.

Runs as `python -m image.engine.qemu_img CONF USER POOL SOURCE TARGET`: sets its limits, then becomes qemu-img.
Source: qemu-img(1), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from typing import IO

from common.rbd import Ceph, StoreError

MEMORY_BYTES = 4 << 30
PR_SET_PDEATHSIG = 1
NICE = 10
_PLAIN = re.compile(r"[A-Za-z0-9._/+-]+")


def node(conf: str, user: str, pool: str, image: str) -> str:
    """QEMU's name of an RBD image.

    Raises StoreError when a part holds a character that means something to QEMU there.
    """
    for part in (conf, user, pool, image):
        if not _PLAIN.fullmatch(part):
            raise StoreError(f"{part!r} cannot be given to qemu-img")
    return f"rbd:{pool}/{image}:id={user}:conf={conf}"


def command(conf: str, user: str, pool: str, source: str, target: str) -> list[str]:
    """The arguments of qemu-img: formats are named, so that nothing in the data can choose one."""
    return [
        "qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-n", "--target-is-zero", "-t", "none", "-T", "none",
        node(conf, user, pool, source), node(conf, user, pool, target),
    ]  # fmt: skip


class Conversion:
    """A running conversion. Its worker asks `done` now and again."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process, self._errors = process, errors

    def wait(self, seconds: float) -> bool:
        """Whether it ended well within `seconds`. Raises StoreError with qemu-img's last words when it ended badly."""
        try:
            status = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        self._errors.seek(0)
        words = self._errors.read()[-500:].decode(errors="replace").strip()
        if status != 0:
            raise StoreError(f"qemu-img ended with {status}: {words}")
        return True

    def stop(self) -> None:
        """End the child, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._errors.close()


def start(ceph: Ceph, pool: str, source: str, target: str) -> Conversion:
    """Begin to convert the qcow2 data `source` into the existing, empty RBD image `target` of the same pool."""
    conf, user = ceph.identity
    errors = tempfile.TemporaryFile()
    arguments = [sys.executable, "-P", "-m", "image.engine.qemu_img", conf, user, pool, source, target]
    environment = {**os.environ, "WOLKE_PARENT": str(os.getpid())}
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
    return Conversion(process, errors)


def main() -> None:
    """Set the limits and become qemu-img."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["WOLKE_PARENT"]):
        sys.exit("the parent ended first")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    arguments = command(*sys.argv[1:])
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main()
