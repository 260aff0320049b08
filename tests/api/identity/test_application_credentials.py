"""Application credentials: what a user lets a program do, on which project, with which roles and requests, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from falcon import testing
from sqlalchemy import select

from common.api import app as kit
from common.auth import Authenticator
from compute.api import SERVICE as COMPUTE
from identity import public
from identity.models import ApplicationCredentialSecret
from identity.service import password
from image.api import SERVICE as IMAGE
from network.api import SERVICE as NETWORK
from tests.support.api import Client, counted
from volume.api import SERVICE as VOLUME

RULES = "OpenStack-Identity-Access-Rules"


def create(client, user, ok=201, **values):
    body = {"application_credential": {"name": "ci", **values}}
    answer = client.post(f"/v3/users/{user['id']}/application_credentials", body, ok=ok)
    return answer["application_credential"] if ok == 201 else answer


def by_secret(secret, **who):
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {**who, "secret": secret}}}}


def log_in(cloud, row, **more):
    return cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], id=row["id"]), ok=201, **more)


def bearer(cloud, row):
    return cloud.nobody.as_(log_in(cloud, row).headers["X-Subject-Token"])


def rule(path="/v3/projects", method="GET", service="identity"):
    return {"path": path, "method": method, "service": service}


def test_its_users_domain_is_known_by_its_name_in_other_letters(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user)
    for name, status in (("Default", 201), ("dEFAULT", 201), ("defaults", 401)):
        who = {"name": "ci", "user": {"name": "ann", "domain": {"name": name}}}
        cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], **who), ok=status)


def test_a_credential_lives_and_dies(cloud):
    ann, user, project = cloud.member("ann")
    row = create(ann, user, description="for CI")
    assert (row["name"], row["description"], row["project_id"], row["user_id"]) == ("ci", "for CI", project["id"], user["id"])
    assert (row["unrestricted"], row["expires_at"]) == (False, None)
    assert {role["name"] for role in row["roles"]} == {"member", "reader"}
    assert "access_rules" not in row
    assert len(row["secret"]) == 86
    path = f"/v3/users/{user['id']}/application_credentials/{row['id']}"
    assert row["links"]["self"].endswith(path)
    shown = {name: value for name, value in row.items() if name != "secret"}
    assert ann.get(path)["application_credential"] == shown
    assert ann.get(path.rpartition("/")[0] + "?name=ci")["application_credentials"] == [shown]
    assert ann.get(path.rpartition("/")[0] + "?name=other")["application_credentials"] == []
    create(ann, user, ok=409)
    program = bearer(cloud, row)
    program.get("/v3/auth/projects")
    ann.delete(path)
    program.get("/v3/auth/projects", ok=401)
    ann.get(path, ok=404)
    cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], id=row["id"]), ok=401)


def test_its_token_says_so(cloud):
    ann, user, project = cloud.member("ann")
    reader = cloud.role("reader")
    row = create(ann, user, roles=[{"id": reader}])
    token = log_in(cloud, row).json["token"]
    assert token["methods"] == ["application_credential"]
    assert token["project"]["id"] == project["id"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"] == {"id": row["id"], "name": "ci", "restricted": True}


@pytest.mark.parametrize("by", ["id", "user id", "domain id", "domain name"])
def test_it_is_named_in_four_ways(cloud, by):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user)
    who = {
        "id": {"id": row["id"]}, "user id": {"name": "ci", "user": {"id": user["id"]}},
        "domain id": {"name": "ci", "user": {"name": "ann", "domain": {"id": "default"}}},
        "domain name": {"name": "ci", "user": {"name": "ann", "domain": {"name": "Default"}}},
    }[by]  # fmt: skip
    cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], **who), ok=201)
    cloud.nobody("POST", "/v3/auth/tokens", by_secret("wrong", **who), ok=401)


@pytest.mark.parametrize("who", [
    {}, {"name": "ci"}, {"name": "ci", "user": {}}, {"name": "ci", "user": {"name": "ann"}}, {"name": "ci", "user": {"name": "ann", "domain": {}}},
    {"id": 5}, {"id": None}, {"id": "x\x00"}, {"name": "ci", "user": "ann"},
])  # fmt: skip
def test_who_is_not_named_is_told(cloud, who):
    cloud.nobody("POST", "/v3/auth/tokens", by_secret("x", **who), ok=400)
    cloud.nobody("POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "a"}}}}, ok=400)  # fmt: skip


def test_a_wrong_shape_names_the_field_and_keeps_the_secret(cloud):
    for given, field in (({"id": 5}, "id"), ({"name": "a", "user": "ann"}, "user"), ({"id": "a", "secret": ["hush"]}, "secret")):
        body = by_secret("hush")
        body["auth"]["identity"]["application_credential"] |= given
        told = cloud.nobody("POST", "/v3/auth/tokens", body, ok=400).json["error"]["message"]
        assert f"auth.identity.application_credential.{field}" in told
        assert "hush" not in told


def test_no_scope_may_be_asked_for(cloud):
    ann, user, project = cloud.member("ann")
    body = by_secret(create(ann, user)["secret"], name="ci", user={"id": user["id"]})
    body["auth"]["scope"] = {"project": {"id": project["id"]}}
    cloud.nobody("POST", "/v3/auth/tokens", body, ok=401)


def test_its_token_buys_no_other(cloud):
    ann, user, _ = cloud.member("ann")
    token = log_in(cloud, create(ann, user)).headers["X-Subject-Token"]
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    assert cloud.nobody("POST", "/v3/auth/tokens", body).status_code in (401, 403)


def test_one_of_ours_takes_no_slow_hash_and_every_no_takes_one(cloud, monkeypatch):
    ann, user, _ = cloud.member("ann")
    ours, chosen = create(ann, user), create(ann, user, name="chosen", secret="my own words")
    assert chosen["secret"] == "my own words"
    hashes = cloud.db.run(lambda tx: list(tx.scalars(select(ApplicationCredentialSecret.hash))))
    assert sorted(text.split("$")[1] for text in hashes) == ["bcrypt-sha256", "sha256"]
    assert not [text for text in hashes if "my own" in text or ours["secret"] in text]
    asked = []
    slow = password.verify_password
    monkeypatch.setattr(password, "verify_password", lambda *given: asked.append(given) or slow(*given))
    log_in(cloud, ours)
    assert asked == []
    log_in(cloud, chosen)
    assert len(asked) == 1
    for row_id in (ours["id"], chosen["id"], "0" * 32):
        asked.clear()
        answer = cloud.nobody("POST", "/v3/auth/tokens", by_secret("wrong", id=row_id), ok=401)
        assert (len(asked), "requires authentication" in answer.text) == (1, True)


def test_a_log_in_takes_few_looks(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user)
    log_in(cloud, row)
    with counted(cloud.db) as sent:
        cloud.nobody("POST", "/v3/auth/tokens?nocatalog", by_secret(row["secret"], id=row["id"]), ok=201)
    assert len(sent) == 3  # with the clouds that the token names, which a process remembers


def test_its_end_is_its_tokens_end(cloud):
    ann, user, _ = cloud.member("ann")
    soon = datetime.now(UTC) + timedelta(minutes=5)
    row = create(ann, user, expires_at=soon.replace(tzinfo=None).isoformat())
    assert row["expires_at"] == soon.strftime("%Y-%m-%dT%H:%M:%S.%f")
    token = log_in(cloud, row).json["token"]
    assert token["expires_at"] <= soon.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    program = bearer(cloud, row)
    cloud.db.run(
        lambda tx: tx.connection().exec_driver_sql("UPDATE identity.application_credential SET expires_at = now() - interval '1 s'")
    )
    cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], id=row["id"]), ok=401)
    program.get("/v3/auth/projects", ok=401)


def test_the_last_moment_that_there_is_is_an_end(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user, expires_at="9999-12-31T23:59:59.999999Z")
    bearer(cloud, row).get("/v3/auth/projects")


def test_it_holds_while_its_user_has_the_roles(cloud):
    ann, user, project = cloud.member("ann")
    row = create(ann, user, roles=[{"name": "member"}])
    program = bearer(cloud, row)
    program.get("/v3/auth/projects")
    grant = f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}"
    cloud.grant("reader", user=user["id"], project=project["id"])
    cloud.admin.delete(grant)
    program.get("/v3/auth/projects", ok=401)
    cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], id=row["id"]), ok=401)


def test_it_ends_with_its_user(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user)
    program = bearer(cloud, row)
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"enabled": False}}, ok=200)
    program.get("/v3/auth/projects", ok=401)
    cloud.nobody("POST", "/v3/auth/tokens", by_secret(row["secret"], id=row["id"]), ok=401)
    cloud.admin.delete(f"/v3/users/{user['id']}")


@pytest.mark.parametrize(("values", "status"), [
    ({"name": ""}, 400), ({"name": None}, 400), ({"name": "x" * 256}, 400), ({"roles": [{"name": "admin"}]}, 400), ({"roles": [{"id": "0" * 32}]}, 400),
    ({"roles": [{}]}, 400), ({"roles": ["member"]}, 400), ({"roles": [{"id": "a", "name": "b"}]}, 400), ({"expires_at": "soon"}, 400),
    ({"expires_at": "2001-01-01T00:00:00"}, 400), ({"expires_at": "9999-12-31T23:59:59-14:00"}, 400), ({"expires_at": 5}, 400),
    ({"unrestricted": "yes"}, 400), ({"secret": 5}, 400), ({"secret": "x" * 5000}, 400), ({"description": 5}, 400), ({"access_rules": "x"}, 400),
    ({"access_rules": [{}]}, 400), ({"access_rules": [{"path": "/a", "method": "GET"}]}, 400), ({"access_rules": [rule(method="OPTIONS")]}, 400),
    ({"access_rules": [rule(method="get")]}, 400), ({"access_rules": [rule(path="a")]}, 400), ({"access_rules": [rule(path="/" + "a" * 225)]}, 400),
    ({"access_rules": [rule(service="a b")]}, 400), ({"access_rules": [{"id": "0" * 32}]}, 404), ({"access_rules": [{**rule(), "more": 1}]}, 400),
    ({"access_rules": [rule(path="/a\x00")]}, 400),
])  # fmt: skip
def test_a_wrong_one_is_refused(cloud, values, status):
    ann, user, _ = cloud.member("ann")
    create(ann, user, ok=status, **values)
    assert ann.get(f"/v3/users/{user['id']}/application_credentials")["application_credentials"] == []
    assert ann.get(f"/v3/users/{user['id']}/access_rules")["access_rules"] == []


def test_what_clients_send_for_nothing_is_nothing(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(ann, user, secret=None, roles=[], access_rules=[], expires_at=None, description=None, unrestricted=False)
    assert "access_rules" not in row
    bearer(cloud, row).get("/v3/auth/projects")


def test_it_needs_a_project(cloud):
    cloud.make("user", name="auditor", password="pw")
    user = cloud.admin.get("/v3/users?name=auditor")["users"][0]
    create(cloud.login("auditor", "pw"), user, ok=400)


def test_nobody_makes_one_for_another(cloud):
    _, user, _ = cloud.member("ann")
    bob, _, _ = cloud.member("bob")
    for other in (bob, cloud.admin):
        create(other, user, ok=403)
        create(other, {"id": "0" * 32}, ok=403)


def test_others_see_none_of_it_and_the_admin_ends_it(cloud):
    ann, user, _ = cloud.member("ann")
    bob, bob_user, _ = cloud.member("bob")
    row = create(ann, user, access_rules=[rule()])
    for noun, row_id in (("application_credentials", row["id"]), ("access_rules", row["access_rules"][0]["id"])):
        path = f"/v3/users/{user['id']}/{noun}"
        bob.get(path, ok=403)
        bob.get(f"{path}/{row_id}", ok=403)
        bob.delete(f"{path}/{row_id}", ok=403)
        bob.get(f"/v3/users/{bob_user['id']}/{noun}/{row_id}", ok=404)
        bob.delete(f"/v3/users/{bob_user['id']}/{noun}/{row_id}", ok=404)
        assert len(cloud.admin.get(path)[noun]) == 1
        cloud.admin.get(f"{path}/{row_id}")
    cloud.admin.delete(f"/v3/users/{user['id']}/application_credentials/{row['id']}")
    cloud.admin.delete(f"/v3/users/{user['id']}/access_rules/{row['access_rules'][0]['id']}")


@pytest.mark.parametrize("unrestricted", [False, True])
def test_a_restricted_one_makes_and_ends_no_credentials(cloud, unrestricted):
    ann, user, project = cloud.member("ann")
    row = create(ann, user, unrestricted=unrestricted)
    program = bearer(cloud, row)
    path = f"/v3/users/{user['id']}/application_credentials"
    assert len(program.get(path)["application_credentials"]) == 1
    made = create(program, user, name="second", ok=201 if unrestricted else 403)
    program.delete(f"{path}/{made['id'] if unrestricted else row['id']}", ok=204 if unrestricted else 403)
    # Other credentials neither of them manages.
    program.post("/v3/credentials", {"credential": {"user_id": user["id"], "type": "cert", "blob": "x"}}, ok=403)
    program.post(f"/v3/users/{user['id']}/credentials/OS-EC2", {"tenant_id": project["id"]}, ok=403)
    mine = ann.post("/v3/credentials", {"credential": {"user_id": user["id"], "type": "totp", "blob": "seed"}}, ok=201)["credential"]
    assert program.get("/v3/credentials")["credentials"] == []
    for method in ("GET", "PATCH", "DELETE"):
        program(method, f"/v3/credentials/{mine['id']}", {"credential": {"blob": "x"}} if method == "PATCH" else None, ok=403)


def test_rules_keep_the_order_that_they_were_given_in(cloud):
    ann, user, _ = cloud.member("ann")
    rules = [rule(f"/{place}") for place in (3, 1, 4, 2, 9, 5)]
    first = create(ann, user, access_rules=[*rules, *rules])
    assert [each["path"] for each in first["access_rules"]] == [each["path"] for each in rules]
    again = create(ann, user, name="again", access_rules=[{"id": each["id"]} for each in reversed(first["access_rules"])])
    assert again["access_rules"] == first["access_rules"][::-1]
    shown = ann.get(f"/v3/users/{user['id']}/application_credentials/{again['id']}")["application_credential"]
    assert shown["access_rules"] == again["access_rules"]


def test_rules_are_shared_and_stay_while_in_use(cloud):
    ann, user, _ = cloud.member("ann")
    first = create(ann, user, access_rules=[rule(), rule("/v2.1/servers/*", service="compute"), rule()])
    assert len(first["access_rules"]) == 2
    rule_id = next(item["id"] for item in first["access_rules"] if item["service"] == "compute")
    second = create(ann, user, name="b", access_rules=[rule("/v2.1/servers/*", service="compute")])
    third = create(ann, user, name="c", access_rules=[{"id": rule_id}])
    assert [item["id"] for item in second["access_rules"] + third["access_rules"]] == [rule_id, rule_id]
    create(ann, user, name="d", access_rules=[{"id": rule_id, **rule()}], ok=400)
    path = f"/v3/users/{user['id']}/access_rules"
    assert len(ann.get(path)["access_rules"]) == 2
    shown = ann.get(f"{path}/{rule_id}")["access_rule"]
    assert (shown["service"], shown["method"], shown["path"]) == ("compute", "GET", "/v2.1/servers/*")
    assert ann.get(path + "?service=compute")["access_rules"] == [shown]
    for row in (first, second, third):
        ann.delete(f"{path}/{rule_id}", ok=403)
        ann.delete(f"/v3/users/{user['id']}/application_credentials/{row['id']}")
    ann.delete(f"{path}/{rule_id}")
    ann.get(f"{path}/{rule_id}", ok=404)
    ann.delete(f"{path}/{rule_id}", ok=404)


def test_a_rule_of_another_is_none(cloud):
    ann, user, _ = cloud.member("ann")
    bob, bob_user, _ = cloud.member("bob")
    row = create(ann, user, access_rules=[rule()])
    create(bob, bob_user, access_rules=[{"id": row["access_rules"][0]["id"]}], ok=404)


def test_a_list_takes_one_look(cloud):
    ann, user, _ = cloud.member("ann")
    path = f"/v3/users/{user['id']}/application_credentials"
    create(ann, user, access_rules=[rule(), rule("/x")])
    with counted(cloud.db) as few:
        ann.get(path)
    for number in range(6):
        create(ann, user, name=f"n{number}", access_rules=[rule(), rule(f"/{number}")])
    with counted(cloud.db) as many:
        rows = ann.get(path)["application_credentials"]
    assert len(few) == len(many)
    assert {len(row["access_rules"]) for row in rows} == {2}
    assert len(ann.get(path + "?limit=2")["application_credentials"]) == 2


def services(cloud, token):
    """Every service in this process, asked with a real token."""
    made = {}
    for service in (COMPUTE, VOLUME, NETWORK, IMAGE):
        service.connect(cloud.db, Authenticator(public.token_checker(cloud.db), seconds=0))
        made[service.name] = Client(testing.TestClient(kit.build(service)), token=token)
    return made


def test_rules_hold_in_every_service(cloud):
    ann, user, project = cloud.member("ann")
    rules = [
        rule("/v2.1/servers", service="compute"), rule("/v3/*/volumes", service="block-storage"), rule("/v3/{id}/types", service="volumev3"),
        rule("/v2.0/**", service="network"), rule("/v2/images", service="image"), rule("/v2/images/*", "DELETE", service="image"),
    ]  # fmt: skip
    row = create(ann, user, access_rules=rules)
    token = log_in(cloud, row).headers["X-Subject-Token"]
    api = services(cloud, token)
    api["compute"].get("/v2.1/servers")
    api["volume"].get(f"/v3/{project['id']}/volumes")
    api["volume"].get(f"/v3/{project['id']}/types")
    api["network"].get("/v2.0/networks")
    api["image"].get("/v2/images")
    api["image"].delete(f"/v2/images/{user['id']}", ok=404)
    for name, method, path in (
        ("compute", "POST", "/v2.1/servers"), ("compute", "GET", "/v2.1/servers/detail"), ("compute", "GET", "/v2.1/flavors"),
        ("compute", "HEAD", "/v2.1/servers"), ("volume", "GET", f"/v3/{project['id']}/snapshots"),
        ("network", "POST", "/v2.0/networks"), ("network", "DELETE", "/v2.0/networks/1"), ("image", "GET", "/v2/images/1"),
        ("image", "POST", "/v2/images"),
    ):  # fmt: skip
        api[name](method, path, {} if method == "POST" else None, ok=401)
    program = cloud.nobody.as_(token)
    program.get("/v3/projects", ok=401)
    program.get(f"/v3/users/{user['id']}", ok=401)
    program.delete("/v3/auth/tokens", ok=401)


def test_rules_hold_in_identity(cloud):
    ann, user, _ = cloud.member("ann")
    row = create(
        ann, user, access_rules=[rule(f"/v3/users/{user['id']}"), rule("/v3/auth/projects/", "GET"), rule("/v3/regions", "POST", "compute")]
    )
    token = log_in(cloud, row).headers["X-Subject-Token"]
    program = cloud.nobody.as_(token)
    program.get(f"/v3/users/{user['id']}")
    program("HEAD", f"/v3/users/{user['id']}", ok=401)
    program.get("/v3/regions", ok=401)
    program.get("/v3/auth/projects", ok=401)
    # It may always be looked at, by who says that he knows of rules.
    seen = program.get("/v3/auth/tokens", headers={"X-Subject-Token": token, RULES: "1.0"})["token"]
    assert {(item["service"], item["method"]) for item in seen["application_credential"]["access_rules"]} == {
        ("identity", "GET"), ("compute", "POST"),
    }  # fmt: skip


def test_who_knows_nothing_of_rules_is_not_shown_a_token_with_some(cloud):
    ann, user, _ = cloud.member("ann")
    token = log_in(cloud, create(ann, user, access_rules=[rule()])).headers["X-Subject-Token"]
    for who in (cloud.admin, ann):
        who.get("/v3/auth/tokens", headers={"X-Subject-Token": token}, ok=404)
        who("HEAD", "/v3/auth/tokens", headers={"X-Subject-Token": token}, ok=404)
        who.get("/v3/auth/tokens", headers={"X-Subject-Token": token, RULES: "1.0"}, ok=200)
    without = log_in(cloud, create(ann, user, name="all")).headers["X-Subject-Token"]
    ann.get("/v3/auth/tokens", headers={"X-Subject-Token": without}, ok=200)


def test_one_with_rules_makes_none_with_more(cloud):
    ann, user, _ = cloud.member("ann")
    own = rule(f"/v3/users/{user['id']}/application_credentials", "POST")
    program = bearer(cloud, create(ann, user, unrestricted=True, access_rules=[own]))
    create(program, user, name="b", ok=403)
    create(program, user, name="b", access_rules=[own, rule()], ok=403)
    create(program, user, name="b", access_rules=[own])


def test_a_credential_keeps_the_roles_that_its_user_keeps(cloud):
    ann, user, project = cloud.member("ann")
    made = ann.post(f"/v3/users/{user['id']}/application_credentials", {"application_credential": {"name": "a"}}, ok=201)
    given = {"id": made["application_credential"]["id"], "secret": made["application_credential"]["secret"]}
    auth = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": given}}}

    def roles() -> list[str]:
        return sorted(role["name"] for role in cloud.nobody.post("/v3/auth/tokens", auth, ok=201)["token"]["roles"])

    assert roles() == ["member", "reader"]
    cloud.grant("reader", user=user["id"], project=project["id"])
    cloud.admin.delete(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}")
    assert roles() == ["reader"]
    cloud.admin.delete(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('reader')}")
    cloud.nobody.post("/v3/auth/tokens", auth, ok=401)
