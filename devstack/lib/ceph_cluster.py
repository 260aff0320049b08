"""What a new Ceph cluster needs to be told, by librados: `osds DIR`, `ready POOL…`, `user NAME CAP=VALUE…`.

Run by Debian's Python, which has the bindings.
"""

import glob
import json
import os
import sys
import time
from typing import Any

import rados
import rbd

TIMEOUTS = {"rados_mon_op_timeout": "240", "rados_osd_op_timeout": "240", "client_mount_timeout": "240"}


class Cluster:
    """A connection as client.admin; a refused command ends the program with its reason."""

    def __init__(self, conf: str) -> None:
        self.rados = rados.Rados(conffile=conf, rados_id="admin", conf=TIMEOUTS)
        self.rados.connect()

    def mon(self, **command: Any) -> Any:
        code, out, error = self.rados.mon_command(json.dumps(command | {"format": "json"}), b"")
        if code < 0:
            raise SystemExit(f"{command}: {code} {error}")
        return json.loads(out) if out.strip() else {}

    def osds(self, directory: str) -> None:
        """Tell the monitor the OSDs of a folder: files `<id>.uuid`."""
        known = {osd["osd"] for osd in self.mon(prefix="osd dump")["osds"]}
        for path in sorted(glob.glob(f"{directory}/*.uuid")):
            number = int(os.path.basename(path).removesuffix(".uuid"))
            if number not in known:
                with open(path) as file:
                    self.mon(prefix="osd new", uuid=file.read().strip(), id=number)

    def ready(self, pools: list[str]) -> None:
        """Make the pools; wait, 300 s at the most, until every OSD answers and all is healthy."""
        end = time.monotonic() + 300
        dump = self.mon(prefix="osd dump")
        if dump["require_osd_release"] != "pacific":
            self.mon(prefix="osd require-osd-release", release="pacific")
        have = set(self.rados.list_pools())
        for pool in pools:
            if pool not in have:
                self.mon(prefix="osd pool create", pool=pool, pg_num=8, pgp_num=8)
        for osd in dump["osds"]:  # answered by the live daemon only: the map may call a dead one up
            while self.rados.osd_command(osd["osd"], '{"prefix": "version"}', b"")[0] != 0:
                self._wait(end, f"osd.{osd['osd']} does not answer")
        for pool in pools:
            with self.rados.open_ioctx(pool) as io:
                if "rbd" not in io.application_list():
                    rbd.RBD().pool_init(io, True)
        self.mon(prefix="health mute", code="MGR_MODULE_ERROR", sticky=True)  # always-on modules left out count as failed
        while not self._healthy():
            self._wait(end, "not healthy")
        print("HEALTH_OK")

    def _healthy(self) -> bool:
        status = self.mon(prefix="status")
        states = {state["state_name"] for state in status["pgmap"].get("pgs_by_state", [])}
        osds = status["osdmap"]
        return bool(status["health"]["status"] == "HEALTH_OK" and osds["num_up_osds"] == osds["num_osds"] and states == {"active+clean"})

    def _wait(self, end: float, what: str) -> None:
        if time.monotonic() > end:
            raise SystemExit(f"{what}: {json.dumps(self.mon(prefix='health', detail='detail'))}")
        time.sleep(0.1)

    def user(self, name: str, caps: list[str]) -> None:
        """Print the keyring of a user with exactly these capabilities, made if it is new."""
        pairs = [part for cap in caps for part in cap.split("=", 1)]
        code, _, error = self.rados.mon_command(json.dumps({"prefix": "auth get-or-create", "entity": name, "caps": pairs}), b"")
        if code < 0 and "do not match" in error:
            self.mon(prefix="auth caps", entity=name, caps=pairs)
        elif code < 0:
            raise SystemExit(f"{name}: {code} {error}")
        print(f"[{name}]\n\tkey = {self.mon(prefix='auth get-key', entity=name)['key']}")


def main(conf: str, action: str, *arguments: str) -> None:
    cluster = Cluster(conf)
    try:
        run(cluster, action, *arguments)
    finally:
        cluster.rados.shutdown()  # threads that outlive the interpreter crash it


def run(cluster: Cluster, action: str, *arguments: str) -> None:
    if action == "osds":
        cluster.osds(arguments[0])
    elif action == "ready":
        cluster.ready(list(arguments))
    elif action == "user":
        cluster.user(arguments[0], list(arguments[1:]))
    else:
        raise SystemExit(f"unknown action {action}")


if __name__ == "__main__":
    main(*sys.argv[1:])
