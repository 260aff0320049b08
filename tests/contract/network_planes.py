"""The two northbound databases that the contract runs on: one in memory, one real ovsdb-server."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from network.engine.base import Northbound
from network.engine.memory import MemoryNorthbound, Store
from network.engine.northbound import OvnNorthbound

SCHEMA = Path("/usr/share/ovn/ovn-nb.ovsschema")


class Plane(Protocol):
    def engine(self) -> Northbound:
        """Another process's connection to the same database."""

    def set_up(self, port: str, up: bool) -> None:
        """What northd writes when a chassis has bound the port."""

    def close(self) -> None: ...


class MemoryPlane:
    def __init__(self) -> None:
        self._store = Store()
        self._engines: list[MemoryNorthbound] = []

    def engine(self) -> Northbound:
        self._engines.append(MemoryNorthbound(self._store))
        return self._engines[-1]

    def set_up(self, port: str, up: bool) -> None:
        for engine in self._engines:
            engine.set_up(port, up)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


class OvsdbPlane:
    """ovsdb-server on a unix socket; needs neither root nor a chassis."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="wolke-nb-"))
        self.remote = f"unix:{self.dir}/nb.sock"
        self._engines: list[Northbound] = []
        database = self.dir / "nb.db"
        subprocess.run(["ovsdb-tool", "create", database, SCHEMA], check=True)
        self._database = database
        self.start()

    def start(self) -> None:
        """Start the server, and wait for it."""
        self._server = subprocess.Popen(
            [
                "ovsdb-server",
                self._database,
                f"--remote=p{self.remote}",
                f"--unixctl={self.dir}/nb.ctl",
                "-vconsole:off",
                "-vsyslog:off",
                "--no-chdir",
            ]
        )
        subprocess.run(["ovsdb-client", "--timeout=60", "wait", self.remote, "OVN_Northbound", "connected"], check=True)

    def kill(self) -> None:
        """SIGKILL to the server; its file stays."""
        self._server.kill()
        self._server.wait(10)

    def engine(self) -> Northbound:
        self._engines.append(OvnNorthbound(self.remote, timeout=30))
        return self._engines[-1]

    def transact(self, *operations: dict[str, object]) -> None:
        command = json.dumps(["OVN_Northbound", *operations])
        answer = subprocess.run(["ovsdb-client", "transact", self.remote, command], check=True, capture_output=True, text=True)
        assert "error" not in answer.stdout, answer.stdout

    def set_up(self, port: str, up: bool) -> None:
        self.transact(
            {
                "op": "update",
                "table": "Logical_Switch_Port",
                "where": [["name", "==", port]],
                "row": {"up": up},
            }
        )

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        self._server.terminate()
        self._server.wait(60)
        shutil.rmtree(self.dir)
