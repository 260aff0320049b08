"""Every operation of identity with values that do not belong there: a clear 4xx, never a 5xx."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from identity.api import SERVICE
from tests.api.identity.bad_input_world import ONCE, There
from tests.support import odd

PATHS = [*odd.PATHS, "default"]
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name__contains=%25", "name__regex=(", "enabled=maybe", "is_domain=x", "a=1&a=2&a", "effective=x", "limit=99999999999999999999", "&&==&", "name__contains",
    "user.id=%00", "scope.project.id=" + "x" * 300, "domain_id=", "name__like=x", "sort=name:up", "limit=1&sort=name:desc",
]  # fmt: skip
BODIES = [o for o in SERVICE.operations if o.body is not None]


def path_of(operation, value="none"):
    return re.sub(r"\{\w+\}", value, operation.path)


def bodies_of(operation, starts):
    """The bodies to ask `operation` with; the starts are the first."""
    assert starts
    yield from starts
    yield from odd.bodies(operation, starts)
    yield from odd.ODD
    envelope, good = next(iter(starts[0].items()))
    for value in odd.ODD:
        candidates = [{envelope: value}]
        if isinstance(good, dict):
            unknown = {"unknown": value, "é\x00" if value is None else "x": value}
            candidates += [{envelope: {**good, **unknown}}, {envelope: {**good, "options": value}}]
        yield from odd.worth_asking(operation, candidates)


@pytest.mark.parametrize("operation", BODIES, ids=odd.title)
def test_bodies(cloud, operation):
    there, wrong = There(cloud), []
    starts = there.starts(operation)
    for turn, body in enumerate(bodies_of(operation, starts)):
        if odd.title(operation) in ONCE:
            there.anew(ONCE[odd.title(operation)])
        path = there.path_of(operation)
        answer = cloud.admin(operation.method, odd.fresh(path), raw=odd.fresh(json.dumps(body)).encode())
        assert turn >= len(starts) or answer.status_code < 300, (
            f"It does not take what odd values are to be put into, {body}: {answer.text}"
        )
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
