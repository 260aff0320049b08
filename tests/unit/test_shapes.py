"""The pieces of shapes, and every pattern that an operation declares: whole texts only, and in a time that grows with the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from common.api import shapes
from common.api.portable import Schemas
from common.api.request import Query
from common.api.shapes import FORMATS, Checker, integer, truth
from common.cmd import SERVICES, room
from common.errors import BadRequest
from image.api.patch import PATCH

# A check whose time grows faster than the text would not end before pytest's own limit.
LONG = 1 << 19


def patterns(shape: Any) -> Iterator[tuple[str, Any]]:
    """(pattern, the shape that holds it) of a shape and all in it."""
    if isinstance(shape, dict):
        if isinstance(shape.get("pattern"), str):
            yield shape["pattern"], shape
        for inner in shape.values():
            yield from patterns(inner)
    elif isinstance(shape, list | tuple):
        for inner in shape:
            yield from patterns(inner)


def declared() -> dict[str, Any]:
    found: dict[str, Any] = dict(patterns(PATCH))
    for name in SERVICES:
        for operation in room(name, "api").SERVICE.operations:
            for checker in (operation.body, *operation.query.values()):
                found.update(patterns(checker.shape if checker else None))
    return found


def refused(shape: Any, value: Any) -> bool:
    try:
        Checker(shape)(value)
    except BadRequest:
        return True
    return False


SAMPLES = ["1", "-1", "true", "a", "a-b", "/a", "ipv4", "10.0.0.0/8", "http://a", "0" * 32]


@pytest.mark.parametrize("pattern", declared())
def test_no_declared_pattern_lets_a_line_feed_in_at_the_end_only(pattern):
    shape = {"type": "string", "pattern": pattern}
    taken = [sample for sample in SAMPLES if not refused(shape, sample)]
    assert taken, "no sample fits; add one"
    for sample in taken:
        assert refused(shape, sample + "\n") == refused(shape, f"{sample}\n{sample[-1]}")


@pytest.mark.parametrize("name", [*declared(), *FORMATS.checkers])
def test_checks_take_a_time_that_grows_with_the_text_and_no_faster(name):
    shape = {"type": "string", "format" if name in FORMATS.checkers else "pattern": name}
    for filler in " a0-=/+:.\t\n٣":
        refused(shape, filler * LONG + "\x00")


@pytest.mark.parametrize("text", ["-512\n", "5\n", "٣", "--5", "+5", " 5", "5 ", "1" * 19, "1_0", ""])
def test_what_is_no_whole_number_passes_no_bound_and_no_query(text):
    assert refused(integer(0), text)
    with pytest.raises(BadRequest):
        Query({"limit": [text]}).integer("limit")


@pytest.mark.parametrize(("text", "fits"), [("7", True), ("-1", False), ("11", False), ("9" * 18, False), (7, True), (11, False)])
def test_a_number_is_bounded_as_text_too(text, fits):
    assert refused(integer(0, 10), text) is not fits


@pytest.mark.parametrize("text", ["true\n", "yeſ", "", "maybe", "1\n"])
def test_what_says_no_truth_is_refused(text):
    assert refused(shapes.LOOSE_BOOLEAN, text)


@pytest.mark.parametrize(("value", "says"), [("True", True), ("YES", True), ("off", False), (1, True), (False, False)])
def test_a_loose_boolean_says_what_it_says(value, says):
    assert not refused(shapes.LOOSE_BOOLEAN, value)
    assert truth(value) is says


@pytest.mark.parametrize(
    ("text", "fits"), [("YWJj", True), (" YW\nJj ", True), ("YQ==", True), ("YQ==\n", True), ("Y*", False), ("=YQ", False)]
)
def test_base64(text, fits):
    assert refused({"type": "string", "format": "base64"}, text) is not fits


def test_what_is_too_long_is_not_read_further():
    with pytest.raises(BadRequest, match="too long"):
        Checker({"type": "string", "maxLength": 5, "pattern": "^a*$", "format": "base64"})("*" * 6)


def test_what_a_list_names_is_checked_and_the_rest_is_not():
    inner = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    shape = {"type": "object", "properties": {"kinds": {"type": "array"}}, "x-named": {"kinds": {"a": inner, "b": inner}}}
    standard = Draft202012Validator(Schemas().standard(shape))
    check = Checker(shape)
    for fits in (
        {},
        {"kinds": [], "a": 5},
        {"kinds": ["b", "c", 5, {}], "a": 5, "c": 7},
        {"kinds": ["a"]},
        {"kinds": ["a"], "a": {"id": "x"}, "b": None},
    ):
        check(fits)
        assert standard.is_valid(fits), fits
    for wrong, told in (
        ({"kinds": ["b"], "b": {}}, "b.id"),
        ({"kinds": ["a", "b"], "a": {"id": "x"}, "b": {"id": 5}}, "b.id"),
        ({"kinds": ["a"], "a": 5}, "a"),
    ):
        assert not standard.is_valid(wrong), wrong
        with pytest.raises(BadRequest, match=rf"field/attribute {re.escape(told)}\."):
            check(wrong)


def test_a_name_that_comes_often_is_checked_once():
    named = {"type": "object", "x-named": {"kinds": {"a": {"type": "object", "required": ["id"]}}}}
    assert len(list(Checker(named)._validator.iter_errors({"kinds": ["a"] * 1000, "a": {}}))) == 1


def test_what_is_missing_is_named_with_its_place():
    check = Checker({"type": "object", "properties": {"a": {"type": "object", "required": ["b", "bc"]}}})
    with pytest.raises(BadRequest, match=r"field/attribute a\.bc\. 'bc' is a required property"):
        check({"a": {"b": 1}})
