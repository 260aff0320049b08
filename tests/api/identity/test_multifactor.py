"""Multi-factor rules, receipts, and passcodes by time."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import literal

from common.config import CONF
from identity.service import crypt, receipt
from identity.service.methods import totp
from tests.support.altered import altered
from tests.support.api import counted
from tests.support.identity import by_password, by_token

TOKENS = "/v3/auth/tokens"
SECRET = b"12345678901234567890"
RULES = {"multi_factor_auth_rules": [["password", "totp"]]}
# The middle of a step, whose passcode is none of those around it.
NOW = 1_800_000_015


def passcode(back: int = 0, secret: bytes = SECRET, now: float = NOW) -> str:
    return TOTP(secret, 6, SHA1(), 30).generate(now - 30 * back).decode()


def by_totp(code, name="ann", scope=None):
    who = {"user": {"name": name, "domain": {"id": "default"}, "passcode": code}}
    auth = {"identity": {"methods": ["totp"], "totp": who}}
    return {"auth": auth if scope is None else {**auth, "scope": scope}}


def both(secret, code, name="ann"):
    identity = {**by_password(name, secret)["auth"]["identity"], **by_totp(code, name)["auth"]["identity"]}
    return {"auth": {"identity": {**identity, "methods": ["password", "totp"]}}}


@pytest.fixture
def ann(cloud):
    user = cloud.make("user", name="ann", password="pw")
    cloud.device = device(cloud, user)
    return user


def device(cloud, user, secret=SECRET):
    blob = base64.b32encode(secret).decode().rstrip("=")
    made = {"credential": {"type": "totp", "user_id": user["id"], "blob": blob}}
    return cloud.admin.post("/v3/credentials", made, ok=201)["credential"]["id"]


@pytest.fixture
def steady(monkeypatch):
    """The clock of passcodes stands still, so that no step ends while a test runs."""
    monkeypatch.setattr(totp, "clock", lambda: literal(datetime.fromtimestamp(NOW, UTC)))


def options(cloud, user, ok=200, **values):
    return cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"options": values}}, ok=ok)


def ask(cloud, body, ok, raw=None):
    return cloud.nobody("POST", TOKENS, body, ok=ok, headers={receipt.HEADER: raw} if raw else None)


# Passcodes


def test_a_passcode_of_this_moment_lets_in(cloud, ann):
    ask(cloud, by_totp(passcode(now=time.time())), 201)


@pytest.mark.usefixtures("steady")
def test_a_passcode_lets_in_once(cloud, ann):
    found = ask(cloud, by_totp(passcode()), 201).json["token"]
    assert found["methods"] == ["totp"]
    assert found["user"]["id"] == ann["id"]
    ask(cloud, by_totp(passcode()), 401)
    ask(cloud, by_totp(passcode(1)), 401)


@pytest.mark.usefixtures("steady")
def test_the_step_before_still_counts_and_no_other(cloud, ann):
    for back in (2, -1):
        ask(cloud, by_totp(passcode(back)), 401)
    ask(cloud, by_totp(passcode(1)), 201)
    ask(cloud, by_totp(passcode(1)), 401)
    ask(cloud, by_totp(passcode()), 201)


@pytest.mark.usefixtures("steady")
def test_a_passcode_used_ten_times_at_once_lets_in_once(cloud, ann):
    with ThreadPoolExecutor(5) as threads:
        codes = [one.status_code for one in threads.map(lambda _: cloud.nobody("POST", TOKENS, by_totp(passcode())), range(10))]
    assert sorted(codes) == [201] + [401] * 9


@pytest.mark.usefixtures("steady")
def test_each_device_of_a_user_counts(cloud, ann):
    other = b"abcdefghijklmnopqrst"
    cloud.admin.post("/v3/credentials", {"credential": {"type": "totp", "user_id": ann["id"], "blob": "no base32!"}}, ok=201)
    device(cloud, ann, b"short")
    device(cloud, ann, other)
    ask(cloud, by_totp(passcode(secret=other)), 201)
    ask(cloud, by_totp(passcode()), 201)
    cloud.admin.delete(f"/v3/credentials/{cloud.device}")
    ask(cloud, by_totp(passcode(-1)), 401)


def test_nobody_and_a_wrong_passcode_are_one_answer(cloud, ann):
    cloud.make("user", name="bare", password="pw")
    cloud.make("user", name="off", password="pw", enabled=False)
    found = []
    for name in ("ann", "nobody", "bare", "off"):
        with counted(cloud.db) as sent:
            found.append((ask(cloud, by_totp("000000x", name), 401).json["error"]["message"], len(sent)))
    assert len(set(found)) == 1
    for bad in (
        {},
        {"user": {"name": "ann"}},
        {"user": {"passcode": 5}},
        {"user": {"passcode": "1"}},
        {"user": {"passcode": "1", "name": "x"}},
        [],
    ):
        ask(cloud, {"auth": {"identity": {"methods": ["totp"], "totp": bad}}}, 400)
    told = ask(cloud, by_totp(123456), 400).json["error"]["message"]
    assert "auth.identity.totp.user.passcode" in told
    assert "123456" not in told
    ask(cloud, by_totp("é٣٣٣٣٣"), 401)


def test_who_has_no_device_is_told_the_same_when_the_keys_have_changed(cloud, ann):
    cloud.make("user", name="bare", password="pw")
    for _ in range(2):
        told = {ask(cloud, by_totp("000000x", name), 401).json["error"]["message"] for name in ("ann", "nobody", "bare")}
        assert len(told) == 1
        crypt.write_keys([Fernet.generate_key().decode()])
        cloud.admin.patch(f"/v3/credentials/{cloud.device}", {"credential": {"blob": base64.b32encode(SECRET).decode()}}, ok=200)


@pytest.mark.usefixtures("steady")
def test_wrong_passcodes_lock_as_wrong_passwords_do(cloud, ann):
    CONF.set_override("lockout_failure_attempts", 2, "identity")
    try:
        ask(cloud, by_totp("wrong"), 401)
        ask(cloud, by_password("ann", "wrong"), 401)
        ask(cloud, by_totp(passcode()), 401)
        ask(cloud, by_password("ann", "pw"), 401)
    finally:
        CONF.clear_override("lockout_failure_attempts", "identity")


# Rules and receipts


@pytest.mark.usefixtures("steady")
def test_both_at_once(cloud, ann):
    options(cloud, ann, **RULES)
    found = ask(cloud, both("pw", passcode()), 201).json["token"]
    assert sorted(found["methods"]) == ["password", "totp"]
    for body in (both("wrong", passcode(-1)), both("pw", "wrong"), both("wrong", "wrong")):
        answer = ask(cloud, body, 401)
        assert "error" in answer.json
        assert receipt.HEADER not in answer.headers


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("order", [1, -1])
def test_one_after_the_other(cloud, ann, order):
    options(cloud, ann, **RULES)
    one, two = [by_password("ann", "pw"), by_totp(passcode())][::order]
    answer = ask(cloud, one, 401)
    raw = answer.headers[receipt.HEADER]
    assert set(answer.json) == {"receipt", "required_auth_methods"}
    shown = answer.json["receipt"]
    assert shown["user"] == {"id": ann["id"], "name": "ann", "domain": {"id": "default", "name": "Default"}}
    assert shown["methods"] == one["auth"]["identity"]["methods"]
    assert answer.json["required_auth_methods"] == [["password", "totp"]]
    assert shown["issued_at"] < shown["expires_at"]
    assert len(raw) < 1024
    found = ask(cloud, two, 201, raw)
    assert sorted(found.json["token"]["methods"]) == ["password", "totp"]
    # what comes of such a token counts with its methods
    ask(cloud, by_token(found.headers["X-Subject-Token"], "unscoped"), 201)


def test_a_receipt_adds_nothing_twice(cloud, ann):
    options(cloud, ann, **RULES)
    raw = ask(cloud, by_password("ann", "pw"), 401).headers[receipt.HEADER]
    again = ask(cloud, by_password("ann", "pw"), 401, raw)
    assert again.json["receipt"]["methods"] == ["password"]


def test_a_receipt_is_no_token_and_a_token_no_receipt(cloud, ann):
    token = cloud.token("ann", "pw")
    options(cloud, ann, **RULES)
    raw = ask(cloud, by_password("ann", "pw"), 401).headers[receipt.HEADER]
    cloud.nobody.as_(raw).get("/v3/auth/projects", ok=401)
    cloud.admin.get(TOKENS, headers={"X-Subject-Token": raw}, ok=404)
    ask(cloud, by_token(raw), 404)
    for bad in (token, "x", altered(raw, -40), "a.b.c", raw * 3, raw.replace(".", "..", 1)):
        assert receipt.HEADER not in ask(cloud, by_password("ann", "pw"), 401, bad).headers


@pytest.mark.usefixtures("steady")
def test_a_receipt_is_its_users_until_its_end(cloud, ann, monkeypatch):
    bob = cloud.make("user", name="bob", password="pw")
    for user in (ann, bob):
        options(cloud, user, **RULES)
    raw = ask(cloud, by_password("ann", "pw"), 401).headers[receipt.HEADER]
    assert "error" in ask(cloud, by_password("bob", "pw"), 401, raw).json
    cloud.admin.patch(f"/v3/users/{ann['id']}", {"user": {"password": "new"}}, ok=200)
    assert "error" in ask(cloud, by_totp(passcode()), 401, raw).json
    monkeypatch.setattr(receipt, "SECONDS", -1)
    raw = ask(cloud, by_password("ann", "new"), 401).headers[receipt.HEADER]
    assert "error" in ask(cloud, by_password("ann", "new"), 401, raw).json


@pytest.mark.usefixtures("steady")
def test_which_rules_count(cloud, ann):
    def comes(rules, body, *, ok, **more):
        options(cloud, ann, multi_factor_auth_rules=rules, **more)
        return ask(cloud, body, ok).json

    one = by_password("ann", "pw")
    comes([], one, ok=201)
    comes([["password"], ["totp", "token"]], one, ok=201)
    comes([["password", "smoke_signal"]], one, ok=201)  # a method that there is not is not asked for
    assert comes([["password", "totp"], ["totp"], ["password", "mapped"]], one, ok=401)["required_auth_methods"] == [
        ["password", "totp"],
        ["password", "mapped"],
    ]
    assert comes([["totp"]], one, ok=401)["required_auth_methods"] == []
    comes([["totp"]], one, ok=201, multi_factor_auth_enabled=False)
    comes([["totp"]], one, ok=401, multi_factor_auth_enabled=True)
    comes(None, one, ok=201)


@pytest.mark.parametrize("bad", ["totp", [[]], ["totp"], [["totp", 5]], [["totp", "totp"]], [["a"], ["a"]], {"a": 1}, [[["a"]]]])
def test_rules_that_are_none(cloud, ann, bad):
    told = options(cloud, ann, ok=400, multi_factor_auth_rules=bad)["error"]["message"]
    assert "multi_factor_auth_rules" in told


def test_a_receipt_says_nothing_of_the_scope(cloud, ann):
    """Who has one of two factors learns of no project; who has a scope without a role is refused after the second."""
    options(cloud, ann, **RULES)
    for scope in ({"project": {"id": "none"}}, {"system": {"all": True}}):
        assert "receipt" in ask(cloud, by_password("ann", "pw", scope), 401).json


def test_a_disabled_user_has_no_receipt(cloud, ann):
    options(cloud, ann, **RULES)
    cloud.admin.patch(f"/v3/users/{ann['id']}", {"user": {"enabled": False}}, ok=200)
    assert "error" in ask(cloud, by_password("ann", "pw"), 401).json


def test_a_token_from_before_the_rules_is_traded_for_no_other(cloud, ann):
    token = cloud.token("ann", "pw")
    options(cloud, ann, **RULES)
    assert "receipt" in ask(cloud, by_token(token, "unscoped"), 401).json


def test_the_rules_of_who_logs_in_count_not_of_who_trusts(cloud, ann):
    giver, trustor, project = cloud.member("bob")
    trust = giver.post("/v3/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": trustor["id"], "trustee_user_id": ann["id"], "project_id": project["id"], "impersonation": True,
        "roles": [{"name": "member"}],
    }}, ok=201)["trust"]["id"]  # fmt: skip
    body = by_password("ann", "pw", {"OS-TRUST:trust": {"id": trust}})
    options(cloud, trustor, **RULES)
    ask(cloud, body, 201)
    options(cloud, ann, **RULES)
    assert ask(cloud, body, 401).json["receipt"]["user"]["id"] == ann["id"]


def test_totp_constants():
    assert (totp.DIGITS, totp.STEP, totp.BEFORE) == (6, 30, 1)
