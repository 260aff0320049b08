"""What tests of bad input are given: every value for every kind of path."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from common.api.operation import Operation, operation
from tests.support import odd


def declared(method: str, path: str, **more: Any) -> Operation:
    made = operation(method, path, action=None, **more)(lambda _: None)
    return made.operations[0]


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
