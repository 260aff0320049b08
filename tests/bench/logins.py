"""A right log-in while wrong ones come in: `python -m tests.bench.logins [connections] [seconds] [case]`; identity in a process of its own, passwords at full cost.

Wrong ones for invented users and for users that there are, from the right one's address and from many others. A case ends when its seconds are over and
1,000 wrong ones came in, or after six times its seconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from common.config import CONF
from common.db import Database
from identity import manage
from identity.models import Password, User
from identity.service.password import hash_password
from tests.bench.served import ask, served
from tests.support.identity import by_password
from tests.support.postgres import running

HERE = "127.0.0.1"
ROUNDS, USERS, PAUSE, WRONG = 12, 400, 1.0, 1000


@dataclass(frozen=True)
class Case:
    """Who is tried. users: how many there are of that name, None where they are invented; elsewhere: from 64 addresses, none of them the right one's."""

    what: str
    users: int | None = None
    elsewhere: bool = False


CASES = (
    Case("invented users, from the same address"),
    Case("invented users, from 64 other addresses", elsewhere=True),
    Case("20 users that there are, from the same address", 20),
    Case("400 users that there are, from the same address", 400),
    Case("400 users that there are, from 64 other addresses", 400, elsewhere=True),
)


class Flood:
    """Wrong log-ins, each of another user, on so many connections, one after the other on each."""

    def __init__(self, port: int, case: Case, connections: int) -> None:
        self.answers: dict[int, int] = {}
        self.sent = 0
        self._port, self._case = port, case
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(index,), daemon=True) for index in range(connections)]

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, index: int) -> None:
        source = f"127.0.1.{index % 64 + 1}" if self._case.elsewhere else HERE
        while not self._stop.is_set():
            connection = HTTPConnection(HERE, self._port, timeout=60, source_address=(source, 0))
            try:
                while not self._stop.is_set():
                    with self._lock:
                        self.sent += 1
                        name = f"user{self.sent % self._case.users}" if self._case.users else f"nobody{self.sent}"
                    status, _, _ = ask(connection, "POST", "/v3/auth/tokens", by_password(name, "wrong"))
                    with self._lock:
                        self.answers[status] = self.answers.get(status, 0) + 1
            except (OSError, HTTPException):
                self._stop.wait(0.05)
            finally:
                connection.close()


def log_in(port: int, name: str) -> tuple[int, float]:
    """Status and seconds of a right log-in, on a connection of its own."""
    start = time.perf_counter()
    connection = HTTPConnection(HERE, port, timeout=60, source_address=(HERE, 0))
    status, _, _ = ask(connection, "POST", "/v3/auth/tokens", by_password(name, "right"))
    connection.close()
    return status, time.perf_counter() - start


def measure(port: int, case: Case, connections: int, seconds: float, names: Iterator[str], quiet: float) -> None:
    with Flood(port, case, connections) as flood:
        time.sleep(3)
        began = time.perf_counter()
        fresh: list[tuple[int, float]] = []
        known: list[tuple[int, float]] = []
        while (past := time.perf_counter() - began) < seconds or (flood.sent < WRONG and past < 6 * seconds):
            fresh.append(log_in(port, next(names)))
            known.append(log_in(port, "known"))
            time.sleep(PAUSE)
    for who, found in (("for the first time", fresh), ("again", known)):
        over = [took - quiet for status, took in found if status == 201]
        within = sum(took <= 1.0 for took in over)
        median, most = (statistics.median(over), max(over)) if over else (float("nan"), float("nan"))
        print(
            f"{case.what}: right, {who}: {median:.2f} s over its hash (most {most:.2f}), {within} of {len(found)} within 1 s, "
            f"{len(found) - len(over)} refused   target 1 s"
        )
    print(f"  {flood.sent} wrong ones meanwhile: {dict(sorted(flood.answers.items()))}", flush=True)


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    CONF([], project="wolke-bench", default_config_files=[], default_config_dirs=[])
    with running() as server, tempfile.TemporaryDirectory() as folder:
        CONF.set_override("state_path", folder)
        url = server.url(server.fresh())
        db = Database(url)
        manage.bootstrap(db, admin_password="bench")
        secret = hash_password("right", ROUNDS)
        with db.transaction() as tx:
            made = [
                User(name=name, domain_id="default")
                for name in ("known", *(f"{kind}{n}" for kind in ("user", "fresh") for n in range(USERS)))
            ]
            tx.add_all(made)
            tx.flush()
            tx.add_all(Password(user_id=user.id, hash=secret) for user in made)
        with served(url, ROUNDS) as (port, _):
            log_in(port, "known")
            quiet = statistics.median(log_in(port, "known")[1] for _ in range(5))
            print(f"a right log-in on a quiet server: {quiet:.2f} s; {connections} connections, {seconds:.0f} s each", flush=True)
            names = (f"fresh{n}" for n in range(USERS))
            for case in CASES[int(sys.argv[3]) - 1 :][:1] if len(sys.argv) > 3 else CASES:
                measure(port, case, connections, seconds, names, quiet)
        db.close()


if __name__ == "__main__":
    main()
