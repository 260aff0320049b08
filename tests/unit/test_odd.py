"""What tests of bad input are given: values at every place of a body that is taken without them, and every value for every kind of path."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from common.api.operation import Operation, operation
from common.api.shapes import array, integer, obj, wrapped
from tests.support import odd

THING = obj({"name": {"type": "string"}, "size": integer(1), "rules": array({})}, required=("name", "size"))


def declared(method: str, path: str, **more: Any) -> Operation:
    made = operation(method, path, action=None, **more)(lambda _: None)
    return made.operations[0]


POST = declared("POST", "/things", body=wrapped("thing", THING))


@pytest.mark.parametrize(("start", "complaint"), [
    ({"thing": {"name": "n"}}, "'size' is a required property"),
    ({"thing": {"name": "n", "size": 1, "else": 1}}, "'else' was unexpected"),
    ({}, "'thing' is a required property"),
])  # fmt: skip
def test_a_start_that_the_shape_refuses_is_named_with_the_complaint(start, complaint):
    with pytest.raises(AssertionError, match=r"POST /things: its shape refuses .*" + complaint):
        list(odd.bodies(POST, [start]))


def test_every_place_of_the_shape_and_of_the_start_gets_what_the_shape_takes():
    start = {"thing": {"name": "n", "size": 1, "rules": [{"local": 1}]}}
    found = list(odd.bodies(POST, [start], ["text", 7, None]))
    assert {"thing": {**start["thing"], "name": "text"}} in found
    assert {"thing": {**start["thing"], "size": 7}} in found
    for value in ("text", 7, None):
        assert {"thing": {**start["thing"], "rules": [{"local": value}]}} in found
    # Of those that the shape refuses, one at each place: thing, name, size, rules.
    assert len([body for body in found if odd._refused(POST, body)]) == 4
    assert start == {"thing": {"name": "n", "size": 1, "rules": [{"local": 1}]}}


def test_another_start_gets_some_values():
    first, other = {"thing": {"name": "n", "size": 1}}, {"thing": {"name": "other", "size": 2}}
    found = list(odd.bodies(POST, [first, other]))
    assert {"thing": {"name": "é", "size": 1}} in found
    assert {"thing": {"name": "é", "size": 2}} in found
    assert {"thing": {"name": "%", "size": 1}} in found
    assert {"thing": {"name": "%", "size": 2}} not in found


def test_what_the_start_has_nothing_of_gets_some_values():
    inner = declared("POST", "/things", body=obj({"thing": obj({"name": {"type": "string"}}), "other": obj({"name": {"type": "string"}})}))
    found = list(odd.bodies(inner, [{"thing": {"name": "n"}}]))
    assert {"thing": {"name": "%"}} in found
    assert {"thing": {"name": "n"}, "other": {"name": "é"}} in found
    assert {"thing": {"name": "n"}, "other": {"name": "%"}} not in found


def test_what_is_fresh_is_new_each_time():
    texts = odd.fresh(f"{odd.FRESH} {odd.FRESH}").split() + odd.fresh(odd.FRESH).split()
    assert len(set(texts)) == 3
    assert odd.FRESH not in texts


@pytest.mark.parametrize("count", [3, 10, 11])
def test_all_values_go_round_each_kind_of_path(count):
    candidates = [f"v{number}" for number in range(count)]
    like = [declared("GET", f"/{noun}/{{id}}") for noun in "abcdefg"]
    others = [declared("PUT", "/a/{id}"), declared("GET", "/a/{id}/{other}"), declared("GET", "/a")]

    def asked() -> list[list[str]]:
        known: Counter[tuple[str, ...]] = Counter()
        return [list(odd.paths(item, candidates, known)) for item in (*like, *others)]

    first, *rest = asked()[: len(like)]
    assert first == candidates
    assert all(len(values) == len(set(values)) == min(odd.FEW, count) for values in rest)
    enough = -(-count // odd.FEW)
    for begin in range(len(rest) - enough + 1):
        assert {value for values in rest[begin : begin + enough] for value in values} == set(candidates)
    assert asked()[len(like) :] == [candidates, candidates, []]
    assert asked() == asked()
    assert odd.FEW >= 5
