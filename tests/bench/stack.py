"""From nothing to a server that says READY: `python -m tests.bench.stack [runs]`. Ends the stack that is up, and leaves one up.

Packages, virtual environment and guest image are present; PostgreSQL, RabbitMQ and Ceph are initialised from nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.figures import say
from tests.e2e.cloud import ROOT


def main() -> None:
    runs = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        subprocess.run([ROOT / "devstack/unstack.sh"], check=True)
        start = time.perf_counter()
        subprocess.run([ROOT / "devstack/stack.sh"], check=True)
        runs.append(time.perf_counter() - start)
    say("stack.sh from nothing to READY", runs, "s", 1.0, target="90 s")


if __name__ == "__main__":
    main()
