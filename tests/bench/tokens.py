"""Tokens: their check, their issue, and what identity answers most, `python -m tests.bench.tokens`; on a PostgreSQL of its own.

Rates are per second of the serving process's own time, and of the clock; the client is another process.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from sqlalchemy import text

from common.auth import Authenticator
from common.config import CONF
from common.db import Database
from identity import manage, public
from identity.service import catalog
from identity.service.password import hash_password, verify_password
from identity.service.token import Scope
from tests.bench.figures import say, timed
from tests.bench.served import ask, processor_seconds, served
from tests.support.identity import admin_scope, by_password, issue  # the shortest way to a token: no password is hashed
from tests.support.postgres import running

ROUNDS, SECONDS, CONNECTIONS = 4, 5.0, 4
TOKENS = "/v3/auth/tokens"
MANY = """
INSERT INTO identity."user" (id, name, domain_id) SELECT md5('u' || n), 'user' || n, 'default' FROM generate_series(1, 10000) n;
INSERT INTO identity.project (id, name, domain_id, parent_id)
SELECT md5('p' || n), 'project' || n, 'default', 'default' FROM generate_series(1, 5000) n;
INSERT INTO identity.assignment (role_id, user_id, target, target_id)
SELECT r.id, md5('u1'), 'project', md5('p' || n) FROM generate_series(1, 5000) n, identity.role r WHERE r.name = 'member';
INSERT INTO identity.assignment (role_id, user_id, target, target_id)
SELECT r.id, md5('u2'), 'project', md5('p1') FROM identity.role r WHERE r.name = 'member';
"""


@dataclass(frozen=True)
class Served:
    """Identity in its process."""

    port: int
    pid: int

    def connection(self) -> HTTPConnection:
        """A connection that stays."""
        return HTTPConnection("127.0.0.1", self.port, timeout=60)


def main() -> None:
    CONF([], project="wolke-bench", default_config_files=[], default_config_dirs=[])
    with running() as server, tempfile.TemporaryDirectory() as folder:
        CONF.set_override("state_path", folder)
        CONF.set_override("password_hash_rounds", ROUNDS, "identity")
        url = server.url(server.fresh())
        db = Database(url)
        manage.bootstrap(db, admin_password="bench", region="RegionOne", public_url_base="http://127.0.0.1")
        admin = issue(db)
        _checks(db, admin)
        _fill(db)
        with served(url, ROUNDS) as found:
            _issues(Served(*found), admin)
        db.close()


def _checks(db: Database, token: str) -> None:
    check = public.token_checker(db)
    say("token check, cold", timed(lambda: check(token), 500, warm=20), target="1.5 ms")
    authenticate = Authenticator(check, seconds=0.5)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 3:
        authenticate(token)
        count += 1
    print(f"token check, again: {count / 3:.0f} a second   target 3000")
    _catalogue(db)


def _catalogue(db: Database) -> None:
    """The catalogue of a project, as each validated token shows it: asked for, and remembered."""
    scope = Scope("project", "p")

    def cold() -> None:
        catalog.forget(db)
        catalog.catalogue(db, "u", scope)

    say("catalogue, cold", timed(cold, 500, warm=20), target="1 ms")
    say("catalogue, again", timed(lambda: catalog.catalogue(db, "u", scope), 2000, warm=20), unit="us", scale=1e6, target="100 us")


def _fill(db: Database) -> None:
    """10,000 users, of whom the first has 5,000 role assignments and the second one."""
    secret = hash_password("bench", ROUNDS)
    with db.engine.begin() as connection:
        for statement in MANY.split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        connection.execute(text("INSERT INTO identity.password (user_id, hash) VALUES (md5('u1'), :h), (md5('u2'), :h)"), {"h": secret})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _issues(identity: Served, admin: str) -> None:
    stored = hash_password("bench", ROUNDS)
    alone = say("the hash alone (cost 4)", timed(lambda: verify_password("bench", stored), 200, warm=5))
    connection = identity.connection()

    def log_in(body: Any) -> Callable[[], None]:
        return lambda: _ok(ask(connection, "POST", TOKENS, body)[0], 201)

    for what, name, scope, target in (
        ("admin, for a project", "admin", admin_scope(), 3.0),
        ("who has one role assignment", "user2", {"project": {"name": "project1", "domain": {"id": "default"}}}, 3.0),
        ("who has 5,000 role assignments", "user1", {"project": {"name": "project1", "domain": {"id": "default"}}}, 20.0),
    ):
        whole = timed(log_in(by_password(name, "bench", scope)), 200, warm=10)
        say(f"issue by password over the hash, {what}", [value - alone / 1000 for value in whole], target=f"{target:.0f} ms more")
    _rates(identity, admin)
    users = timed(lambda: _ok(ask(connection, "GET", "/v3/users", **{"X-Auth-Token": admin})[0], 200), 7)
    say("list of 10,000 users, whole", users, target="400 ms")


def _rates(identity: Served, admin: str) -> None:
    _, headers, _ = ask(identity.connection(), "POST", TOKENS, by_password("admin", "bench", admin_scope()))
    token = headers["x-subject-token"]
    path = "/v3/users/" + _user_of(identity, token) + "/application_credentials"
    status, _, raw = ask(identity.connection(), "POST", path, {"application_credential": {"name": "bench"}}, **{"X-Auth-Token": token})
    _ok(status, 201)
    made = json.loads(raw)["application_credential"]
    body = {"auth": {"identity": {
        "methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": made["secret"]},
    }}}  # fmt: skip
    _rate(identity, "issue by application credential", 300, lambda c: _ok(ask(c, "POST", TOKENS, body)[0], 201))
    both = {"X-Auth-Token": admin, "X-Subject-Token": token}
    _rate(identity, "GET /auth/tokens", 500, lambda c: _ok(ask(c, "GET", TOKENS, **both)[0], 200))


def _user_of(identity: Served, token: str) -> str:
    _, _, raw = ask(identity.connection(), "GET", TOKENS, **{"X-Auth-Token": token, "X-Subject-Token": token})
    found: str = json.loads(raw)["token"]["user"]["id"]
    return found


def _rate(identity: Served, what: str, target: int, work: Callable[[HTTPConnection], None]) -> None:
    counts, stop = [0] * CONNECTIONS, threading.Event()

    def run(index: int) -> None:
        connection = identity.connection()
        while not stop.is_set():
            work(connection)
            counts[index] += 1

    threads = [threading.Thread(target=run, args=(index,)) for index in range(CONNECTIONS)]
    start, used = time.perf_counter(), processor_seconds(identity.pid)
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    took, used = time.perf_counter() - start, processor_seconds(identity.pid) - used
    done = sum(counts)
    print(f"{what}: {done / used:.0f} per processor second, {done / took:.0f} per second, n={done}   target {target} per core", flush=True)


def _ok(status: int, expected: int) -> None:
    if status != expected:
        raise SystemExit(f"answered {status}, not {expected}")


if __name__ == "__main__":
    main()
