"""The engines of devstack for tests that need a whole hypervisor: those that are up, or started for the run and ended after it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATE = Path(os.environ.get("WOLKE_STATE", "/var/lib/wolke"))


@dataclass(frozen=True)
class Hypervisor:
    """One host of the stack."""

    name: str

    @property
    def libvirt_uri(self) -> str:
        """Its libvirt, from outside of its namespaces."""
        return f"qemu+unix:///system?socket={STATE}/hosts/{self.name}/run/libvirt/libvirt-sock"

    @property
    def libvirtd_pid(self) -> int:
        """The process that the supervisor starts again when it dies."""
        return int((STATE / "service" / f"{self.name}-libvirtd" / "supervise" / "pid").read_text())

    @contextmanager
    def without_agent(self) -> Iterator[None]:
        """While a test plays the agent, the host's own is stopped."""
        names = [name for name in (f"{self.name}-agent", f"{self.name}-metadata") if self._sv("status", name).startswith("run:")]
        for name in names:
            self._sv("-w", "20", "stop", name)
        try:
            yield
        finally:
            for name in names:
                self._sv("start", name)

    @staticmethod
    def _sv(*command: str) -> str:
        environment = {**os.environ, "SVDIR": str(STATE / "service")}
        return subprocess.run(["sv", *command], check=False, capture_output=True, text=True, env=environment).stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside; its output is kept, its failure is the caller's to see."""
        return subprocess.run([str(ROOT / "devstack/host-exec.sh"), self.name, *command], check=False, capture_output=True, text=True)


@contextmanager
def hypervisor() -> Iterator[Hypervisor]:
    """The last host of the stack, so that what a developer has on the first is left alone."""
    started = not (STATE / "ovn" / "nb.sock").exists()
    if started:
        subprocess.run([str(ROOT / "devstack/stack.sh"), "--engines-only"], check=True)
    try:
        yield Hypervisor(max(path.name for path in (STATE / "hosts").iterdir()))
    finally:
        if started:
            subprocess.run([str(ROOT / "devstack/unstack.sh")], check=True)
