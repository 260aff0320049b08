"""Faults while the cloud works (acceptance B): whatever dies, the wish comes about without a person, and nothing is stuck, leaked or doubled.

Each run takes some of the processes in rotation (`WOLKE_FAULTS=all` takes every one, `WOLKE_FAULTS_SEED` repeats a choice).
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cloud import STATE, Cli, eventually, hosts, on_host, run, service_pid, sql, virsh

SEED = int(os.environ.get("WOLKE_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
EACH_RUN = 3


def supervised() -> list[str]:
    """Every process that the stack keeps: ours and the engines'."""
    folder = STATE / "service"
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def chosen() -> list[str]:
    names = supervised()
    if os.environ.get("WOLKE_FAULTS") == "all" or not names:
        return names or ["none"]
    return random.Random(SEED).sample(names, min(EACH_RUN, len(names)))


def boot(demo: Cli, name: str, *more: str) -> str:
    return demo.id(f"server create --image cirros --flavor m1.nano --network private {name}", *more)


def ready(demo: Cli, server: str, times: int = 1) -> None:
    demo.until("server", server, "ACTIVE")
    demo.ready(server, times)


def kill(name: str) -> None:
    """SIGKILL one supervised process, by its pid; it comes back by itself."""
    pid = eventually(lambda: service_pid(name), what=f"{name} runs")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: service_pid(name) != pid, what=f"{name} is back", every=0.2)


def host_of(server: str) -> str:
    return sql(f"SELECT h.name FROM compute.allocation a JOIN compute.host h ON h.id = a.host_id WHERE a.server_id = '{server}'")[0][0]


def qemu_pid(host: str, server: str) -> int:
    pattern = re.compile(rb"guest=wolke-" + server.encode())
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"qemu-system" in path.read_bytes() and pattern.search(path.read_bytes()):
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError(f"no QEMU of {server} on {host}")


@pytest.mark.parametrize("name", chosen())
def test_a_process_dies_in_a_boot_and_in_a_delete(demo: Cli, clean, name: str) -> None:
    rng = random.Random(f"{SEED} {name}")
    server = boot(demo, "fault")
    time.sleep(rng.uniform(0, 1.5))
    kill(name)
    ready(demo, server)
    demo(f"server delete {server}")
    time.sleep(rng.uniform(0, 0.8))
    kill(name)
    demo.gone("server", server)


def test_the_bus_is_away_for_30_seconds(demo: Cli, clean) -> None:
    first = boot(demo, "before-rabbit")
    ready(demo, first)
    service = str(STATE / "service/rabbit")
    run(["sv", "-w", "60", "force-stop", service], check=False)
    try:
        second = boot(demo, "without-rabbit")  # the API does not wait for the bus
        demo(f"server delete {first}")
        time.sleep(30)
        assert demo.status("server", second) in ("BUILD", "ACTIVE")
    finally:
        run(["sv", "up", service])
    ready(demo, second)
    demo.gone("server", first)
    demo(f"server delete {second}")
    demo.gone("server", second)


def test_postgresql_is_restarted(demo: Cli, clean) -> None:
    server = boot(demo, "sql")
    run(["sv", "-w", "30", "restart", str(STATE / "service/postgres")], check=False)
    ready(demo, server)
    run(["sv", "-w", "30", "restart", str(STATE / "service/postgres")], check=False)
    eventually(lambda: sql("SELECT 1"), what="PostgreSQL answers")  # until then a tenant is told to try again
    demo(f"server delete {server}")
    demo.gone("server", server)


def test_guests_survive_agent_and_libvirtd(demo: Cli, clean) -> None:
    server = boot(demo, "survivor")
    ready(demo, server)
    host = host_of(server)
    before = qemu_pid(host, server)
    for name in (f"{host}-agent", f"{host}-libvirtd"):
        kill(name)
    time.sleep(3)
    assert qemu_pid(host, server) == before
    eventually(lambda: "running" in virsh(host, f"domstate wolke-{server}"))
    demo(f"server stop {server}")  # and they still obey
    demo.until("server", server, "SHUTOFF")
    demo(f"server delete --wait {server}")


def test_a_host_whose_agent_was_away_comes_back_right(demo: Cli, clean) -> None:
    keep, drop = boot(demo, "away-1"), boot(demo, "away-2")
    for server in (keep, drop):
        ready(demo, server)
    agents = [str(STATE / "service" / f"{host}-agent") for host in hosts()]
    run(["sv", "-w", "10", "force-stop", *agents], check=False)
    try:
        new = boot(demo, "away-3")  # first: a host of which nothing is heard for long gets no new server
        demo(f"server delete {drop}")
        demo(f"server stop {keep}")
        time.sleep(5)
        assert "running" in virsh(host_of(drop), f"domstate wolke-{drop}"), "a guest was touched while no agent ran"
    finally:
        run(["sv", "up", *agents])
    demo.gone("server", drop)
    demo.until("server", keep, "SHUTOFF")
    ready(demo, new)
    for server in (keep, new):
        demo(f"server delete --wait {server}")


def test_a_guest_that_qemu_lost_is_started_again(demo: Cli, clean) -> None:
    server = boot(demo, "lost")
    ready(demo, server)
    host = host_of(server)
    os.kill(qemu_pid(host, server), signal.SIGKILL)
    ready(demo, server, times=2)
    demo(f"server delete --wait {server}")


def test_a_guest_that_shut_itself_down_stays_down(demo: Cli, clean, tmp_path: Path) -> None:
    script = tmp_path / "user-data"
    script.write_text("#!/bin/sh\n(sleep 20; poweroff) >/dev/null 2>&1 </dev/null &\n")
    server = boot(demo, "tired", "--user-data", str(script))
    ready(demo, server)
    demo.until("server", server, "SHUTOFF")
    time.sleep(12)
    assert demo.status("server", server) == "SHUTOFF"
    assert "shut off" in virsh(host_of(server), f"domstate wolke-{server}")
    demo(f"server start {server}")
    demo.until("server", server, "ACTIVE")
    demo(f"server delete --wait {server}")


def test_no_tap_is_left_open_to_the_host(demo: Cli, clean) -> None:
    """A guest's frames do not reach its host's own stack: every tap has the fence."""
    server = boot(demo, "fenced")
    ready(demo, server)
    host = host_of(server)
    taps = re.findall(r"(tap[0-9a-f-]+)", on_host(host, "ip -o link"))
    rules = on_host(host, "nft list ruleset")
    assert taps
    assert all(tap in rules for tap in taps)
    demo(f"server delete --wait {server}")
