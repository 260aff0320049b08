"""Every operation of identity with values that do not belong there: a clear 4xx, never a 5xx."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from identity.api import SERVICE
from tests.support import odd
from tests.support.identity import ADMIN_PASSWORD, admin_scope, by_password
from tests.support.samples import sample

PATHS = [*odd.PATHS, "default"]
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name__contains=%25", "name__regex=(", "enabled=maybe", "is_domain=x", "a=1&a=2&a", "effective=x", "limit=99999999999999999999", "&&==&", "name__contains",
    "user.id=%00", "scope.project.id=" + "x" * 300, "domain_id=", "name__like=x", "sort=name:up", "limit=1&sort=name:desc",
]  # fmt: skip
BODIES = [o for o in SERVICE.operations if o.body is not None]


def path_of(operation, value="none"):
    return re.sub(r"\{\w+\}", value, operation.path)


GOOD = {
    "auth": by_password("admin", ADMIN_PASSWORD, admin_scope())["auth"], "user": {"name": "n", "password": "p", "original_password": "o"},
    "endpoint": {"interface": "public", "url": "http://x", "service_id": "none"}, "service": {"type": "t"}, "region": {"id": "r"},
}  # fmt: skip


def start_of(operation):
    """A body that a handler takes, as far as its shape says."""
    envelope = next(iter(operation.body.shape["properties"]))
    made = sample(operation.body.shape).get(envelope)
    return envelope, {**(made if isinstance(made, dict) else {"name": "n"}), **GOOD.get(envelope, {})}


def bodies_of(operation):
    """The bodies to ask `operation` with."""
    envelope, good = start_of(operation)
    yield from odd.bodies(operation, {envelope: good})
    yield from odd.ODD
    for value in odd.ODD:
        unknown = {"unknown": value, "é\x00" if value is None else "x": value}
        yield from odd.worth_asking(operation, [{envelope: value}, {envelope: {**good, **unknown}}, {envelope: {**good, "options": value}}])


@pytest.mark.parametrize("operation", BODIES, ids=lambda o: f"{o.method} {o.path}")
def test_bodies(cloud, operation):
    path, wrong = path_of(operation), []
    for body in bodies_of(operation):
        answer = cloud.admin(operation.method, path, raw=json.dumps(body).encode())
        if answer.status_code >= 500 or (answer.status_code >= 400 and not answer.json["error"]["message"]):
            wrong.append((body, answer.text))
    assert not wrong


def test_no_json(cloud):
    for raw in (b"", b"{", b"\xff", b"[" * 5000, b'{"a": NaN}', b"null", b'"x"', b"{}" * 2):
        assert cloud.nobody("POST", "/v3/auth/tokens", raw=raw).status_code == 400
    assert cloud.nobody("POST", "/v3/auth/tokens", raw=b"x" * (2 << 20)).status_code == 413


def test_paths_and_queries(cloud):
    wrong, asked_of = [], Counter()
    for operation in SERVICE.operations:
        if operation.method in ("GET", "HEAD", "PUT", "DELETE"):
            asked = [path_of(operation, value) for value in odd.paths(operation, PATHS, asked_of)]
            asked += [f"{path_of(operation)}?{query}" for query in odd.queries(operation, QUERIES)] if operation.method == "GET" else []
            for path in asked:
                answer = cloud.admin(operation.method, path)
                if answer.status_code >= 500:
                    wrong.append((operation.method, path, answer.text))
    assert not wrong


def test_odd_tokens(cloud):
    for token in (
        "",
        " ",
        "x" * 10000,
        "a.b.c",
        "....",
        "é",
        "\x7f",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAwMDAwMDAwMDAwMDAwMDAifQ.e30.AAAA",
    ):
        assert cloud.nobody.as_(token)("GET", "/v3/auth/projects").status_code == 401
        assert cloud.admin("GET", "/v3/auth/tokens", headers={"X-Subject-Token": token}).status_code in (400, 404)
