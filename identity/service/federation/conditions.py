"""The `remote` half of a rule: which attributes an assertion must have, and which of their values count.

An administrator writes the regular expressions; a bad one costs a log-in, not a thread: all of a log-in's together have a budget of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import regex

from common.clock import Deadline
from common.errors import BadRequest

MATCH_SECONDS = 0.25
LONGEST_VALUE = 4096
KINDS = ("any_one_of", "not_any_of", "blacklist", "whitelist")


class Budget:
    """The time that the regular expressions of one log-in have together."""

    def __init__(self, seconds: float = MATCH_SECONDS) -> None:
        self._seconds = seconds

    def found(self, pattern: str, value: str) -> bool:
        """Whether `pattern` is found in `value`. Raises BadRequest where that takes too long, or the value is too long to be asked."""
        if len(value) > LONGEST_VALUE:
            raise BadRequest(f"A value of {len(value)} characters is too long for the mapping's regular expression {pattern!r}.")
        deadline = Deadline(self._seconds)
        try:
            matched = regex.search(pattern, value, timeout=max(self._seconds, 0.001)) is not None
        except TimeoutError:
            raise BadRequest(f"The mapping's regular expression {pattern!r} takes too long.") from None
        self._seconds = deadline.left()
        return matched


def applies(conditions: Iterable[Mapping[str, Any]], assertion: Mapping[str, Sequence[str]], budget: Budget) -> list[list[str]] | None:
    """The values for `{0}`, `{1}` …, one list for each condition that is not merely a test; None where the rule does not apply."""
    slots: list[list[str]] = []
    for condition in conditions:
        values = list(dict.fromkeys(assertion.get(condition["type"], ())))
        if not values or not _holds(condition, values, budget):
            return None
        if not is_test(condition):
            slots.append(_left(condition, values, budget))
    return slots


def is_test(condition: Mapping[str, Any]) -> bool:
    """Whether it only lets the rule apply or not, and gives no values."""
    return "any_one_of" in condition or "not_any_of" in condition


def _holds(condition: Mapping[str, Any], values: Sequence[str], budget: Budget) -> bool:
    if "any_one_of" in condition:
        return bool(_matched(condition["any_one_of"], values, condition, budget))
    return "not_any_of" not in condition or not _matched(condition["not_any_of"], values, condition, budget)


def _left(condition: Mapping[str, Any], values: list[str], budget: Budget) -> list[str]:
    if "blacklist" in condition:
        matched = _matched(condition["blacklist"], values, condition, budget)
        return [value for value in values if value not in matched]
    return _matched(condition["whitelist"], values, condition, budget) if "whitelist" in condition else values


def _matched(wanted: Sequence[str], values: Iterable[str], condition: Mapping[str, Any], budget: Budget) -> list[str]:
    if condition.get("regex"):
        return [value for value in values if any(budget.found(pattern, value) for pattern in wanted)]
    return [value for value in values if value in wanted]


def check_condition(condition: Mapping[str, Any], where: str) -> None:
    """Raise BadRequest for a regular expression that is none."""
    patterns = [pattern for kind in KINDS for pattern in condition.get(kind, ())]
    for pattern in patterns if condition.get("regex") else ():
        try:
            regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError) as error:
            raise BadRequest(
                f"Invalid input for field/attribute {where}. Value: {pattern[:200]!r}. It is no regular expression: {error}."
            ) from None
