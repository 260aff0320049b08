"""Log-in by an access token of a real OpenID provider: who one is then, and what one may."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from common.db import clock
from identity.models import FederatedUser, Project, User, VouchedMember
from identity.service import auth
from identity.service.federation import issuer, login
from tests.support import idp
from tests.support.api import counted
from tests.support.identity import by_token

ROOT = "/v3/OS-FEDERATION"
AUTH = f"{ROOT}/identity_providers/acme/protocols/openid/auth"
NAME = {"type": "HTTP_OIDC_PREFERRED_USERNAME"}
PLAIN = [{"local": [{"user": {"name": "{0}"}}], "remote": [NAME]}]
NOBODY = [{"local": [{"user": {"name": "{0}"}}], "remote": [NAME, {"type": "OIDC-groups", "any_one_of": ["never"]}]}]


class Federation:
    """A cloud that a provider vouches for."""

    def __init__(self, cloud, provider):
        self.cloud, self.provider = cloud, provider
        self.change(identity_provider={}, create=True)
        self.rules(PLAIN, create=True)
        cloud.admin.put(f"{ROOT}/identity_providers/acme/protocols/openid", {"protocol": {"mapping_id": "m"}}, ok=201)
        self.domain = cloud.admin.get(f"{ROOT}/identity_providers/acme")["identity_provider"]["domain_id"]

    def change(self, *, create=False, **body):
        usual = {"enabled": True, "remote_ids": [self.provider.url], "audiences": ["cloud"]} if create else {}
        values = {"identity_provider": {**usual, **body["identity_provider"]}}
        self.cloud.admin("PUT" if create else "PATCH", f"{ROOT}/identity_providers/acme", values, ok=201 if create else 200)

    def rules(self, rules, version="1.0", *, create=False):
        body = {"mapping": {"rules": rules, "schema_version": version}}
        self.cloud.admin("PUT" if create else "PATCH", f"{ROOT}/mappings/m", body, ok=201 if create else 200)

    def ask(self, subject="ann", *, ok=201, method="POST", path=AUTH, **claims):
        headers = {"Authorization": "Bearer " + self.provider.token(subject, **claims)}
        return self.cloud.nobody(method, path, ok=ok, headers=headers)

    def come(self, subject="ann", **claims):
        """(a client with the token, the token's body)"""
        answer = self.ask(subject, **claims)
        return self.cloud.nobody.as_(answer.headers["X-Subject-Token"]), answer.json["token"]

    def scoped(self, client, **scope):
        return self.cloud.nobody("POST", "/v3/auth/tokens", by_token(client.token, scope))


@pytest.fixture
def federation(cloud):
    issuer.issuer_of.cache_clear()
    with idp.running() as provider:
        yield Federation(cloud, provider)


def test_somebody_comes_and_comes_again(federation):
    client, token = federation.come("ann", email="ann@x.org")
    assert token["methods"] == ["openid"]
    assert "project" not in token
    assert "roles" not in token
    user = token["user"]
    assert (user["name"], user["domain"]["id"], user["password_expires_at"]) == ("ann", federation.domain, None)
    assert user["OS-FEDERATION"] == {"identity_provider": {"id": "acme"}, "protocol": {"id": "openid"}, "groups": []}
    assert client.get("/v3/auth/tokens", headers={"X-Subject-Token": client.token})["token"]["user"] == user
    assert client.get(f"{ROOT}/projects")["projects"] == []
    assert client.get(f"{ROOT}/domains")["domains"] == []
    assert federation.come("ann")[1]["user"]["id"] == user["id"]
    assert federation.come("bob")[1]["user"]["id"] != user["id"]
    assert federation.ask(method="GET").json["token"]["user"]["id"] == user["id"]
    with federation.cloud.db.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(FederatedUser)) == 2


def test_a_name_and_an_address_are_taken_over(federation):
    federation.rules(
        [{"local": [{"user": {"id": "{0}", "name": "{1}", "email": "{2}"}}], "remote": [{"type": "sub"}, {"type": "n"}, {"type": "e"}]}]
    )
    first = federation.come("s1", n="Ann", e="a@x")[1]["user"]
    assert first["name"] == "Ann"
    second = federation.come("s1", n="Anna", e="b@x")[1]["user"]
    assert (second["id"], second["name"]) == (first["id"], "Anna")
    assert federation.cloud.admin.get(f"/v3/users/{first['id']}")["user"]["email"] == "b@x"


def test_nobody_becomes_another_by_his_name(federation):
    """Not a user of the domain, nor another of the provider's."""
    own = federation.cloud.make("user", name="boss", domain_id=federation.domain, password="pw")
    federation.rules([{"local": [{"user": {"id": "{0}", "name": "{1}"}}], "remote": [{"type": "sub"}, {"type": "n"}]}])
    users = [federation.come(subject, n="boss")[1]["user"] for subject in ("s1", "s2")]
    assert len({own["id"], *(user["id"] for user in users)}) == 3
    assert len({"boss", *(user["name"] for user in users)}) == 3
    assert all(user["name"].startswith("boss#") for user in users)
    federation.come("s3", n="ann")
    assert federation.come("s3", n="boss")[1]["user"]["name"].startswith("boss#")


def test_a_user_of_the_provider_has_no_password(federation):
    user = federation.come()[1]["user"]
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": user["id"], "password": ""}}}}}
    federation.cloud.nobody.post("/v3/auth/tokens", body, ok=401)


@pytest.fixture
def staffed(federation):
    """The group staff is a member of the project p; the provider says who is in it."""
    cloud = federation.cloud
    group = cloud.make("group", name="staff", domain_id=federation.domain)
    project = cloud.make("project", name="p")
    cloud.admin("PUT", f"/v3/projects/{project['id']}/groups/{group['id']}/roles/{cloud.role('member')}", ok=204)
    federation.rules([
        *PLAIN, {"local": [{"groups": "{0}", "domain": {"id": federation.domain}}], "remote": [{"type": "OIDC-groups", "whitelist": ["staff", "none"]}]},
    ])  # fmt: skip
    federation.group, federation.project = group["id"], project["id"]
    return federation


def test_a_group_gives_its_roles_as_long_as_the_provider_says(staffed):
    client, token = staffed.come(groups=["staff", "other", "none"])
    assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": staffed.group}]
    member = f"/v3/groups/{staffed.group}/users/{token['user']['id']}"
    staffed.cloud.admin("HEAD", member, ok=204)
    assert [row["id"] for row in client.get(f"{ROOT}/projects")["projects"]] == [staffed.project]
    scoped = staffed.scoped(client, project={"id": staffed.project})
    assert scoped.status_code == 201
    assert {role["name"] for role in scoped.json["token"]["roles"]} >= {"member"}
    assert scoped.json["token"]["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "acme"}
    assert "openid" in scoped.json["token"]["methods"]
    inside = staffed.cloud.nobody.as_(scoped.headers["X-Subject-Token"])
    inside.get("/v3/auth/projects")
    without, token = staffed.come(groups=["other"])
    assert token["user"]["OS-FEDERATION"]["groups"] == []
    assert staffed.scoped(without, project={"id": staffed.project}).status_code == 401
    inside.get("/v3/auth/projects", ok=401)
    staffed.cloud.admin("HEAD", member, ok=404)


@pytest.mark.parametrize(("minutes", "seconds"), [(None, 3600), (0, 3600), (5, 300)])
def test_a_membership_ends_by_itself(staffed, minutes, seconds):
    staffed.change(identity_provider={"authorization_ttl": minutes})
    client, _ = staffed.come(groups=["staff"])
    with staffed.cloud.db.transaction() as tx:
        left = tx.scalar(select(VouchedMember.expires_at - clock()))
    assert timedelta(seconds=seconds - 30) < left <= timedelta(seconds=seconds)
    with staffed.cloud.db.transaction() as tx:
        tx.execute(update(VouchedMember).values(expires_at=clock()))
    assert staffed.scoped(client, project={"id": staffed.project}).status_code == 401
    staffed.come(groups=["staff"])
    assert staffed.scoped(client, project={"id": staffed.project}).status_code == 201


def test_groups_by_id_must_be_there(federation):
    federation.rules([{"local": [{"user": {"name": "{0}"}, "group_ids": "{1}"}], "remote": [NAME, {"type": "groups"}]}])
    group = federation.cloud.make("group", name="g")["id"]
    assert federation.come(groups=[group])[1]["user"]["OS-FEDERATION"]["groups"] == [{"id": group}]
    federation.ask(groups=[group, "none"], ok=403)


PROJECTS = [{
    "local": [{"user": {"name": "{0}"}, "projects": [
        {"name": "home of {0}", "roles": [{"name": "member"}, {"name": "reader"}]}, {"name": "shared", "roles": [{"name": "reader"}]},
    ]}], "remote": [NAME],
}]  # fmt: skip


def test_projects_and_roles_come_with_the_user(federation):
    federation.rules(PROJECTS)
    client, token = federation.come()
    found = {row["name"]: row for row in client.get("/v3/auth/projects")["projects"]}
    assert set(found) == {"home of ann", "shared"}
    assert {row["domain_id"] for row in found.values()} == {federation.domain}
    scoped = federation.scoped(client, project={"name": "home of ann", "domain": {"id": federation.domain}})
    assert {role["name"] for role in scoped.json["token"]["roles"]} == {"member", "reader"}
    federation.come()
    federation.come("bob")
    rows = federation.cloud.admin.get(f"/v3/role_assignments?user.id={token['user']['id']}")["role_assignments"]
    assert len(rows) == 3
    assert len(federation.cloud.admin.get(f"/v3/projects?domain_id={federation.domain}")["projects"]) == 3


def test_a_log_in_costs_the_same_whatever_it_makes(federation):
    names = [{"name": f"p{index}", "roles": [{"name": "member"}]} for index in range(30)]
    federation.rules([{"local": [{"user": {"name": "{0}"}, "projects": names[:1]}], "remote": [NAME]}])
    federation.come()
    costs = []
    for many in (names[:2], names):
        federation.rules([{"local": [{"user": {"name": "{0}"}, "projects": many}], "remote": [NAME]}])
        with counted(federation.cloud.db) as sent:
            federation.come()
        costs.append(len(sent))
    assert costs[0] == costs[1] <= 25


def test_version_2_puts_users_and_projects_where_it_says(federation):
    other = federation.cloud.make("domain", name="other")["id"]
    local = {
        "user": {"name": "{0}"},
        "projects": [{"name": "here", "roles": []}, {"name": "there", "roles": [], "domain": {"id": "default"}}],
    }
    federation.rules([{"local": [{**local, "domain": {"name": "other"}}], "remote": [NAME]}], "2.0")
    assert federation.come()[1]["user"]["domain"] == {"id": other, "name": "other"}
    with federation.cloud.db.transaction() as tx:
        places = dict(tx.execute(select(Project.name, Project.domain_id).where(Project.name.in_(["here", "there"]))).all())
    assert places == {"here": other, "there": "default"}
    federation.rules([{"local": [{**local, "domain": {"name": "none"}}], "remote": [NAME]}], "2.0")
    federation.ask(ok=404)


def test_a_domains_own_role_is_given_in_it_alone(federation):
    federation.cloud.make("role", name="own", domain_id=federation.domain)
    project = {"name": "p", "roles": [{"name": "own"}]}
    for where, code in (({}, 201), ({"domain": {"id": "default"}}, 403)):
        federation.rules([{"local": [{"user": {"name": "{0}"}, "projects": [{**project, **where}]}], "remote": [NAME]}], "2.0")
        federation.ask(ok=code)
    assert federation.cloud.admin.get("/v3/projects?domain_id=default&name=p")["projects"] == []


def test_no_project_comes_to_be_in_a_disabled_domain(federation):
    other = federation.cloud.make("domain", name="other", enabled=False)["id"]
    project = {"name": "p", "roles": [], "domain": {"id": other}}
    federation.rules([{"local": [{"user": {"name": "{0}"}, "projects": [project]}], "remote": [NAME]}], "2.0")
    assert other in federation.ask(ok=403).text
    assert federation.cloud.admin.get(f"/v3/projects?domain_id={other}")["projects"] == []


def test_a_local_user_is_himself(federation):
    _, user, project = federation.cloud.member("ann")
    for named in ({"id": user["id"]}, {"name": "{0}", "domain": {"name": "Default"}}, {"name": "{0}", "domain": {"id": "default"}}):
        federation.rules([{"local": [{"user": {**named, "type": "local"}}], "remote": [NAME]}])
        client, token = federation.come()
        assert token["user"]["id"] == user["id"]
        assert "OS-FEDERATION" not in token["user"]
        assert federation.scoped(client, project={"id": project["id"]}).status_code == 201
    federation.ask("bob", ok=401)
    federation.rules([{"local": [{"user": {"name": "{0}", "type": "local"}}], "remote": [NAME]}])
    federation.ask(ok=400)
    federation.cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"enabled": False}}, ok=200)
    federation.rules([{"local": [{"user": {"id": user["id"], "type": "local"}}], "remote": [NAME]}])
    federation.ask(ok=401)


def test_who_is_not_let_in(federation):
    cloud = federation.cloud
    for header in (None, "Bearer x", "Basic YTpi"):
        cloud.nobody("POST", AUTH, ok=401, headers={"Authorization": header} if header else {})
    federation.ask(exp=1, ok=401)
    federation.ask(aud="other", ok=401)
    for path in (AUTH.replace("openid", "none"), AUTH.replace("acme", "none")):
        federation.ask(path=path, ok=404)
    federation.rules(NOBODY)
    federation.ask(groups=["x"], ok=401)
    federation.rules(PLAIN)
    for change, code in (
        ({"enabled": False}, 403),
        ({"enabled": True, "audiences": None}, 403),
        ({"audiences": ["cloud"], "remote_ids": []}, 403),
    ):
        federation.change(identity_provider=change)
        federation.ask(ok=code)


@pytest.mark.parametrize("claims", [
    {"preferred_username": ""}, {"preferred_username": " "}, {"preferred_username": "x" * 300}, {"preferred_username": "\x00"}, {"preferred_username": "é" * 200},
    {"preferred_username": 5}, {"preferred_username": []}, {"preferred_username": {"a": "b"}}, {"preferred_username": None}, {"groups": "\ud800"},
    {"preferred_username": ["a", "b"]}, {"x" * 5000: "y"},
])  # fmt: skip
def test_no_claim_makes_a_fault(federation, claims):
    federation.rules([{**PROJECTS[0], "local": [{**PROJECTS[0]["local"][0], "groups": "{0}", "domain": {"id": "default"}}]}])
    assert federation.ask(ok=None, **claims).status_code in (201, 400, 401)


@pytest.mark.parametrize(("local", "code"), [
    ({"projects": [{"name": "x" * 65, "roles": []}]}, 400), ({"projects": [{"name": "", "roles": []}]}, 400),
    ({"projects": [{"name": "p", "roles": [{"name": "none"}]}]}, 404), ({"group": {"id": "none"}}, 403),
    ({"group": {"name": "none", "domain": {"id": "none"}}}, 404), ({"groups": "a"}, 400), ({"group": {"name": "none", "domain": {}}}, 400),
    ({"group": {"name": "none", "domain": {"id": "default"}}}, 201),
])  # fmt: skip
def test_a_rule_that_cannot_be_carried_out_makes_nothing(federation, local, code):
    federation.rules([{"local": [{"user": {"name": "{0}"}, **local}], "remote": [NAME]}])
    federation.ask(ok=code)
    with federation.cloud.db.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(User).where(User.name == "ann")) == (code == 201)


def test_the_attribute_that_names_the_provider_is_looked_at(federation):
    path = f"{ROOT}/identity_providers/acme/protocols/openid"
    for attribute, code in (("HTTP_OIDC_ISS", 201), ("HTTP_OIDC_SUB", 403), ("none", 400), ("", 201)):
        federation.cloud.admin.patch(path, {"protocol": {"remote_id_attribute": attribute}}, ok=200)
        federation.ask(ok=code)


@pytest.mark.parametrize("how", ["disable", "delete", "protocol", "user", "domain"])
def test_tokens_end_with_what_they_came_from(federation, how):
    client, token = federation.come()
    client.get("/v3/auth/projects")
    admin, path = federation.cloud.admin, f"{ROOT}/identity_providers/acme"
    if how == "disable":
        federation.change(identity_provider={"enabled": False})
    elif how == "delete":
        admin.delete(path)
    elif how == "protocol":
        admin.delete(f"{path}/protocols/openid")
    elif how == "user":
        admin.patch(f"/v3/users/{token['user']['id']}", {"user": {"enabled": False}}, ok=200)
    else:
        admin.patch(f"/v3/domains/{federation.domain}", {"domain": {"enabled": False}}, ok=200)
    client.get("/v3/auth/projects", ok=401)
    federation.ask(ok={"disable": 403, "delete": 404, "protocol": 404}.get(how, 401))


@pytest.mark.parametrize(("where", "name", "code"), [(login.rules, "evaluate", 403), (auth, "issue_for", 401)])
def test_nobody_slips_in_while_the_provider_is_disabled(federation, monkeypatch, where, name, code):
    """Neither between the look at the provider and the user, nor between the user and the token."""
    then = getattr(where, name)

    def disabled_first(*args, **more):
        federation.change(identity_provider={"enabled": False})
        return then(*args, **more)

    federation.come()
    monkeypatch.setattr(where, name, disabled_first)
    federation.ask(ok=code)


def test_nor_as_a_local_user(federation, monkeypatch):
    _, user, _ = federation.cloud.member("ann")
    federation.rules([{"local": [{"user": {"id": user["id"], "type": "local"}}], "remote": [NAME]}])
    client, _ = federation.come()
    then = login.rules.evaluate

    def disabled_first(*args, **more):
        federation.change(identity_provider={"enabled": False})
        return then(*args, **more)

    monkeypatch.setattr(login.rules, "evaluate", disabled_first)
    federation.ask(ok=403)
    client.get("/v3/auth/projects")  # a token like those by password: the provider does not end it (docs/runbook/federation.md)


def test_the_same_person_comes_twelve_times_at_once(federation):
    """One user, one of each project, and no fault."""
    federation.rules(PROJECTS)
    federation.come("first")
    raws = [federation.provider.token(f"p{index % 3}") for index in range(12)]

    def come(raw):
        answer = federation.cloud.nobody("POST", AUTH, headers={"Authorization": f"Bearer {raw}"})
        return answer.status_code, answer.json["token"]["user"]["id"]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(come, raws))
    assert {code for code, _ in found} == {201}
    assert len({user for _, user in found}) == 3
    with federation.cloud.db.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(FederatedUser)) == 4


def test_the_method_mapped_says_the_same(federation):
    def ask(method, given, ok=201, raw=None):
        headers = {"Authorization": f"Bearer {raw}"} if raw else {}
        return federation.cloud.nobody.post(
            "/v3/auth/tokens", {"auth": {"identity": {"methods": [method], method: given}}}, ok=ok, headers=headers
        )

    raw, here = federation.provider.token("ann"), {"identity_provider": "acme", "protocol": "openid"}
    for method in ("mapped", "openid"):
        token = ask(method, here, raw=raw)["token"]
        assert token["user"]["OS-FEDERATION"]["protocol"] == {"id": "openid"}
        assert token["user"]["name"] == "ann"
    ask("mapped", here, ok=401)
    ask("mapped", {"identity_provider": "acme"}, ok=400, raw=raw)
    ask("mapped", {**here, "protocol": 5}, ok=400, raw=raw)
    client, token = federation.come()
    again = ask("mapped", {"id": client.token})["token"]
    assert again["user"] == token["user"]
    assert again["expires_at"] == token["expires_at"]
    ask("mapped", {"id": federation.cloud.admin.token}, ok=401)
    for given, told in (
        ({"id": 5}, "auth.identity.mapped.id"),
        ({**here, "protocol": 5}, "auth.identity.mapped.protocol"),
        ({}, "auth.identity.mapped"),
    ):
        assert told in ask("mapped", given, ok=400)["error"]["message"]


def test_saml_says_that_it_is_not_there(cloud):
    for path in ("/v3/auth/OS-FEDERATION/saml2", "/v3/auth/OS-FEDERATION/saml2/ecp"):
        assert "SAML" in cloud.nobody("POST", path, {"auth": {}}, ok=404).json["error"]["message"]
    assert "SAML" in cloud.nobody("GET", f"{ROOT}/saml2/metadata", ok=404).json["error"]["message"]
