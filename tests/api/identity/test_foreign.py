"""Another domain is not there for the readers and managers of one: generated from every operation of identity that names what a domain has.

A new noun is added in `owned`.
"""

from __future__ import annotations

import re

import pytest

from identity.api import SERVICE
from tests.api.identity.owned import OPEN_TO_ALL, owned
from tests.support.samples import sample

UNKNOWN = "0" * 32
NAMED = re.compile(r"/([a-z_-]+)/\{\w+\}")
OPERATIONS = [operation for operation in SERVICE.operations if operation.token and not any(part in operation.path for part in OPEN_TO_ALL)]
WHO = ("reader", "manager")


@pytest.fixture
def houses(cloud):
    return cloud.house("mine"), cloud.house("theirs")


def places(operation, nouns):
    """Where in the path something that a domain has is named: the number of the place, and what is before it."""
    return [(index, part) for index, part in enumerate(NAMED.findall(operation.path)) if part in nouns]


def path_of(operation, ids, place=None, other=None):
    """The path with `ids` by the parts before them, and `other` at `place`; whatever else it takes is x."""
    number = -1

    def fill(found):
        nonlocal number
        number += 1
        return f"/{found[1]}/{other if number == place else ids.get(found[1], 'x')}"

    return re.sub(r"\{\w+\}", "x", NAMED.sub(fill, operation.path))


def body_of(operation):
    return sample(operation.body.shape) if operation.body is not None else None


@pytest.mark.parametrize("role", WHO)
def test_what_is_foreign_is_forbidden_like_what_is_unknown(cloud, houses, role):
    mine, theirs = houses
    own, foreign = owned(cloud, mine), owned(cloud, theirs)
    tried, wrong = 0, []
    for operation in OPERATIONS:
        for place, part in places(operation, own):
            answers = []
            for other in (foreign[part], UNKNOWN):
                path = path_of(operation, own, place, other)
                answer = getattr(mine, role)(operation.method, path, body_of(operation))
                answers.append((answer.status_code, answer.text.replace(other, "ID")))
            tried += 1
            # What stands before it in the path, and nobody has, may be what is refused.
            allowed = (403, 404) if "/x/" in path.split(UNKNOWN)[0] else (403,)
            if answers[0] != answers[1] or answers[0][0] not in allowed:
                wrong.append(f"{operation.method} {operation.path} at {part}: {answers}")
    assert not wrong
    assert tried > 100


@pytest.mark.parametrize("role", WHO)
def test_no_list_shows_another_domain(cloud, houses, role):
    mine, theirs = houses
    own, foreign = owned(cloud, mine), owned(cloud, theirs)
    secrets = {*foreign.values(), "theirs"}
    asked = [
        "",
        "include_names",
        "effective&include_names",
        f"domain_id={theirs.id}",
        f"project_id={foreign['projects']}",
        f"user_id={foreign['users']}",
    ]
    asked += [
        "name__startswith=theirs",
        f"user.id={foreign['users']}",
        f"scope.project.id={foreign['projects']}",
        "is_domain=true",
        "parents_as_ids",
    ]
    wrong, shown = [], 0
    for operation in OPERATIONS:
        if operation.method != "GET":
            continue
        for query in asked:
            answer = getattr(mine, role)("GET", f"{path_of(operation, own)}?{query}")
            shown += answer.status_code == 200
            text = answer.text.replace(f"?{query}", "").replace(query, "")
            if answer.status_code >= 500 or any(secret in text for secret in secrets):
                wrong.append(f"{operation.path}?{query}: {answer.status_code} {answer.text[:300]}")
    assert not wrong
    assert shown > 50
