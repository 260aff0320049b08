"""The authorization matrix, generated from `@operation`: who is refused what, kept in `matrix.golden` for people to read.

`WOLKE_GOLDEN=write` writes it anew; the diff is the change of the law. Columns: r reader, m member, f another project's admin, a cloud admin;
of identity by scope: system, domain and project with their reader, member, manager and admin, `service` alone on a project, and a token
without scope or roles. `+` passes policy, `-` is refused by it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.api.operation import Operation
from common.api.service import Service
from common.auth import Actor
from common.cmd import SERVICES, room
from common.errors import Unauthorized
from tests.support.api import OTHER_PROJECT, PROJECT, Tokens, actor, client

GOLDEN = Path(__file__).with_name("matrix.golden")
WHO = {"r": "reader", "m": "member", "f": f"admin@{OTHER_PROJECT}", "a": "admin"}
RANKS = ("reader", "member", "manager", "admin")
SCOPES: dict[str, dict[str, Any]] = {
    "system": {"system": True},
    "domain": {"domain_id": "d0"},
    "project": {"project_id": PROJECT, "project_domain_id": "d0"},
    "unscoped": {},
}


def implied(role: str) -> frozenset[str]:
    """The role with those that it implies; `service` implies none, and `nobody` is none."""
    if role in RANKS:
        return frozenset(RANKS[: RANKS.index(role) + 1])
    return frozenset({role} - {"nobody"})


# Who asks identity: `scope:role`, with the roles that it implies.
BY_SCOPE = {
    f"{scope}:{role}": Actor(user_id=f"{scope}-{role}", user_name=role, roles=implied(role), **SCOPES[scope])
    for scope, roles in (
        ("system", ("reader", "member", "admin")),
        ("domain", ("reader", "manager", "admin")),
        ("project", (*RANKS, "service")),
        ("unscoped", ("nobody",)),
    )
    for role in roles
}
SOME_ID = "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"
REFUSED = "Policy doesn't allow"


@dataclass(frozen=True)
class Case:
    service: Service
    operation: Operation

    @property
    def path(self) -> str:
        prefix = self.service.prefixes[0]
        path = (prefix + self.operation.path).replace("{project_id}", PROJECT)
        return re.sub(r"\{\w+\}", SOME_ID, path)

    @property
    def name(self) -> str:
        key = f" {self.operation.body_key}" if self.operation.body_key else ""
        return f"{self.service.name} {self.operation.method} {self.operation.path}{key}"

    def body(self):
        return {self.operation.body_key: None} if self.operation.body_key else {}


def services() -> list[Service]:
    return [api.SERVICE for name in SERVICES if (api := room(name, "api")) is not None and hasattr(api, "SERVICE")]


CASES = [Case(service, operation) for service in services() for operation in service.operations]


class ManyTokens(Tokens):
    """`expired` is a token whose time is over."""

    def __call__(self, token: str):
        if token == "expired":
            raise Unauthorized("The token has expired.")
        if token in BY_SCOPE:
            return BY_SCOPE[token]
        role, _, _ = token.partition("@")
        who = super().__call__(token)
        # An admin of any project may name another in a path; the others name their own.
        return who if role == "admin" or who.project_id == PROJECT else actor(role, PROJECT)


@pytest.fixture
def ask(db):
    made = {}

    def call(case: Case, token: str | None):
        key = case.service.name
        if key not in made:
            made[key] = client(case.service, db, ManyTokens())
        version = (
            f"{case.service.microversions.service_type} {'.'.join(map(str, case.operation.minimum))}"
            if case.service.microversions and case.operation.minimum > (0, 0)
            else None
        )
        headers = {"OpenStack-API-Version": version} if version else {}
        if case.operation.raw:
            headers["Content-Type"] = "application/octet-stream"
        return made[key].as_(token)(case.operation.method, case.path, case.body(), headers=headers)

    return call


def test_there_are_operations():
    assert len(CASES) > 20


def test_no_token_and_an_expired_one_are_401(ask):
    wrong = []
    for case in CASES:
        for token in (None, "expired"):
            if case.operation.token and ask(case, token).status_code != 401:
                wrong.append(f"{case.name} with {token}")
    assert not wrong


def columns(service: Service) -> dict[str, str]:
    """Who asks: the token of each by what is printed of him."""
    return {who: who for who in BY_SCOPE} if service.name == "identity" else WHO


def marks(found: dict[str, bool]) -> str:
    """`r- a+`, or by scope `system reader- admin+, domain …`."""
    if ":" not in next(iter(found)):
        return " ".join(f"{who}{'+' if allowed else '-'}" for who, allowed in found.items())
    scopes: dict[str, list[str]] = {}
    for who, allowed in found.items():
        scope, _, role = who.partition(":")
        scopes.setdefault(scope, []).append(f"{role}{'+' if allowed else '-'}")
    return ", ".join(f"{scope} {' '.join(roles)}" for scope, roles in scopes.items())


def passes(case: Case, answer: Any, token: str) -> bool:
    """Whether policy let it pass. A refusal of HEAD says nothing, so that the rule itself is asked."""
    if case.operation.method == "HEAD" and case.operation.action:
        return case.service.policy.allows(case.operation.action, _who(token))
    return not (answer.status_code == 403 and REFUSED in answer.text)


def test_the_matrix_is_as_written(ask):
    lines = []
    for case in CASES:
        if case.operation.action is None and not case.operation.guarded:
            continue
        who = columns(case.service)
        answers = {name: ask(case, token) for name, token in who.items()}
        assert not [a.text for a in answers.values() if a.status_code >= 500], f"{case.name}: {[a.text[:300] for a in answers.values()]}"
        passed = marks({name: passes(case, answers[name], token) for name, token in who.items()})
        lines.append(f"{case.name} [{case.operation.action or 'by path'}] {passed}")
        for guarded in case.operation.guarded:
            allowed = marks({name: case.service.policy.allows(guarded, _who(token)) for name, token in who.items()})
            lines.append(f"{case.name} guarded [{guarded}] {allowed}")
    text = "\n".join(sorted(set(lines))) + "\n"
    if os.environ.get("WOLKE_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text.splitlines() == GOLDEN.read_text().splitlines()


def _who(token: str) -> Actor:
    if token in BY_SCOPE:
        return BY_SCOPE[token]
    role, _, project = token.partition("@")
    return actor(role, project or PROJECT)


def test_every_rule_is_used_and_every_action_has_one():
    for service in services():
        used = {o.action for o in service.operations if o.action} | {g for o in service.operations for g in o.guarded}
        assert used == set(service.policy.rules), f"{service.name}: {used ^ set(service.policy.rules)}"


def test_a_reader_changes_nothing():
    """What a reader may do, in any scope, only reads; the exceptions are the reader's own affairs."""
    own = re.compile(r"keypair|auth|password")
    readers = [actor("reader"), *(who for name, who in BY_SCOPE.items() if name.endswith(":reader"))]
    wrong = [
        case.name
        for case in CASES
        if case.operation.action and not case.operation.read_only and not own.search(case.operation.path + str(case.operation.body_key))
        and any(case.service.policy.allows(case.operation.action, who) for who in readers)
    ]  # fmt: skip
    assert not wrong
