"""Log-in, scopes, tokens and what ends them, through the API on a real PostgreSQL."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from common.auth import Authenticator
from common.config import CONF
from common.db import Database
from common.errors import Unauthorized
from identity import manage, public
from identity.models import RevokedToken, SigningKey, User
from identity.service import auth, catalog, password
from identity.service import token as tokens
from tests.support.api import counted
from tests.support.identity import ADMIN_PASSWORD, admin_scope, by_password, by_token

TOKENS = "/v3/auth/tokens"


def payload(raw: str) -> dict:
    part = raw.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_project_token_says_all(cloud):
    answer = cloud.nobody("POST", TOKENS, by_password("admin", ADMIN_PASSWORD, admin_scope()), ok=201)
    body = answer.json["token"]
    assert body["methods"] == ["password"]
    assert body["user"]["name"] == "admin"
    assert body["user"]["domain"] == {"id": "default", "name": "Default"}
    assert body["project"]["name"] == "admin"
    assert body["project"]["domain"] == {"id": "default", "name": "Default"}
    assert body["is_domain"] is False
    assert [role["name"] for role in body["roles"]] == ["admin", "manager", "member", "reader"]
    assert len(body["audit_ids"]) == 1
    assert body["expires_at"].endswith(".000000Z")
    types = {service["type"]: service for service in body["catalog"]}
    assert set(types) == {"identity", "compute", "network", "block-storage", "volumev3", "image"}
    assert {e["interface"] for e in types["compute"]["endpoints"]} == {"public", "internal", "admin"}
    assert types["compute"]["endpoints"][0]["url"] == "http://127.0.0.1:8774/v2.1"
    assert types["compute"]["endpoints"][0]["region"] == types["compute"]["endpoints"][0]["region_id"] == "RegionOne"


def test_scopes(cloud):
    def scoped(scope):
        return cloud.nobody.post(TOKENS, by_password("admin", ADMIN_PASSWORD, scope), ok=201)["token"]

    for system in ({"all": True}, {}):
        assert scoped({"system": system})["system"] == {"all": True}
    plain = scoped(None)
    assert not {"project", "domain", "system", "roles", "catalog"} & set(plain)
    assert not {"project", "roles"} & set(scoped("unscoped"))
    admin_id = plain["user"]["id"]
    cloud.grant("reader", user=admin_id, domain="default")
    for scope in ({"domain": {"id": "default"}}, {"domain": {"name": "Default"}}):
        body = scoped(scope)
        assert body["domain"] == {"id": "default", "name": "Default"}
        assert [role["name"] for role in body["roles"]] == ["reader"]
    by_names = scoped({"project": {"name": "admin", "domain": {"name": "Default"}}})
    assert scoped({"project": {"id": by_names["project"]["id"]}})["project"] == by_names["project"]


def test_the_default_project_is_the_scope_where_none_is_asked(cloud):
    _, user, project = cloud.member("ann")
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"default_project_id": project["id"]}}, ok=200)
    assert cloud.nobody.post(TOKENS, by_password("ann", "pw-ann"), ok=201)["token"]["project"]["id"] == project["id"]
    assert "project" not in cloud.nobody.post(TOKENS, by_password("ann", "pw-ann", "unscoped"), ok=201)["token"]
    cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"enabled": False}}, ok=200)
    assert "project" not in cloud.nobody.post(TOKENS, by_password("ann", "pw-ann"), ok=201)["token"]


@pytest.mark.parametrize("body", [
    by_password("admin", "wrong"),
    by_password("nobody", "wrong"),
    by_password("admin", ADMIN_PASSWORD, domain="none"),
    by_password("admin", ADMIN_PASSWORD, {"project": {"id": "none"}}),
    by_password("admin", ADMIN_PASSWORD, {"project": {"id": "default"}}),
    by_password("admin", ADMIN_PASSWORD, {"domain": {"id": "default"}}),
])  # fmt: skip
def test_whatever_is_wrong_the_answer_is_the_same(cloud, body):
    error = cloud.nobody.post(TOKENS, body, ok=401)["error"]
    assert error == {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}


@pytest.mark.parametrize("token", ["none", "a.b.c", "x" * 4000])
def test_a_token_that_does_not_hold_is_not_found(cloud, token):
    assert cloud.nobody.post(TOKENS, by_token(token), ok=404)["error"]["message"] == "Could not find token."


def test_unknown_and_wrong_cost_the_same(cloud, monkeypatch):
    cloud.make("user", name="off", password="pw", enabled=False)
    hashes = []
    real = password.bcrypt.hashpw
    monkeypatch.setattr(password.bcrypt, "hashpw", lambda secret, salt: hashes.append(salt[:7]) or real(secret, salt))
    costs = set()
    for body in (by_password("nobody", "x"), by_password("admin", "x"), by_password("admin", "x", domain="none"), by_password("off", "x")):
        hashes.clear()
        with counted(cloud.db) as sent:
            cloud.nobody.post(TOKENS, body, ok=401)
        costs.add((len(sent), tuple(hashes)))
    assert costs == {(1, (b"$2b$04$",))}


def in_domain(name, scope=None):
    """Admin's log-in, his domain and the scope's by name."""
    who = {"name": "admin", "password": ADMIN_PASSWORD, "domain": {"name": name}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope or "unscoped"}}


def test_a_domains_name_in_other_letters(cloud):
    """As on a Keystone over MySQL, for which many a client's settings are written: `default`. The name as it is written comes first."""
    cloud.grant("admin", user=cloud.admin.get("/v3/users?name=admin")["users"][0]["id"], domain="default")
    scopes = {"project": {"name": "admin", "domain": {"name": "default"}}}, {"domain": {"name": "DEFAULT"}}
    queries = set()
    for name in ("Default", "default"):
        catalog.forget(cloud.db)
        with counted(cloud.db) as sent:
            token = cloud.nobody.post(TOKENS, in_domain(name), ok=201)["token"]
        assert token["user"]["domain"] == {"id": "default", "name": "Default"}
        queries.add(len(sent))
    assert queries == {3}
    for scope in scopes:
        assert next(iter(scope)) in cloud.nobody.post(TOKENS, in_domain("Default", scope), ok=201)["token"]
    cloud.make("domain", name="default")
    for body in (
        in_domain("default"),
        *(in_domain("Default", scope) for scope in scopes),
        in_domain("DEFAULT"),
        in_domain("defaul_"),
        in_domain(""),
    ):
        cloud.nobody.post(TOKENS, body, ok=401)
    for scope in (None, {"project": {"name": "admin", "domain": {"name": "Default"}}}, {"domain": {"name": "Default"}}):
        cloud.nobody.post(TOKENS, in_domain("Default", scope), ok=201)


@pytest.mark.parametrize("body", [
    {}, {"auth": {}}, {"auth": {"identity": {}}}, {"auth": {"identity": {"methods": []}}}, {"auth": {"identity": {"methods": ["password"]}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "password": "x"}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "\x00", "password": "x"}}}}},
    by_password("admin", ADMIN_PASSWORD, {"project": {"name": "admin"}}),
    by_password("admin", ADMIN_PASSWORD, {"project": {"id": "a"}, "domain": {"id": "b"}}),
    by_password("admin", ADMIN_PASSWORD, {"system": {"all": False}}),
    by_password("admin", ADMIN_PASSWORD, {}),
    by_password("admin", ADMIN_PASSWORD, []),
    by_password("admin", ADMIN_PASSWORD, {"moon": {}}),
])  # fmt: skip
def test_a_malformed_login_is_refused(cloud, body):
    cloud.nobody.post(TOKENS, body, ok=400)


def with_unused(body, **blocks):
    """The log-in, with blocks of other methods beside it."""
    return {"auth": {**body["auth"], "identity": {**body["auth"]["identity"], **blocks}}}


UNUSED = {"totp": {}, "application_credential": {"id": 5}, "mapped": {}, "openid": {"x": 1}, "oauth1": {}}


def test_what_no_method_reads_is_not_looked_at(cloud):
    raw = cloud.nobody("POST", TOKENS, with_unused(by_password("admin", ADMIN_PASSWORD), token={}, **UNUSED), ok=201).headers[
        "X-Subject-Token"
    ]
    cloud.nobody("POST", TOKENS, with_unused(by_token(raw), password={"user": {}}, **UNUSED), ok=201)
    cloud.nobody("POST", TOKENS, with_unused(by_token(raw), password=5), ok=400)


@pytest.mark.parametrize(("method", "given", "told"), [
    ("mapped", {"identity_provider": "acme"}, "auth.identity.mapped.protocol"), ("openid", {"protocol": "x"}, "auth.identity.openid.identity_provider"),
    ("mapped", {"id": 5}, "auth.identity.mapped.id"), ("token", {}, "auth.identity.token.id"), ("totp", {}, "auth.identity.totp.user"),
    ("password", {"user": {"id": "x"}}, "auth.identity.password.user.password"), ("application_credential", {"id": "x"}, "auth.identity.application_credential.secret"),
])  # fmt: skip
def test_what_a_method_misses_is_named(cloud, method, given, told):
    for methods in ([method], ["token", method]):
        identity = {"token": {"id": "x"}, "methods": methods, method: given}
        answer = cloud.nobody.post(TOKENS, {"auth": {"identity": identity}}, ok=400)
        assert f"{told}. " in answer["error"]["message"]
        assert "given schemas" not in answer["error"]["message"]


def test_an_unknown_method_is_refused(cloud):
    cloud.nobody.post(TOKENS, {"auth": {"identity": {"methods": ["magic"], "magic": {}}}}, ok=401)


def test_rescoping_keeps_the_end_and_the_line(cloud):
    first = cloud.nobody("POST", TOKENS, by_password("admin", ADMIN_PASSWORD), ok=201)
    raw, before = first.headers["X-Subject-Token"], first.json["token"]
    after = cloud.nobody.post(TOKENS, by_token(raw, admin_scope()), ok=201)["token"]
    assert after["methods"] == ["password", "token"]
    assert after["expires_at"] == before["expires_at"]
    assert after["audit_ids"][1] == before["audit_ids"][0] != after["audit_ids"][0]


def test_look_and_revoke(cloud):
    raw = cloud.token("admin", ADMIN_PASSWORD, admin_scope())
    shown = cloud.admin("GET", TOKENS, headers={"X-Subject-Token": raw}, ok=200)
    assert shown.headers["X-Subject-Token"] == raw
    assert shown.json["token"]["project"]["name"] == "admin"
    assert shown.json["token"]["catalog"]
    assert "catalog" not in cloud.admin.get(TOKENS + "?nocatalog", headers={"X-Subject-Token": raw})["token"]
    assert cloud.admin("HEAD", TOKENS, headers={"X-Subject-Token": raw}, ok=200).content == b""
    cloud.admin.delete(TOKENS, headers={"X-Subject-Token": raw})
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, TOKENS, headers={"X-Subject-Token": raw}, ok=404)
    cloud.nobody.as_(raw)("GET", "/v3/auth/projects", ok=401)
    cloud.nobody.post(TOKENS, by_token(raw), ok=404)
    cloud.admin("GET", TOKENS, ok=400)
    cloud.admin("GET", TOKENS, headers={"X-Subject-Token": "x" * 5000}, ok=404)


def test_only_its_bearer_and_services_look_at_a_token(cloud):
    ann, _, _ = cloud.member("ann")
    bob, _, _ = cloud.member("bob")
    auditor, _, _ = cloud.member("nova", "service")
    ann("GET", TOKENS, headers={"X-Subject-Token": ann.token}, ok=200)
    bob("GET", TOKENS, headers={"X-Subject-Token": ann.token}, ok=403)
    bob("DELETE", TOKENS, headers={"X-Subject-Token": ann.token}, ok=403)
    auditor("GET", TOKENS, headers={"X-Subject-Token": ann.token}, ok=200)
    auditor("DELETE", TOKENS, headers={"X-Subject-Token": ann.token}, ok=403)
    ann.delete(TOKENS, headers={"X-Subject-Token": ann.token})
    bob.get("/v3/auth/projects")


def endings():
    def disable_user(cloud, user, project):
        cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"enabled": False}}, ok=200)

    def delete_user(cloud, user, project):
        cloud.admin.delete(f"/v3/users/{user['id']}")

    def reset_password(cloud, user, project):
        cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"password": "new"}}, ok=200)

    def change_password(cloud, user, project):
        body = {"user": {"original_password": "pw-ann", "password": "new"}}
        cloud.nobody("POST", f"/v3/users/{user['id']}/password", body, ok=204)

    def disable_project(cloud, user, project):
        cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"enabled": False}}, ok=200)

    def delete_project(cloud, user, project):
        cloud.admin.delete(f"/v3/projects/{project['id']}")

    def take_role(cloud, user, project):
        cloud.admin.delete(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}")

    def delete_role(cloud, user, project):
        path = f"/v3/roles/{cloud.role('member')}"
        cloud.admin.patch(path, {"role": {"options": {"immutable": None}}}, ok=200)
        cloud.admin.delete(path)

    return [disable_user, delete_user, reset_password, change_password, disable_project, delete_project, take_role, delete_role]


@pytest.mark.parametrize("end", endings(), ids=lambda end: end.__name__)
def test_what_ends_a_token(cloud, end):
    ann, user, project = cloud.member("ann")
    bob, _, _ = cloud.member("bob", "reader")
    ann.get("/v3/auth/projects")
    end(cloud, user, project)
    ann("GET", "/v3/auth/projects", ok=401)
    bob.get("/v3/auth/projects")


def test_enabling_again_revives_no_token(cloud):
    ann, user, project = cloud.member("ann")
    for path, noun in ((f"/v3/users/{user['id']}", "user"), (f"/v3/projects/{project['id']}", "project")):
        for enabled in (False, True):
            cloud.admin.patch(path, {noun: {"enabled": enabled}}, ok=200)
        ann("GET", "/v3/auth/projects", ok=401)
        ann = cloud.login("ann", "pw-ann", {"project": {"id": project["id"]}})
        ann.get("/v3/auth/projects")


def test_a_disabled_domain_ends_the_tokens_of_its_users(cloud):
    domain = cloud.make("domain", name="other")
    user = cloud.make("user", name="eve", password="pw", domain_id=domain["id"])
    cloud.grant("admin", user=user["id"], domain=domain["id"])
    eve = cloud.login("eve", "pw", {"domain": {"id": domain["id"]}}, domain=domain["id"])
    cloud.admin.patch(f"/v3/domains/{domain['id']}", {"domain": {"enabled": False}}, ok=200)
    eve("GET", "/v3/auth/projects", ok=401)
    cloud.nobody.post(TOKENS, by_password("eve", "pw", domain=domain["id"]), ok=401)
    cloud.admin.patch(f"/v3/domains/{domain['id']}", {"domain": {"enabled": True}}, ok=200)
    eve("GET", "/v3/auth/projects", ok=401)
    cloud.nobody.post(TOKENS, by_password("eve", "pw", domain=domain["id"]), ok=201)


def test_roles_are_live_with_groups_and_implied_ones(cloud):
    ann, user, project = cloud.member("ann", "reader")
    check = public.token_checker(cloud.db)
    assert check(ann.token).roles == {"reader"}
    group = cloud.make("group", name="staff")
    cloud.admin("PUT", f"/v3/groups/{group['id']}/users/{user['id']}", ok=204)
    cloud.admin("PUT", f"/v3/projects/{project['id']}/groups/{group['id']}/roles/{cloud.role('member')}", ok=204)
    actor = check(ann.token)
    assert actor.roles == {"member", "reader"}
    assert (actor.project_id, actor.project_name, actor.project_domain_name, actor.user_name) == (project["id"], "ann", "Default", "ann")
    other = cloud.make("role", name="operator")
    cloud.admin("PUT", f"/v3/roles/{cloud.role('reader')}/implies/{other['id']}", ok=201)
    cloud.admin("PUT", f"/v3/roles/{other['id']}/implies/{cloud.role('reader')}", ok=201)  # a circle does no harm
    assert check(ann.token).roles == {"member", "operator", "reader"}
    cloud.admin.delete(f"/v3/groups/{group['id']}/users/{user['id']}")
    assert check(ann.token).roles == {"operator", "reader"}


def test_a_check_is_one_statement_and_small_whatever_the_roles(cloud):
    ann, user, project = cloud.member("ann")
    check = public.token_checker(cloud.db)
    check(ann.token)
    for index in range(40):
        role = cloud.make("role", name=f"role {index}")
        cloud.admin("PUT", f"/v3/projects/{project['id']}/users/{user['id']}/roles/{role['id']}", ok=204)
    raw = cloud.token("ann", "pw-ann", {"project": {"id": project["id"]}})
    with counted(cloud.db) as sent:
        assert len(check(raw).roles) == 42
    assert len(sent) == 1
    assert len(raw) < 600
    assert "role" not in str(payload(raw))


# Twice the catalogue's: for services and service providers, where nothing is remembered.
@pytest.mark.parametrize(("body", "most"), [("password", 4), ("token", 4)])
def test_a_login_takes_the_same_few_queries_whatever_the_rows(cloud, body, most):
    def count():
        raw = cloud.token("admin", ADMIN_PASSWORD)
        sent_body = by_token(raw, admin_scope()) if body == "token" else by_password("admin", ADMIN_PASSWORD, admin_scope())
        with counted(cloud.db) as sent:
            cloud.nobody.post(TOKENS, sent_body, ok=201)
        return len([one for one in sent if "private_key" not in one])  # the signer is read again every few seconds

    count()
    before = count()
    assert before == most
    for index in range(10):
        cloud.make("service", type=f"type{index}", name="x")
        cloud.make("project", name=f"p{index}")
    assert count() == before


def kid(raw: str) -> str:
    return payload("." + raw)["kid"]


def test_keys_rotate_without_restart_on_several_nodes(cloud):
    elsewhere = Database(cloud.db.engine.url.render_as_string(hide_password=False), pool_size=2)
    node = public.token_checker(elsewhere)
    old = cloud.admin.token
    node(old)
    staged = cloud.db.run(lambda tx: tx.scalar(select(SigningKey.kid).where(SigningKey.state == "staged")))
    assert manage.rotate_keys(cloud.db) == staged != kid(old)
    manage.rotate_keys(cloud.db)
    ring = auth.ring_of(cloud.db)
    ring._signer_until = 0.0  # its few seconds have gone by
    new = cloud.token("admin", ADMIN_PASSWORD, admin_scope())
    assert kid(new) not in (kid(old), staged)
    for queries in (2, 1):  # a kid that the node has not met costs one look at the table, once
        with counted(elsewhere) as sent:
            assert node(new).project_name == "admin"
        assert len(sent) == queries
    node(old)
    elsewhere.close()


def states(db) -> dict[str, int]:
    return dict(db.run(lambda tx: tx.execute(select(SigningKey.state, func.count()).group_by(SigningKey.state)).all()))


def test_retired_keys_go_when_no_token_of_theirs_can_be_asked_about(cloud):
    for _ in range(3):
        manage.rotate_keys(cloud.db)
    assert states(cloud.db) == {"primary": 1, "staged": 1, "secondary": 3}
    cloud.db.run(
        lambda tx: tx.execute(
            text("UPDATE identity.signing_key SET retired_at = common.now() - interval '49 hours 1 minute' WHERE state = 'secondary'")
        )
    )
    manage.rotate_keys(cloud.db)
    assert states(cloud.db) == {"primary": 1, "staged": 1, "secondary": 1}


def test_two_rotations_at_once_make_two_in_turn(cloud):
    with ThreadPoolExecutor(4) as pool:
        kids = list(pool.map(lambda _: manage.rotate_keys(cloud.db), range(4)))
    assert len(set(kids)) == 4
    assert states(cloud.db) == {"primary": 1, "staged": 1, "secondary": 4}


def test_an_expired_token_and_a_foreign_key(cloud):
    raw = cloud.admin.token
    CONF.set_override("token_ttl", 1, "identity")
    try:
        short = cloud.token("admin", ADMIN_PASSWORD, admin_scope())
    finally:
        CONF.clear_override("token_ttl", "identity")
    deadline = tokens.now() + timedelta(seconds=3)
    while tokens.now() < deadline and cloud.nobody.as_(short)("GET", "/v3/auth/projects").status_code == 200:
        pass
    cloud.nobody.as_(short)("GET", "/v3/auth/projects", ok=401)
    cloud.admin("GET", TOKENS, headers={"X-Subject-Token": short}, ok=404)
    assert cloud.admin("GET", TOKENS + "?allow_expired=1", headers={"X-Subject-Token": short}, ok=200).json["token"]["project"]
    head, body, signature = raw.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**payload(raw), "sub": "someone"}).encode()).decode().rstrip("=")
    for wrong in (f"{head}.{forged}.{signature}", f"{head}.{body}.", f"{head}.{body}", raw[:-8] + "A" * 8, "", "é", raw + "A"):
        with pytest.raises(Unauthorized):
            public.token_checker(cloud.db)(wrong)


def test_a_removed_key_ends_what_it_signed(cloud):
    node = public.token_checker(cloud.db)
    node(cloud.admin.token)
    cloud.db.run(lambda tx: tx.execute(text("DELETE FROM identity.signing_key WHERE state = 'primary'")))
    with pytest.raises(Unauthorized):
        node(cloud.admin.token)


def test_revoked_rows_go_when_they_no_longer_matter(cloud):
    def rows():
        return cloud.db.run(lambda tx: tx.scalar(select(func.count()).select_from(RevokedToken)))

    first, second = (cloud.token("admin", ADMIN_PASSWORD) for _ in range(2))
    cloud.admin.delete(TOKENS, headers={"X-Subject-Token": first})
    assert rows() == 1
    cloud.db.run(lambda tx: tx.execute(text("UPDATE identity.revoked_token SET expires_at = common.now() - interval '1 s'")))
    cloud.admin.delete(TOKENS, headers={"X-Subject-Token": second})
    assert rows() == 1


def test_what_one_can_have_a_token_for(cloud):
    ann, user, project = cloud.member("ann")
    cloud.grant("reader", user=user["id"], domain="default")
    off = cloud.make("project", name="off", enabled=False)
    cloud.grant("member", user=user["id"], project=off["id"])
    assert [row["id"] for row in ann.get("/v3/auth/projects")["projects"]] == [project["id"]]
    assert [row["id"] for row in ann.get("/v3/auth/domains")["domains"]] == ["default"]
    assert ann.get("/v3/auth/system")["system"] == []
    assert cloud.admin.get("/v3/auth/system")["system"] == [{"all": True}]
    assert {row["type"] for row in ann.get("/v3/auth/catalog")["catalog"]} >= {"identity", "compute"}
    cloud.login("ann", "pw-ann", "unscoped")("GET", "/v3/auth/catalog", ok=401)


def test_endpoints_that_need_a_project_are_left_out_without_one(cloud):
    service = cloud.make("service", type="object-store", name="swift")
    cloud.make("endpoint", service_id=service["id"], interface="public", url="http://x/v1/AUTH_$(project_id)s", region_id="RegionOne")

    def urls(scope):
        token = cloud.nobody.post(TOKENS, by_password("admin", ADMIN_PASSWORD, scope), ok=201)["token"]
        return [e["url"] for s in token["catalog"] if s["type"] == "object-store" for e in s["endpoints"]], token

    found, token = urls(admin_scope())
    assert found == [f"http://x/v1/AUTH_{token['project']['id']}"]
    assert urls({"system": {"all": True}})[0] == []


def test_the_cache_holds_half_a_second_at_most(cloud):
    ann, _, _ = cloud.member("ann")
    cached = Authenticator(public.token_checker(cloud.db), seconds=5)
    with counted(cloud.db) as sent:
        for _ in range(5):
            cached(ann.token)
    assert len(sent) <= 2


def test_own_password_change(cloud):
    _, user, _ = cloud.member("ann")
    path = f"/v3/users/{user['id']}/password"
    cloud.nobody("POST", path, {"user": {"original_password": "wrong", "password": "new"}}, ok=401)
    cloud.nobody("POST", "/v3/users/none/password", {"user": {"original_password": "pw-ann", "password": "new"}}, ok=401)
    cloud.nobody("POST", path, {"user": {"password": "new"}}, ok=400)
    cloud.nobody("POST", path, {"user": {"original_password": "pw-ann", "password": "new"}}, ok=204)
    cloud.nobody.post(TOKENS, by_password("ann", "pw-ann"), ok=401)
    cloud.nobody.post(TOKENS, by_password("ann", "new"), ok=201)
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"options": {"lock_password": True}}}, ok=200)
    cloud.nobody("POST", path, {"user": {"original_password": "new", "password": "newer"}}, ok=400)


@pytest.mark.parametrize("noun", ["user", "domain"])
def test_a_disabled_user_changes_no_password(cloud, noun):
    domain = cloud.make("domain", name="d")
    user = cloud.make("user", name="ann", password="pw", domain_id=domain["id"])
    cloud.admin.patch(f"/v3/{noun}s/{(user if noun == 'user' else domain)['id']}", {noun: {"enabled": False}}, ok=200)
    body = {"user": {"original_password": "pw", "password": "new"}}
    cloud.nobody("POST", f"/v3/users/{user['id']}/password", body, ok=401)


def test_the_end_of_a_password_is_told_without_a_zone(cloud):
    ann, user, _ = cloud.member("ann")
    with cloud.db.transaction() as tx:
        tx.execute(update(User).values(password_expires_at=datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)))
    shown = cloud.admin.get(f"/v3/users/{user['id']}")["user"]["password_expires_at"]
    token = ann.get(TOKENS, headers={"X-Subject-Token": ann.token})["token"]
    assert shown == token["user"]["password_expires_at"] == "2040-01-02T03:04:05.000000"
    assert token["expires_at"].endswith("Z")


def test_version_documents_need_no_token(cloud):
    for path, status in (("/", 300), ("/v3", 200), ("/v3/", 200)):
        body = cloud.nobody.get(path, ok=status)
        version = body["version"] if status == 200 else body["versions"]["values"][0]
        assert version["id"] == "v3.14"
        assert version["links"][0]["href"].endswith("/v3/")


def test_the_longest_token_is_under_a_kilobyte(cloud):
    """Roles are not in it; what is, at its longest: ids of a directory's user and of providers, all methods, a trust."""
    ring, begin = auth.ring_of(cloud.db), tokens.now()
    longest = tokens.Token(
        "f" * 64, tokens.Scope("project", "f" * 32), ("mapped", "password", "token", "totp"), (tokens.new_audit_id(), tokens.new_audit_id()),
        begin, begin, 2**31, 2**31, delegation=tokens.Delegation("application_credential", "f" * 32), federation=("p" * 64, "q" * 64),
    )  # fmt: skip
    assert len(tokens.encode(longest, ring)) <= tokens.MAX_LENGTH


@pytest.mark.parametrize(
    "other", [{"unscoped": {}}, {"OS-TRUST:trust": {"id": "t"}}, {"system": {"all": True}}, {"domain": {"id": "default"}}]
)
def test_a_scope_is_one(cloud, other):
    scope = {**admin_scope(), **other}
    assert "exactly one" in cloud.nobody.post("/v3/auth/tokens", by_password("admin", ADMIN_PASSWORD, scope), ok=400)["error"]["message"]
