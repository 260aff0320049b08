"""Whether guests can run on KVM here: asked of a guest that really runs, for a node that opens may still not work."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile

LOG = logging.getLogger(__name__)
PROBE_S = 5.0
EMULATOR = "qemu-system-x86_64"
# mov dx, 0xf4; mov al, 0x10; out dx, al; hlt; jmp back to hlt - QEMU's isa-debug-exit then ends with (0x10 << 1) | 1.
CODE = bytes.fromhex("baf400 b010 ee f4 ebfd")
SECTOR = CODE.ljust(510, b"\0") + b"\x55\xaa"
ENDED_BY_GUEST = 33


def virt_type(wanted: str) -> str:
    """What is configured, `kvm` or `qemu`; for `auto` what the probe finds."""
    if wanted != "auto":
        return wanted
    found = "kvm" if _runs("kvm") else "qemu"
    LOG.info("guests run on %s", found)
    return found


def _runs(accelerator: str) -> bool:
    """Whether a boot sector runs to its end on this accelerator within 5 s."""
    if accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.NamedTemporaryFile(prefix="wolke-probe-") as sector:
        sector.write(SECTOR)
        sector.flush()
        command = [EMULATOR, "-accel", accelerator, "-machine", "pc", "-m", "32", "-nodefaults", "-display", "none", "-no-user-config"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", f"file={sector.name},format=raw,if=ide"]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            LOG.warning("a guest on %s does not run: %s", accelerator, error)
            return False
    return done.returncode == ENDED_BY_GUEST
