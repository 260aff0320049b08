"""Identity as its processes run it: each with its own role in PostgreSQL, several at once, and under a flood of log-ins."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import ProgrammingError

from common.cmd import manage as command
from common.config import CONF
from common.db import Database
from common.errors import Unauthorized
from identity import manage, public
from identity.models import Project, User
from identity.service import password
from identity.service.pool import Pool
from tests.support.identity import ADMIN_PASSWORD, Cloud, admin_scope, by_password, cheap_hashes


@pytest.fixture
def name(postgres):
    made = postgres.fresh()
    yield made
    postgres.drop(made)


@pytest.fixture
def as_role(postgres, name):
    opened = []

    def open_(role):
        opened.append(Database(postgres.url(name, role), pool_size=4))
        return opened[-1]

    yield open_
    for db in opened:
        db.close()


def test_each_process_gets_by_with_its_own_role(as_role):
    with cheap_hashes():
        Cloud(as_role("wolke_owner"))
        cloud = Cloud(as_role("wolke_identity"))
        ann, user, project = cloud.member("ann")
        cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"password": "new"}}, ok=200)
        token = cloud.token("ann", "new", {"project": {"id": project["id"]}})
        for role in ("wolke_api", "wolke_worker", "wolke_ovn"):
            db = as_role(role)
            check = public.token_checker(db)
            assert check(token).project_id == project["id"]
            with pytest.raises(Unauthorized):
                check(ann.token)
            for table in ("password", "private_key"):
                with pytest.raises(ProgrammingError, match="permission denied"), db.transaction() as tx:
                    tx.execute(text(f"SELECT * FROM identity.{table}"))


def test_a_revocation_on_one_node_counts_on_the_others(as_role):
    with cheap_hashes():
        cloud = Cloud(as_role("wolke_owner"))
        check = public.token_checker(as_role("wolke_api"))
        ann, _, _ = cloud.member("ann")
        check(ann.token)
        ann.delete("/v3/auth/tokens", headers={"X-Subject-Token": ann.token})
        with pytest.raises(Unauthorized):
            check(ann.token)


def test_a_check_outlives_a_restart_of_postgresql(postgres, as_role):
    with cheap_hashes():
        cloud = Cloud(as_role("wolke_owner"))
        check = public.token_checker(as_role("wolke_api"))
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(check, [cloud.admin.token] * 8))
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wolke_api'")
        for _ in range(6):
            assert check(cloud.admin.token).user_name == "admin"


def test_the_commands(postgres, name, tmp_path, capsys, monkeypatch):
    file = tmp_path / "wolke.conf"
    file.write_text(
        f"[DEFAULT]\nstate_path = {tmp_path}\n[database]\nowner_connection = {postgres.url(name)}\n[identity]\npassword_hash_rounds = 4\n"
    )
    monkeypatch.setenv("WOLKE_ADMIN_PASSWORD", "from the environment")
    before = CONF.config_file
    try:
        for words in (
            ["bootstrap", "--public-url-base", "http://10.0.0.1/"],
            ["rotate-keys"],
            ["clean-up"],
            ["bootstrap", "--admin-password", ADMIN_PASSWORD],
        ):
            assert command.main(["--config-file", str(file), "identity", *words]) == 0
    finally:
        CONF([], project="wolke-tests", default_config_files=before or [], default_config_dirs=[])
    kid, *cleaned = capsys.readouterr().out.split("\n")
    assert len(kid) == 16
    assert "trust: 0" in cleaned
    db = Database(postgres.url(name), pool_size=2)
    with db.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM identity.signing_key")) == 3
        assert tx.scalar(text("SELECT count(*) FROM identity.endpoint WHERE url LIKE 'http://127.0.0.1:%'")) == 18
    db.close()


def test_over_the_bound_a_login_is_told_when_to_come_again(cloud, monkeypatch):
    pool, started, go = Pool(1, 1), threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(password, "common", lambda: pool)
    monkeypatch.setattr(password, "verify_password", lambda *_: started.release() or (go.wait(60) and False))
    with ThreadPoolExecutor(4) as threads:
        ask = by_password("admin", "wrong")
        first = threads.submit(cloud.nobody, "POST", "/v3/auth/tokens", ask)
        assert started.acquire(timeout=60)
        others = [threads.submit(cloud.nobody, "POST", "/v3/auth/tokens", ask) for _ in range(3)]
        told = as_completed(others, timeout=60)
        refused = [next(told).result() for _ in range(2)]
        go.set()
        codes = sorted(one.result(60).status_code for one in (first, *others))
    assert codes == [401, 401, 429, 429]
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
    assert json.loads(refused[0].text)["error"]["code"] == 429


def test_a_password_changed_while_it_is_checked_gives_no_token(cloud, monkeypatch):
    _, user, _ = cloud.member("ann")
    real = password.verify_password

    def meanwhile(*given):
        monkeypatch.setattr(password, "verify_password", real)
        cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"password": "new"}}, ok=200)
        return real(*given)

    monkeypatch.setattr(password, "verify_password", meanwhile)
    cloud.nobody.post("/v3/auth/tokens", by_password("ann", "pw-ann"), ok=401)
    cloud.nobody.post("/v3/auth/tokens", by_password("ann", "new"), ok=201)


def test_no_transaction_is_open_while_a_hash_is_computed(cloud, monkeypatch):
    real, seen = password.verify_password, []

    def look(*given):
        seen.append(cloud.db.engine.pool.checkedout())
        return real(*given)

    monkeypatch.setattr(password, "verify_password", look)
    monkeypatch.setattr(manage, "verify_password", look)
    cloud.nobody.post("/v3/auth/tokens", by_password("admin", ADMIN_PASSWORD, admin_scope()), ok=201)
    manage.bootstrap(cloud.db, admin_password=ADMIN_PASSWORD)
    assert seen == [0, 0]


@pytest.mark.parametrize("given", [ADMIN_PASSWORD, "another"])
def test_bootstrap_lets_an_admin_in_again_who_was_locked_out(cloud, given):
    with cloud.db.transaction() as tx:
        for model in (User, Project):
            tx.execute(update(model).values(enabled=False))
    cloud.nobody.post("/v3/auth/tokens", by_password("admin", ADMIN_PASSWORD, admin_scope()), ok=401)
    manage.bootstrap(cloud.db, admin_password=given)
    cloud.nobody.post("/v3/auth/tokens", by_password("admin", given, admin_scope()), ok=201)
