"""wolke-ovn as a process of its own, killed again and again, on a real PostgreSQL (as its own role) and a real ovsdb-server."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from network.engine.memory import MemoryNorthbound, Store
from network.models import FloatingIp, Network, Port, Router, SecurityGroup, SecurityGroupRule, Subnet
from network.writer.lease import WriterLease
from network.writer.writer import Writer
from tests.api.network_world import world
from tests.contract.network_planes import OvsdbPlane

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
MODELS = (Network, Subnet, Port, Router, FloatingIp, SecurityGroup, SecurityGroupRule)
KILLS = int(os.environ.get("WOLKE_KILLS", "6"))


class Process:
    """One life after another of `wolke-ovn`."""

    def __init__(self, folder: Path, url: str, northbound: str) -> None:
        self._config = folder / "wolke.conf"
        self._path = folder / "log"
        self._config.write_text(
            f"[DEFAULT]\ntransport_url = rabbit://nobody@127.0.0.1:1/\n[database]\nconnection = {url}\n"
            f"[ovn]\nnorthbound = {northbound}\nsouthbound =\n"
        )
        self._child: subprocess.Popen[bytes] | None = None
        self._born_at = 0

    def start(self) -> None:
        self._born_at = len(self.log)
        command = [sys.executable, "-W", "ignore", "-m", "network.cmd.ovn", "--config-file", str(self._config)]
        with self._path.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])

    def end(self, how: signal.Signals) -> int:
        assert self._child is not None
        self._child.send_signal(how)
        return self._child.wait(120)

    @property
    def log(self) -> str:
        """What all lives said."""
        return self._path.read_text() if self._path.exists() else ""

    @property
    def writes(self) -> bool:
        """Whether this life is the writer; before, a signal may still find no handler."""
        return "is the writer" in self.log[self._born_at :]

    @property
    def dead(self) -> bool:
        return self._child is None or self._child.poll() is not None


def settled(db) -> bool:
    with db.transaction() as tx:
        return all(
            row.generation == row.observed_generation and row.desired == "present" for model in MODELS for row in tx.scalars(select(model))
        )


def wait(check, seconds: float = 180) -> None:
    limit = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < limit, f"not within {seconds} s"
        time.sleep(0.1)


def story(w, n: int, ext: str) -> dict[str, str]:
    net = w.network(f"n{n}")["id"]
    sub = w.subnet(net, f"10.0.{n}.0/24")["id"]
    router = w.router(external_gateway_info={"network_id": ext})["id"]
    w.add_interface(router, subnet_id=sub)
    port = w.port(net)["id"]
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext, "port_id": port}}, ok=201)["floatingip"]["id"]
    return {"net": net, "sub": sub, "router": router, "port": port, "fip": fip}


def undo(w, t: dict[str, str]) -> None:
    w.api.delete(f"/v2.0/floatingips/{t['fip']}")
    w.api.delete(f"/v2.0/ports/{t['port']}")
    w.api.put(f"/v2.0/routers/{t['router']}/remove_router_interface", {"subnet_id": t["sub"]}, ok=200)
    w.api.delete(f"/v2.0/routers/{t['router']}")
    w.api.delete(f"/v2.0/networks/{t['net']}")


def contents(engine):
    return {key: (one.unit, one.parent, dict(one.columns), dict(one.refs), one.groups) for key, one in engine.content().items()}


def as_the_twin_has_it(db) -> dict:
    """What OVN shall hold, by a writer that nothing disturbed."""
    twin, lease = MemoryNorthbound(Store()), WriterLease(db, "twin")
    wait(lease.claim)
    writer = Writer(db, twin, lease)
    writer.begin()
    writer.turn()
    lease.release()
    return contents(twin)


def test_killed_again_and_again(db, postgres, tmp_path, request):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice, w, plane = random.Random(seed), world(db), OvsdbPlane()
    request.addfinalizer(plane.close)
    url = postgres.url(db.engine.url.database, "wolke_ovn")
    process = Process(tmp_path, url, plane.remote)
    ext = w.external()["id"]
    kept: list[dict[str, str]] = []
    try:
        for n in range(KILLS):
            process.start()
            kept.append(story(w, n, ext))
            if n % 2:  # every other life is killed while it writes, the rest at whatever they have come to
                wait(lambda: process.writes)
            time.sleep(dice.uniform(0.5, 4.0))
            if len(kept) > 2:
                undo(w, kept.pop(dice.randrange(len(kept))))
            time.sleep(dice.uniform(0.0, 0.3))
            assert not process.dead, process.log[-2000:]
            process.end(signal.SIGKILL)
        process.start()
        wait(lambda: process.writes and settled(db))
        assert process.end(signal.SIGTERM) == 0
        assert process.log.count("is the writer") > KILLS // 2, "too few lives ever wrote"
    finally:
        if not process.dead:
            process.end(signal.SIGKILL)
    engine = plane.engine()
    wait(lambda: len(engine.units()) > 1)
    assert contents(engine) == as_the_twin_has_it(db)
