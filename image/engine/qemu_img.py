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
import sys

from common.rbd import StoreError

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
