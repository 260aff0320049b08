"""A service's API in-process, with tokens that name their actor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import psycopg
from falcon import testing

from common.api import app as kit
from common.api import check
from common.api.service import Service
from common.auth import Actor, Authenticator
from common.db import Database
from common.errors import Unauthorized

PROJECT = "11111111111111111111111111111111"
OTHER_PROJECT = "22222222222222222222222222222222"
ROLES = {
    "reader": frozenset({"reader"}), "member": frozenset({"member", "reader"}), "admin": frozenset({"admin", "member", "reader"}),
}  # fmt: skip


def actor(role: str = "member", project_id: str | None = PROJECT, **more: Any) -> Actor:
    """An actor with this role (and those that it implies) on `project_id`."""
    return Actor(
        user_id="u" + (project_id or "0")[:8] + role, user_name=role, project_id=project_id, project_name="p" + (project_id or "")[:4],
        roles=ROLES[role], **more,
    )  # fmt: skip


class Tokens:
    """Tokens of the form `role` or `role@project id`, and those that `add` made."""

    def __init__(self) -> None:
        self._known: dict[str, Actor] = {}

    def add(self, token: str, who: Actor) -> None:
        """`token` is `who`'s."""
        self._known[token] = who

    def __call__(self, token: str) -> Actor:
        if token in self._known:
            return self._known[token]
        role, _, project = token.partition("@")
        if role not in ROLES:
            raise Unauthorized
        return actor(role, project or PROJECT)


@dataclass(frozen=True)
class Client:
    """Calls one service as one actor; `ok` names the status that is expected of the answer."""

    http: testing.TestClient
    token: str | None = "member"
    version: str | None = None

    def as_(self, token: str | None) -> Client:
        """The same service, asked by another."""
        return replace(self, token=token)

    def __call__(self, method: str, path: str, body: Any = None, *, ok: int | None = None, headers: dict[str, str] | None = None, raw: bytes | None = None) -> testing.Result:  # fmt: skip
        """Ask; with `ok`, the answer must have that status."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.token is not None:
            sent["X-Auth-Token"] = self.token
        if self.version is not None:
            sent["OpenStack-API-Version"] = self.version
        path, _, query = path.partition("?")
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        result = self.http.simulate_request(method, path, query_string=query, body=data, headers=sent)
        assert ok is None or result.status_code == ok, f"{method} {path}: {result.status}: {result.text[:800]}"
        return result

    def get(self, path: str, ok: int | None = 200, **more: Any) -> Any:
        """The JSON of GET."""
        return self("GET", path, ok=ok, **more).json

    def post(self, path: str, body: Any, ok: int | None = None, **more: Any) -> Any:
        """The JSON of POST, or None."""
        result = self("POST", path, body, ok=ok, **more)
        return result.json if result.content else None

    def put(self, path: str, body: Any = None, ok: int | None = None, **more: Any) -> Any:
        """The JSON of PUT, or None."""
        result = self("PUT", path, body, ok=ok, **more)
        return result.json if result.content else None

    def patch(self, path: str, body: Any, ok: int | None = None, **more: Any) -> Any:
        """The JSON of PATCH."""
        return self("PATCH", path, body, ok=ok, **more).json

    def delete(self, path: str, ok: int | None = 204, **more: Any) -> testing.Result:
        """DELETE."""
        return self("DELETE", path, ok=ok, **more)


def client(service: Service, db: Database, tokens: Tokens | None = None) -> Client:
    """`service` on `db`, in this process; answers are checked against their shapes."""
    check.ANSWERS = True
    service.connect(db, Authenticator(tokens or Tokens(), seconds=0))
    return Client(testing.TestClient(kit.build(service)))


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """The SQL statements that the block sends."""
    sent: list[str] = []

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def execute(cursor: psycopg.Cursor[Any], statement: str, *rest: Any, **more: Any) -> Any:
            if cursor.connection.info.dbname == db.engine.url.database:
                sent.append(statement)
            return real(cursor, statement, *rest, **more)

        return execute

    with db.engine.connect():
        pass  # what the first connection of all asks is not the block's
    with patch.multiple(psycopg.Cursor, execute=noting(psycopg.Cursor.execute), executemany=noting(psycopg.Cursor.executemany)):
        yield sent
