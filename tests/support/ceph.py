"""A real Ceph of the test run's own on 127.0.0.1: one monitor, one manager, one OSD, in a temporary folder, gone at the end.

The configuration and the first commands are devstack's; only who starts the daemons differs.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engines import ROOT

POOLS = ("images", "volumes", "vms")
LIB = ROOT / "devstack" / "lib"
MGR_MODULES = Path("/usr/share/ceph/mgr")
OSD_BYTES = 10 << 30
SPAN = 99


class Cluster:
    """The daemons of one small cluster; `conf` and `user` reach it."""

    user = "wolke"

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "ceph.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Make the cluster and wait until it is healthy."""
        for name in ("run", "log", "mon", "mgr", "osd/0"):
            (self.folder / name).mkdir(parents=True)
        port, fsid = free_ports(), str(uuid.uuid4())
        self.conf.write_text(self._conf(port, fsid))
        keys = {
            name: self._run("ceph-authtool", "-c", "/dev/null", "--gen-print-key")
            for name in ("mon.", "client.admin", "mgr.x", "osd.0", "client.wolke")
        }
        for name, key in keys.items():
            (self.folder / f"{name.rstrip('.')}.keyring").write_text(f"[{name}]\n\tkey = {key}\n")
        (self.folder / "seed").write_text("".join(self._entity(name, key) for name, key in keys.items()))
        monmap, osd = str(self.folder / "monmap"), str(uuid.uuid4())
        (self.folder / "osd/0.uuid").write_text(osd)
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{port}/0]", monmap)
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", str(self.folder / "seed"))
        self._ceph("ceph-osd", "--mkfs", "-i", "0", "--no-mon-config", "--osd-uuid", osd, "--monmap", monmap)
        self._daemon("ceph-mon", "a")
        self._tell("osds", str(self.folder / "osd"))
        self._daemon("ceph-mgr", "x")
        self._daemon("ceph-osd", "0")
        self._tell("ready", *POOLS)

    def stop(self) -> None:
        """End the daemons, the monitor last."""
        for process in reversed(self._daemons):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _conf(self, port: int, fsid: str) -> str:
        off = ",".join(sorted(path.name for path in MGR_MODULES.iterdir() if path.is_dir() and path.name != "rbd_support"))
        values = {
            "FSID": fsid, "ADDR": "127.0.0.1", "PORT": port, "D": self.folder, "MGR_OFF": off, "OSD_PORT": port + 1,
            "OSD_PORT_MAX": port + SPAN, "SIZE": 1, "OSD_BYTES": OSD_BYTES,
        }  # fmt: skip
        text = (LIB / "ceph.conf.in").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def _entity(self, name: str, key: str) -> str:
        pools = ", ".join(f"profile rbd pool={pool}" for pool in POOLS)
        caps = {
            "mon.": {"mon": "allow *"}, "mgr.x": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
            "client.admin": dict.fromkeys(("mon", "osd", "mgr", "mds"), "allow *"),
            "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
            "client.wolke": {"mon": "profile rbd", "osd": pools, "mgr": pools},
        }[name]  # fmt: skip
        return f"[{name}]\n\tkey = {key}\n" + "".join(f'\tcaps {kind} = "{what}"\n' for kind, what in caps.items())

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def _ceph(self, *command: str) -> str:
        return self._run(*command, "-c", str(self.conf))

    def _tell(self, *words: str) -> None:
        self._run("/usr/bin/python3", str(LIB / "ceph_cluster.py"), str(self.conf), *words)

    def _daemon(self, program: str, name: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("wb") as out:
            self._daemons.append(subprocess.Popen([program, "-f", "-i", name, "-c", str(self.conf)], stdout=out, stderr=out))


def free_ports() -> int:
    """The first of a hundred ports, below those that the kernel gives to clients, of which the first is free."""
    for port in range(20000, 32000, SPAN + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster for a run of tests. Its folder's name is short: a unix socket's holds 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="wceph", dir="/tmp"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
