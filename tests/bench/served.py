"""Identity served by a process of its own on 127.0.0.1, for the benches: `with served(url) as port`. As a program it is that process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

from common.api import app as kit
from common.api.server import Server
from common.auth import Authenticator
from common.cmd.api import serve
from common.config import CONF
from common.db import Database
from identity import public
from identity.api import SERVICE


@contextmanager
def served(url: str, rounds: int = 12) -> Iterator[tuple[int, int]]:
    """(port, pid) of identity on the database at `url`, with passwords of cost `rounds`; ended at the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    child = subprocess.Popen([sys.executable, "-m", "tests.bench.served", url, str(port), str(rounds)])
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port, child.pid
    finally:
        child.terminate()
        child.wait(30)


def ask(connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (in small letters) and body of one request on a connection that stays."""
    connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def processor_seconds(pid: int) -> float:
    """What the process has used until now."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    url, port, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    CONF([], project="wolke-bench", default_config_files=[], default_config_dirs=[])
    CONF.set_override("password_hash_rounds", rounds, "identity")
    CONF.set_override("identity_port", port, "api")
    db = Database(url)
    SERVICE.connect(db, Authenticator(public.token_checker(db), seconds=CONF.identity.check_cache_seconds))
    serve([Server(kit.build(SERVICE), "identity", waiting=SERVICE.waiting())], threading.Event())


if __name__ == "__main__":
    main()
