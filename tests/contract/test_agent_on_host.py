"""Runs inside a hypervisor what must run there: the switch's contract on real taps, and the whole agent with real guests."""

from __future__ import annotations

import sys

import pytest

from tests.support.engines import ROOT, STATE, Hypervisor


@pytest.mark.engine
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file", ["test_agent_switch.py", "agent_inside_host.py"])
def test_inside_a_host(host: Hypervisor, file: str) -> None:
    settings = [
        "WOLKE_TEST_OVS=unix:/run/openvswitch/db.sock",
        f"WOLKE_TEST_OVN=unix:{STATE}/ovn/nb.sock",
        f"WOLKE_TEST_CEPH_USER={host.name}",
        f"WOLKE_TEST_SERVICES={STATE}/service",
    ]
    python = [sys.executable, "-m", "pytest", "-rA", "--tb=short", f"tests/contract/{file}"]
    with host.without_agent():
        done = host.run("env", "-C", str(ROOT), "PYTHONDONTWRITEBYTECODE=1", *settings, *python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout, "nothing ran inside the host"
