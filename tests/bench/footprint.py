"""Memory (PSS) and processor time of every Python process of ours in the running stack: `python -m tests.bench.footprint [seconds]`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.e2e.cloud import STATE, service_pid

TICK = os.sysconf("SC_CLK_TCK")


def ours() -> dict[str, int]:
    """Our services by name, with the pid of the Python process (a launcher execs it)."""
    names = [path.name for path in (STATE / "service").iterdir()]
    return {name: service_pid(name) for name in sorted(names) if name.startswith("wolke-") or name.endswith(("-agent", "-metadata"))}


def family(pid: int) -> list[int]:
    """A process and its children, theirs included; guests are not ours to count."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += family(int(child))
    return [p for p in found if "python" in os.readlink(f"/proc/{p}/exe")]


def pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    pids = {name: family(pid) for name, pid in ours().items()}
    before = {name: sum(map(cpu_seconds, found)) for name, found in pids.items()}
    time.sleep(seconds)
    total_memory = total_cpu = 0.0
    for name, found in pids.items():
        memory, cpu = sum(map(pss_mib, found)), (sum(map(cpu_seconds, found)) - before[name]) / seconds * 100
        total_memory, total_cpu = total_memory + memory, total_cpu + cpu
        print(f"{name:20} {memory:7.1f} MiB PSS  {cpu:5.2f} % of a core")
    print(f"{'all':20} {total_memory:7.1f} MiB PSS (target 700 MB)  {total_cpu:5.2f} % of a core (target 3 %), over {seconds:.0f} s")


if __name__ == "__main__":
    main()
