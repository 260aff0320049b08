"""Rules for passwords: expiry, history, age, form, first use; lockout over processes; inactivity. Each refusal costs one hash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from common.api import app as kit
from common.api.service import Service
from common.auth import Authenticator
from common.config import CONF
from common.db import Database
from common.errors import TooManyRequests
from identity import public
from identity.api import SERVICE
from identity.models import LoginFailure, Password, User
from identity.service import password, security
from tests.support.api import Client, counted
from tests.support.identity import by_password

TOKENS = "/v3/auth/tokens"


@contextmanager
def rules(**options):
    for name, value in options.items():
        CONF.set_override(name, value, "identity")
    try:
        yield
    finally:
        for name in options:
            CONF.clear_override(name, "identity")


@pytest.fixture
def ann(cloud):
    return cloud.make("user", name="ann", password="pw")


@pytest.fixture
def hashes(monkeypatch):
    """What was hashed to be compared."""
    found, real = [], password.verify_password
    monkeypatch.setattr(password, "verify_password", lambda *given: found.append(given) or real(*given))
    return found


def come(cloud, secret, ok, name="ann"):
    return cloud.nobody.post(TOKENS, by_password(name, secret), ok=ok)


def change(cloud, user, old, new, ok=204):
    found = cloud.nobody("POST", f"/v3/users/{user['id']}/password", {"user": {"original_password": old, "password": new}}, ok=ok)
    return found.json["error"]["message"] if ok != 204 else None


def alter(cloud, user, **values):
    return cloud.admin.patch(f"/v3/users/{user['id']}", {"user": values}, ok=200)["user"]


@pytest.fixture
def later(cloud, postgres):
    """SQL's clock goes forward."""

    def go(interval):
        postgres.execute(f"ALTER DATABASE {cloud.db.engine.url.database} SET wolke.clock_offset = '{interval}'")
        cloud.db.engine.dispose()

    return go


def failures(cloud):
    with cloud.db.transaction() as tx:
        return {row.user_id: row.count for row in tx.scalars(select(LoginFailure))}


def passwords(cloud, user):
    with cloud.db.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Password).where(Password.user_id == user["id"]))


def test_without_the_options_nothing_is_counted(cloud, ann):
    for _ in range(8):
        come(cloud, "wrong", 401)
    come(cloud, "pw", 201)
    assert failures(cloud) == {}
    assert ann["password_expires_at"] is None
    with counted(cloud.db) as sent:
        come(cloud, "pw", 201)
    assert len(sent) == 3  # with the clouds that the token names, which a process remembers


# Expiry


def test_an_expired_password_lets_nobody_in_but_can_be_changed(cloud, later):
    with rules(password_expires_days=3):
        ann = cloud.make("user", name="ann", password="pw")
        end = datetime.fromisoformat(ann["password_expires_at"]).replace(tzinfo=UTC)
        assert abs(end - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=2)
        come(cloud, "pw", 201)
        later("73 hours")
        told = come(cloud, "pw", 401)["error"]["message"]
        assert told == f"The password is expired and needs to be changed for user: {ann['id']}."
        assert ann["id"] not in come(cloud, "wrong", 401)["error"]["message"]
        assert change(cloud, ann, "wrong", "new", 401)
        change(cloud, ann, "pw", "new")
        come(cloud, "new", 201)
        alter(cloud, ann, enabled=False)
        later("200 hours")
        assert "expired" not in come(cloud, "new", 401)["error"]["message"]


def test_who_ignores_expiry(cloud, later):
    with rules(password_expires_days=1):
        ann = cloud.make("user", name="ann", password="pw")
        bob = cloud.make("user", name="bob", password="pw", options={"ignore_password_expiry": True})
        assert bob["password_expires_at"] is None
        later("2 days")
        come(cloud, "pw", 401)
        come(cloud, "pw", 201, "bob")
        alter(cloud, ann, options={"ignore_password_expiry": True})
        come(cloud, "pw", 201)


@pytest.mark.parametrize("by", ["create", "reset"])
def test_the_first_use(cloud, by):
    with rules(change_password_upon_first_use=True):
        ann = cloud.make("user", name="ann", password="pw")
        if by == "reset":
            change(cloud, ann, "pw", "own")
            come(cloud, "own", 201)
            alter(cloud, ann, password="pw")
        assert "expired" in come(cloud, "pw", 401)["error"]["message"]
        change(cloud, ann, "pw", "new")
        come(cloud, "new", 201)
        alter(cloud, ann, options={"ignore_change_password_upon_first_use": True})
        alter(cloud, ann, password="free")
        come(cloud, "free", 201)


def test_the_list_by_the_end_of_passwords(cloud, ann):
    end = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
    with cloud.db.transaction() as tx:
        tx.execute(update(User).where(User.id == ann["id"]).values(password_expires_at=end))
    group = cloud.make("group", name="g")["id"]
    cloud.admin("PUT", f"/v3/groups/{group}/users/{ann['id']}", ok=204)

    def names(*wanted, ok=200, path="/v3/users"):
        found = cloud.admin.get(path + "?" + "&".join(f"password_expires_at={each}" for each in wanted), ok=ok)
        return [row["name"] for row in found["users"]] if ok == 200 else found["error"]["message"]

    at, after = "2040-01-02T03:04:05Z", "2041-01-01T00:00:00Z"
    for path in ("/v3/users", f"/v3/groups/{group}/users"):
        for wanted in (f"lt:{after}", f"lte:{at}", f"gte:{at}", f"eq:{at}", at, f"neq:{after}"):
            assert names(wanted, path=path) == ["ann"], wanted
        for wanted in (f"lt:{at}", f"gt:{at}", f"eq:{after}", f"neq:{at}"):
            assert names(wanted, path=path) == []
        assert names(f"gt:{at}", f"lt:{after}", path=path) == []
        assert names("gt:2039-01-01T00:00:00Z", f"lt:{after}", path=path) == ["ann"]
    assert "around" in names(f"around:{at}", ok=400)
    assert "25:99" in names("lt:25:99", ok=400)
    names("", ok=400)


# The new password


def test_history(cloud, ann):
    with rules(unique_last_password_count=3):
        for old, new in (("pw", "two"), ("two", "three"), ("three", "four")):
            change(cloud, ann, old, new)
        assert passwords(cloud, ann) == 3
        for old in ("four", "three", "two"):
            assert "cannot be identical to a previous password" in change(cloud, ann, "four", old, 400)
        change(cloud, ann, "four", "pw")
        alter(cloud, ann, password="four")  # an administrator may
        come(cloud, "four", 201)
    change(cloud, ann, "four", "four")
    assert passwords(cloud, ann) == 1


def test_old_passwords_are_compared_in_the_pool_with_no_transaction_open(cloud, ann, monkeypatch):
    real, seen = password.verify_password, []

    def verify(*given):
        seen.append((cloud.db.engine.pool.checkedout(), password.common()._running + password.first()._running))
        return real(*given)

    monkeypatch.setattr(password, "verify_password", verify)
    with rules(unique_last_password_count=2):
        change(cloud, ann, "pw", "two")
        change(cloud, ann, "two", "three")
    assert len(seen) == 2 + 1 + 2
    assert set(seen) == {(0, 1)}


def test_minimum_age(cloud, ann, later):
    with rules(minimum_password_age=2):
        change(cloud, ann, "pw", "two")  # an administrator gave the first
        told = change(cloud, ann, "two", "three", 400)
        assert "it must be used for 2 day(s)" in told
        assert "try again in 2 day(s)" in told
        alter(cloud, ann, password="reset")
        change(cloud, ann, "reset", "three")
        later("49 hours")
        change(cloud, ann, "three", "four")


def test_the_form(cloud, ann):
    regex = {"password_regex": r"^(?=.*\d).{5,}$", "password_regex_description": "five characters, a digit among them"}
    with rules(**regex):
        for told in (
            cloud.admin.post("/v3/users", {"user": {"name": "bob", "password": "short"}}, ok=400)["error"]["message"],
            cloud.admin.patch(f"/v3/users/{ann['id']}", {"user": {"password": "short"}}, ok=400)["error"]["message"],
            change(cloud, ann, "pw", "short", 400),
        ):
            assert told == "The password does not match the requirements: five characters, a digit among them."
        assert change(cloud, ann, "wrong", "short", 401)
        shown = cloud.nobody.as_(cloud.token("ann", "pw")).get("/v3/domains/default/config/security_compliance")
        assert shown["config"]["security_compliance"] == regex
        change(cloud, ann, "pw", "long1")
    with rules(password_regex="(["):
        assert "invalid" in change(cloud, ann, "long1", "long2", 400)


def test_a_locked_password_is_an_administrators(cloud, ann):
    alter(cloud, ann, options={"lock_password": True})
    assert "Please contact your administrator" in change(cloud, ann, "pw", "new", 400)
    assert change(cloud, ann, "wrong", "new", 401)
    alter(cloud, ann, password="new")
    come(cloud, "new", 201)


# Lockout


def test_lockout(cloud, ann, later):
    with rules(lockout_failure_attempts=3):
        for _ in range(2):
            come(cloud, "wrong", 401)
        come(cloud, "pw", 201)
        assert failures(cloud) == {}
        for _ in range(3):
            come(cloud, "wrong", 401)
        locked = come(cloud, "pw", 401)
        assert locked == come(cloud, "pw", 401, "nobody")
        assert change(cloud, ann, "pw", "new", 401)
        assert failures(cloud) == {ann["id"]: 3}
        come(cloud, "secretadmin", 201, "admin")
        later("1740 seconds")
        come(cloud, "pw", 401)
        later("1805 seconds")
        come(cloud, "wrong", 401)
        assert failures(cloud) == {ann["id"]: 1}
        come(cloud, "pw", 201)


@pytest.mark.parametrize("who", ["ann", "nobody"])
@pytest.mark.parametrize("refusal", [TooManyRequests, password.Wrong])
def test_a_wrong_one_that_is_told_to_come_again_counts(cloud, ann, monkeypatch, refusal, who):
    def refuse(*_given):
        raise refusal

    monkeypatch.setattr(password, "matches", refuse)
    with rules(lockout_failure_attempts=3):
        come(cloud, "wrong", 429, who)
        with counted(cloud.db) as sent:
            come(cloud, "wrong", 429, who)
        assert sum("login_failure" in each and "INSERT" in each for each in sent) == 1
        assert failures(cloud) == ({ann["id"]: 2} if who == "ann" and refusal is password.Wrong else {})


def test_an_administrator_ends_a_lock(cloud, ann, later):
    with rules(lockout_failure_attempts=1, lockout_duration=None):
        come(cloud, "wrong", 401)
        later("1000 days")
        come(cloud, "pw", 401)
        alter(cloud, ann, description="as before")
        come(cloud, "pw", 401)
        alter(cloud, ann, enabled=True)
        come(cloud, "pw", 201)


def test_who_ignores_the_lockout(cloud, ann):
    alter(cloud, ann, options={"ignore_lockout_failure_attempts": True})
    with rules(lockout_failure_attempts=1):
        come(cloud, "wrong", 401)
        come(cloud, "pw", 201)
        assert failures(cloud) == {}


def test_a_wrong_original_password_counts(cloud, ann):
    with rules(lockout_failure_attempts=2):
        for _ in range(2):
            change(cloud, ann, "wrong", "new", 401)
        come(cloud, "pw", 401)


def test_lockout_over_processes(cloud, ann):
    """Another process with its own connections counts on, and knows."""
    db = Database(cloud.db.engine.url.render_as_string(hide_password=False), pool_size=2)
    service = Service(**{name: getattr(SERVICE, name) for name in ("name", "dialect", "modules", "rules", "documented")})
    service.connect(db, Authenticator(public.token_checker(db), seconds=0))
    other = Client(cloud.nobody.http.__class__(kit.build(service)), token=None)
    with rules(lockout_failure_attempts=2):
        come(cloud, "wrong", 401)
        other.post(TOKENS, by_password("ann", "wrong"), ok=401)
        come(cloud, "pw", 401)
        other.post(TOKENS, by_password("ann", "pw"), ok=401)
    db.close()


def test_failures_at_once_all_count(cloud, ann):
    with rules(lockout_failure_attempts=100), ThreadPoolExecutor(8) as threads:
        assert {one.status_code for one in threads.map(lambda _: cloud.nobody("POST", TOKENS, by_password("ann", "no")), range(24))} == {
            401
        }
    assert failures(cloud) == {ann["id"]: 24}


def test_a_right_password_behind_too_many_wrong_ones_is_none(cloud, ann, monkeypatch):
    """Tries at once are no more than tries in turn: what was not locked when it began is when it ends."""
    real = password.verify_password

    def meanwhile(*given):
        monkeypatch.setattr(password, "verify_password", real)
        for _ in range(2):
            security.failed(cloud.db, ann["id"])
        return real(*given)

    with rules(lockout_failure_attempts=2):
        monkeypatch.setattr(password, "verify_password", meanwhile)
        come(cloud, "pw", 401)


def test_a_flood_on_one_user_holds_up_no_other(cloud, ann):
    with rules(lockout_failure_attempts=50), cloud.db.engine.begin() as connection:
        connection.execute(text("INSERT INTO identity.login_failure (user_id, count) VALUES (:id, 1)"), {"id": ann["id"]})
        cloud.make("user", name="bob", password="pw")
        come(cloud, "wrong", 401, "bob")
        come(cloud, "pw", 201, "bob")


def test_a_user_who_is_deleted_meanwhile_is_a_stranger(cloud, ann):
    with rules(lockout_failure_attempts=1):
        come(cloud, "wrong", 401)
        cloud.admin.delete(f"/v3/users/{ann['id']}")
        security.failed(cloud.db, ann["id"])
        assert failures(cloud) == {}


@pytest.mark.parametrize("on", [False, True])
def test_every_refusal_costs_the_same(cloud, ann, hashes, on):
    """One hash and the same statements for nobody, a wrong password, a locked, an exempted and a disabled user."""
    cloud.make("user", name="bob", password="pw")
    cloud.make("user", name="free", password="pw", options={"ignore_lockout_failure_attempts": True})
    cloud.make("user", name="off", password="pw", enabled=False)
    cloud.make("user", name="none")
    with rules(**({"lockout_failure_attempts": 2} if on else {})):
        for _ in range(2):
            come(cloud, "wrong", 401)
        found = []
        for name, secret in (("ann", "pw" if on else "no"), ("ann", "wrong"), ("bob", "wrong"), ("nobody", "wrong"), ("free", "wrong"),
                             ("off", "wrong"), ("none", "wrong")):  # fmt: skip
            hashes.clear()
            with counted(cloud.db) as sent:
                answer = come(cloud, secret, 401, name)
            found.append((answer["error"]["message"], len(hashes), [statement.split("WHERE u.name")[0] for statement in sent]))
    assert all(one == found[0] for one in found)
    assert found[0][1] == 1


# Inactivity


def test_who_was_away_too_long_is_disabled(cloud, ann):
    come(cloud, "pw", 201)

    def away(days):
        with cloud.db.transaction() as tx:
            tx.execute(update(User).where(User.id == ann["id"]).values(last_active_on=datetime.now(UTC).date() - timedelta(days=days)))

    with rules(disable_user_account_days_inactive=10):
        away(9)
        come(cloud, "pw", 201)
        with cloud.db.transaction() as tx:
            assert tx.get(User, ann["id"]).last_active_on == datetime.now(UTC).date()
        with counted(cloud.db) as sent:
            come(cloud, "pw", 201)
        assert not [statement for statement in sent if statement.startswith("UPDATE")]
        away(10)
        assert come(cloud, "pw", 401) == come(cloud, "wrong", 401)
        assert cloud.admin.get(f"/v3/users/{ann['id']}")["user"]["enabled"] is False
        assert alter(cloud, ann, enabled=True)["enabled"] is True
        come(cloud, "pw", 201)
        away(10)
        alter(cloud, ann, options={"ignore_user_inactivity": True})
        come(cloud, "pw", 201)
        alter(cloud, ann, options={"ignore_user_inactivity": None})
        with cloud.db.transaction() as tx:
            tx.execute(text("UPDATE identity.\"user\" SET last_active_on = NULL, created_at = created_at - interval '11 days'"))
        come(cloud, "pw", 401)
    come(cloud, "pw", 201)
