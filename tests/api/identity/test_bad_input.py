"""Every operation of identity with values that do not belong there: a clear 4xx, never a 5xx."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from identity.api import SERVICE
from tests.support.identity import ADMIN_PASSWORD, admin_scope, by_password

ODD = [
    None, True, 5, -1, 2**70, 1.5, 1e308, "", " ", "x" * 300, "\x00", "\ud800", "é", "5\n", "true\n", "yeſ", "%", "'; --", [], [None], {}, {"a": {"b": []}}, ["x" * 300],
    "../..", "\u202e", 0,
]  # fmt: skip
PATHS = ["none", "%00", quote("é"), "x" * 300, "%2e%2e", "%F0%9F%92%A9", "%ff", "a%20b", "%27", "default"]
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name__contains=%25", "name__regex=(", "enabled=maybe", "is_domain=x", "a=1&a=2&a", "effective=x", "limit=99999999999999999999", "&&==&", "name__contains",
    "user.id=%00", "scope.project.id=" + "x" * 300, "domain_id=", "name__like=x", "sort=name:up", "limit=1&sort=name:desc",
]  # fmt: skip
BODIES = [o for o in SERVICE.operations if o.body is not None]


def path_of(operation, value="none"):
    return re.sub(r"\{\w+\}", value, operation.path)


def properties(shape, above=()):
    """Every place in a shape, as a list of keys."""
    for name, inner in shape.get("properties", {}).items() if isinstance(shape, dict) else ():
        yield (*above, name)
        yield from properties(inner, (*above, name))
    for other in shape.get("anyOf", ()) if isinstance(shape, dict) else ():
        yield from properties(other, above)


def put(body, place, value):
    for key in place[:-1]:
        body = body.setdefault(key, {})
        if not isinstance(body, dict):
            return
    body[place[-1]] = value


GOOD = {
    "auth": by_password("admin", ADMIN_PASSWORD, admin_scope())["auth"], "user": {"name": "n", "password": "p", "original_password": "o"},
    "endpoint": {"interface": "public", "url": "http://x", "service_id": "none"}, "service": {"type": "t"}, "region": {"id": "r"},
}  # fmt: skip


@pytest.mark.parametrize("operation", BODIES, ids=lambda o: f"{o.method} {o.path}")
def test_bodies(cloud, operation):
    path, wrong = path_of(operation), []
    envelope = next(iter(operation.body.shape["properties"]))

    def ask(body):
        answer = cloud.admin(operation.method, path, raw=json.dumps(body).encode())
        if answer.status_code >= 500 or (answer.status_code >= 400 and not answer.json["error"]["message"]):
            wrong.append((body, answer.text))

    for place in properties(operation.body.shape):
        for value in ODD:
            body = json.loads(json.dumps({envelope: GOOD.get(envelope, {"name": "n"})}))
            put(body, place, value)
            ask(body)
    for value in ODD:
        ask(value)
        ask({envelope: value})
        ask({envelope: {**GOOD.get(envelope, {"name": "n"}), "unknown": value, "é\x00" if value is None else "x": value}})
        ask({envelope: {**GOOD.get(envelope, {"name": "n"}), "options": value}})
    assert not wrong


def test_no_json(cloud):
    for raw in (b"", b"{", b"\xff", b"[" * 5000, b'{"a": NaN}', b"null", b'"x"', b"{}" * 2):
        assert cloud.nobody("POST", "/v3/auth/tokens", raw=raw).status_code == 400
    assert cloud.nobody("POST", "/v3/auth/tokens", raw=b"x" * (2 << 20)).status_code == 413


def test_paths_and_queries(cloud):
    wrong = []
    for operation in SERVICE.operations:
        if operation.method in ("GET", "HEAD", "PUT", "DELETE"):
            asked = [path_of(operation, value) for value in PATHS] if "{" in operation.path else []
            asked += [f"{path_of(operation)}?{query}" for query in QUERIES] if operation.method == "GET" else []
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
