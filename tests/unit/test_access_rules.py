"""Access rules: which path a pattern describes, as keystonemiddleware reads it, and in a time that no pattern can stretch."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.access import matches


@pytest.mark.parametrize(("pattern", "path", "answer"), [
    ("/v2.1/servers", "/v2.1/servers", True), ("/v2.1/servers", "/v2.1/servers/1", False), ("/v2.1/servers", "/v2x1/servers", False),
    ("/v2.1/servers/*", "/v2.1/servers/1", True), ("/v2.1/servers/*", "/v2.1/servers/", False), ("/v2.1/servers/*", "/v2.1/servers/1/2", False),
    ("/v2.1/servers/{id}/ips", "/v2.1/servers/1/ips", True), ("/v2.1/servers/{id}/ips", "/v2.1/servers/1/2/ips", False),
    ("/v3/**", "/v3/", True), ("/v3/**", "/v3/a/b/c", True), ("/v3/**", "/v3", False), ("/v3/**/x", "/v3/a/b/x", True),
    ("/v3/**x", "/v3/x", True), ("/**", "/", True), ("/a*b", "/aXb", True), ("/a*b", "/ab", False), ("/a*b", "/a/b", False),
    ("/a***", "/a", False), ("/a***", "/a/b", True), ("/a****b", "/ab", True), ("/a.b", "/axb", False), ("/a{b", "/a{b", True),
    ("/(a|b)", "/a", False), ("/a\\d", "/a1", False), ("/*", "/ünïcode", True), ("/a", "", False),
])  # fmt: skip
def test_a_pattern(pattern, path, answer):
    assert matches(pattern, path) is answer


def by_regular_expression(pattern: str, path: str) -> bool:
    """The same thing said by what cannot be given to strangers: it backtracks."""
    parts = re.split(r"(\{[^}]*\}|\*\*|\*)", pattern)
    wild = {"**": ".*", "*": "[^/]+"}
    written = "".join(wild.get(part) or ("[^/]+" if part.startswith("{") and part.endswith("}") else re.escape(part)) for part in parts)
    return re.fullmatch(written, path, re.DOTALL) is not None


@settings(max_examples=400, deadline=None)
@given(st.text("ab/*{}", max_size=8), st.text("ab/", max_size=8))
def test_it_is_what_the_regular_expression_says(pattern, path):
    assert matches("/" + pattern, "/" + path) == by_regular_expression("/" + pattern, "/" + path)


@pytest.mark.parametrize("pattern", ["/" + "**a" * 70, "/" + "*a" * 100, "/" + "**/*" * 50])
def test_no_pattern_takes_long(pattern):
    """A time that grows faster than the path would not end before pytest's own limit."""
    assert not matches(pattern, "/" + "a" * 400_000 + "/b/")
