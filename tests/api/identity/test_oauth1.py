"""OS-OAUTH1: consumers, the way to an access token, what it is good for, and what a signature must be."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl

import pytest
from oauthlib import oauth1
from sqlalchemy import text

from common.auth import Actor, Delegated
from common.errors import ApiError, Forbidden, Unauthorized
from identity.service import oauth1_token as service
from identity.service.attempt import Attempt
from identity.service.methods.oauth1 import identify
from tests.support.api import counted

CONSUMERS = "/v3/OS-OAUTH1/consumers"
BASE = "http://falconframework.org"
REQUEST, ACCESS, LOGIN = "/v3/OS-OAUTH1/request_token", "/v3/OS-OAUTH1/access_token", "/v3/auth/tokens"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Program:
    """A consumer, and a user with the role member who may say yes to it."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.user, self.row, self.project = cloud.member("ann")
        self.consumer = cloud.admin.post(CONSUMERS, {"consumer": {"description": "a program"}}, ok=201)["consumer"]

    def sign(self, path, *, secret=None, key=None, body=None, **more):
        """The headers of a signed POST."""
        client = oauth1.Client(key or self.consumer["id"], client_secret=secret or self.consumer["secret"], **more)
        _, headers, _ = client.sign(BASE + path, "POST", body=body, headers=dict(FORM) if body else {})
        return headers

    def post(self, path, headers, ok=201, **more):
        result = self.cloud.nobody("POST", path, headers=headers, ok=ok, **more)
        return dict(parse_qsl(result.text)) if ok == 201 else result.json

    def ask(self, ok=201, project=None, path=REQUEST, **more):
        headers = self.sign(path, callback_uri="oob", **more)
        return self.post(path, {**headers, "Requested-Project-Id": project or self.project["id"]}, ok)

    def yes(self, asked, ok=200, who=None, roles=({"name": "reader"},)):
        path = f"/v3/OS-OAUTH1/authorize/{asked['oauth_token']}"
        answer = (who or self.user).put(path, {"roles": list(roles)}, ok=ok)
        return answer["token"]["oauth_verifier"] if ok == 200 else answer

    def owner(self, token, **more):
        return {"resource_owner_key": token["oauth_token"], "resource_owner_secret": token["oauth_token_secret"], **more}

    def exchange(self, asked, verifier, ok=201, **more):
        return self.post(ACCESS, self.sign(ACCESS, **self.owner(asked, verifier=verifier, **more)), ok)

    def access(self, **more):
        asked = self.ask()
        return self.exchange(asked, self.yes(asked, **more))

    def attempt(self, token, headers=None, **more):
        signed = headers or self.sign(LOGIN, **self.owner(token, **more))
        return Attempt(self.cloud.db, "127.0.0.1", {}, {"Authorization": signed["Authorization"]}.get, BASE + LOGIN)

    def log_in(self, token, ok=201, headers=None, **more):
        body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
        return self.cloud.nobody("POST", LOGIN, body, headers=headers or self.sign(LOGIN, **self.owner(token, **more)), ok=ok)


@pytest.fixture
def program(cloud):
    return Program(cloud)


def test_a_consumer_lives_and_dies(cloud):
    made = cloud.admin.post(CONSUMERS, {"consumer": {"description": "d", "some:weird-field": "x"}}, ok=201)["consumer"]
    assert len(made.pop("secret")) == 32
    assert made["some_weird_field"] == "x"
    path = f"{CONSUMERS}/{made['id']}"
    assert made["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["consumer"] == made
    changed = cloud.admin.patch(path, {"consumer": {"description": "new", "id": made["id"], "other": [1]}}, ok=200)["consumer"]
    assert (changed["description"], changed["other"], changed["some_weird_field"]) == ("new", [1], "x")
    assert [row["id"] for row in cloud.admin.get(CONSUMERS)["consumers"]] == [made["id"]]
    assert "secret" not in cloud.admin.get(CONSUMERS)["consumers"][0]
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)
    cloud.admin.delete(path, ok=404)
    assert cloud.admin.post(CONSUMERS, {"consumer": {}}, ok=201)["consumer"]["description"] is None


@pytest.mark.parametrize("body", [
    {"secret": "x"}, {"secret": None}, {"id": "other"}, {}, {"description": 5}, {"description": "\x00"}, {"description": "x" * 65536}, [], None,
])  # fmt: skip
def test_a_wrong_change_of_a_consumer_is_refused(cloud, program, body):
    cloud.admin.patch(f"{CONSUMERS}/{program.consumer['id']}", {"consumer": body}, ok=400)


def test_consumers_are_the_administrators(cloud, program):
    path = f"{CONSUMERS}/{program.consumer['id']}"
    for method, where, body in (("GET", CONSUMERS, None), ("GET", path, None), ("POST", CONSUMERS, {"consumer": {}}),
                                ("PATCH", path, {"consumer": {"description": "x"}}), ("DELETE", path, None)):  # fmt: skip
        program.user(method, where, body, ok=403)
    cloud.make("user", name="auditor", password="pw")
    cloud.grant("reader", user=cloud.admin.get("/v3/users?name=auditor")["users"][0]["id"])
    reader = cloud.login("auditor", "pw", {"system": {"all": True}})
    reader.get(path)
    reader.delete(path, ok=403)


def test_the_whole_way(cloud, program):
    asked = program.ask()
    assert asked["oauth_expires_at"].endswith("Z")
    verifier = program.yes(asked, roles=[{"id": cloud.role("member")}, {"name": "reader"}])
    assert len(verifier) == 8
    access = program.exchange(asked, verifier)
    mine = f"/v3/users/{program.row['id']}/OS-OAUTH1/access_tokens"
    shown = program.user.get(f"{mine}/{access['oauth_token']}")["access_token"]
    assert shown == {
        "id": access["oauth_token"], "consumer_id": program.consumer["id"], "authorizing_user_id": program.row["id"],
        "project_id": program.project["id"], "expires_at": access["oauth_expires_at"], "links": shown["links"],
    }  # fmt: skip
    path = f"{mine}/{access['oauth_token']}"
    assert shown["links"]["roles"].endswith(path + "/roles")
    assert {role["name"] for role in program.user.get(path + "/roles")["roles"]} == {"member", "reader"}
    assert program.user.get(f"{path}/roles/{cloud.role('reader')}")["role"]["name"] == "reader"
    program.user.get(f"{path}/roles/{cloud.role('admin')}", ok=404)
    assert program.user.get(mine)["access_tokens"] == [shown]
    who = identify(program.attempt(access), {})
    assert (who.user_id, who.methods, who.delegation.kind, who.delegation.id) == (
        program.row["id"],
        ("oauth1",),
        "access_token",
        shown["id"],
    )
    program.user.delete(path)
    for method in ("GET", "DELETE"):
        program.user(method, path, ok=404)
    with pytest.raises(Unauthorized):
        identify(program.attempt(access), {})


def test_access_tokens_are_their_users(cloud, program):
    access = program.access()
    stranger, other, _ = cloud.member("stranger")
    mine, theirs = (f"/v3/users/{row['id']}/OS-OAUTH1/access_tokens" for row in (program.row, other))
    role = cloud.role("reader")
    for tail in ("", f"/{access['oauth_token']}", f"/{access['oauth_token']}/roles", f"/{access['oauth_token']}/roles/{role}", "/unknown"):
        stranger.get(mine + tail, ok=403)
        cloud.admin.get(mine + tail, ok=404 if tail == "/unknown" else 200)
        if tail:
            stranger.get(theirs + tail, ok=404)
            cloud.admin.get(theirs + tail, ok=404)
    stranger.delete(f"{mine}/{access['oauth_token']}", ok=403)
    stranger.delete(f"{theirs}/{access['oauth_token']}", ok=404)
    with counted(cloud.db) as sent:
        program.user.get(mine)
    few = len(sent)
    for _ in range(3):
        program.access()
    with counted(cloud.db) as sent:
        assert len(program.user.get(mine)["access_tokens"]) == 4
    assert len(sent) == few
    cloud.admin.delete(f"{mine}/{access['oauth_token']}")


def test_query_and_form_are_signed_too(program):
    path = REQUEST + "?a=b%20c&empty="
    program.ask(path=path)
    headers = {**program.sign(REQUEST, callback_uri="oob", body="x=1&y=%C3%A4"), "Requested-Project-Id": program.project["id"]}
    program.post(REQUEST, headers, raw=b"x=1&y=%C3%A4")
    headers = {**program.sign(REQUEST, callback_uri="oob", body="x=1"), "Requested-Project-Id": program.project["id"]}
    program.post(REQUEST, headers, ok=401, raw=b"x=2")
    headers = {**program.sign(REQUEST, callback_uri="oob"), "Requested-Project-Id": program.project["id"]}
    program.post(REQUEST + "?added=1", headers, ok=401)


@pytest.mark.parametrize("method", [oauth1.SIGNATURE_HMAC_SHA256, oauth1.SIGNATURE_HMAC_SHA512])
def test_newer_hashes_sign_too(program, method):
    program.ask(signature_method=method)


@pytest.mark.parametrize(("more", "status"), [
    ({"secret": "wrong"}, 401), ({"key": "unknown"}, 404), ({"key": "a\x00b"}, 404), ({"key": "x" * 300}, 404), ({"project": "unknown"}, 404),
    ({"project": "x" * 3000}, 404), ({"timestamp": str(int(time.time()) - 700)}, 400), ({"timestamp": "5"}, 400), ({"timestamp": "abcdefghij"}, 400),
    ({"nonce": "x" * 300}, 400), ({"signature_method": oauth1.SIGNATURE_PLAINTEXT}, 400), ({"realm": "any"}, 201),
])  # fmt: skip
def test_what_a_request_token_needs(program, more, status):
    program.ask(ok=status, **more)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "OAuth",
        "OAuth x",
        "Basic abc",
        'OAuth oauth_consumer_key="\x7f"',
        'OAuth oauth_consumer_key=""',
        "OAuth =,,==",
        "Bearer x",
    ],
)
def test_a_header_that_is_none(program, header):
    headers = {"Requested-Project-Id": program.project["id"], **({"Authorization": header} if header is not None else {})}
    for path in (REQUEST, ACCESS):
        assert program.post(path, headers, ok=None)["error"]["code"] in (400, 404)


def test_a_project_is_asked_for(program):
    program.post(REQUEST, program.sign(REQUEST, callback_uri="oob"), ok=400)
    program.post(REQUEST, {**program.sign(REQUEST), "Requested-Project-Id": program.project["id"]}, ok=400)


def test_only_roles_that_one_has_are_given(cloud, program):
    asked = program.ask()
    stranger, _, _ = cloud.member("stranger")
    program.yes(asked, ok=401, roles=[{"name": "admin"}])
    program.yes(asked, ok=401, who=stranger)
    program.yes(asked, ok=404, roles=[{"id": "unknown"}])
    for roles in ([], [{}], [{"fake_key": "x"}], [{"id": "a\x00"}], [{"id": "x", "name": "y"}]):
        program.yes(asked, ok=400, roles=roles)
    program.yes({"oauth_token": "unknown"}, ok=404)
    program.yes(asked)
    cloud.grant("reader", user=cloud.admin.get("/v3/users?name=stranger")["users"][0]["id"], project=program.project["id"])
    program.yes(asked, ok=403, who=stranger)


def test_the_exchange_needs_all_of_it(cloud, program):
    asked = program.ask()
    program.exchange(asked, "none", ok=401)
    verifier = program.yes(asked)
    program.exchange(asked, "wrong", ok=401)
    program.exchange({**asked, "oauth_token_secret": "wrong"}, verifier, ok=401)
    program.exchange({**asked, "oauth_token": "unknown"}, verifier, ok=404)
    program.exchange(asked, verifier, secret="wrong", ok=401)
    other = cloud.admin.post(CONSUMERS, {"consumer": {}}, ok=201)["consumer"]
    program.exchange(asked, verifier, key=other["id"], secret=other["secret"], ok=401)
    program.post(ACCESS, program.sign(ACCESS), ok=400)
    program.post(ACCESS, program.sign(ACCESS, **program.owner(asked)), ok=400)
    program.exchange(asked, verifier)
    program.exchange(asked, verifier, ok=404)


def test_what_is_expired_is_refused(cloud, program):
    asked, access = program.ask(), program.access()
    verifier = program.yes(asked)
    with cloud.db.engine.begin() as connection:
        for table in ("request_token", "access_token"):
            connection.execute(text(f"UPDATE identity.{table} SET expires_at = common.now() - interval '1 s'"))
    program.yes(asked, ok=401)
    program.exchange(asked, verifier, ok=401)
    with pytest.raises(Unauthorized):
        identify(program.attempt(access), {})
    mine = f"/v3/users/{program.row['id']}/OS-OAUTH1/access_tokens"
    assert program.user.get(mine)["access_tokens"] == []
    program.ask()
    with cloud.db.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM identity.request_token")).scalar() == 1


def test_a_signed_request_is_answered_once(cloud, program):
    headers = {**program.sign(REQUEST, callback_uri="oob"), "Requested-Project-Id": program.project["id"]}
    program.post(REQUEST, headers)
    program.post(REQUEST, headers, ok=401)
    attempt = program.attempt(program.access())
    identify(attempt, {})
    with pytest.raises(Unauthorized):
        identify(attempt, {})
    with cloud.db.engine.begin() as connection:
        connection.execute(text("UPDATE identity.oauth_nonce SET expires_at = common.now() - interval '1 s'"))
    program.ask(secret="wrong", ok=401)
    program.ask()
    with cloud.db.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM identity.oauth_nonce")).scalar() == 1


def test_a_log_in_needs_both_secrets(cloud, program):
    access = program.access()
    other = cloud.admin.post(CONSUMERS, {"consumer": {}}, ok=201)["consumer"]
    for more in ({"secret": "wrong"}, {"key": "unknown"}, {"key": other["id"], "secret": other["secret"]}, {"timestamp": "1"}):
        with pytest.raises(Unauthorized):
            identify(program.attempt(access, **more), {})
    for token in ({**access, "oauth_token_secret": "wrong"}, {**access, "oauth_token": "unknown"}, {**access, "oauth_token": "a\x00"}):
        with pytest.raises(Unauthorized):
            identify(program.attempt(token), {})
    for header in ("", "OAuth", "OAuth x=", 'OAuth oauth_token="x"'):
        with pytest.raises(ApiError) as refusal:
            identify(program.attempt(access, {"Authorization": header}), {})
        assert refusal.value.status in (400, 401)


def test_secrets_are_not_stored_as_they_are(cloud, program):
    asked, access = program.ask(), program.access()
    with cloud.db.engine.begin() as connection:
        kept = [
            secret for table in ("consumer_secret", "request_token", "access_token_secret")
            for secret in connection.execute(text(f"SELECT secret FROM identity.{table}")).scalars()
        ]  # fmt: skip
    assert len(kept) == 3
    for secret in (program.consumer["secret"], asked["oauth_token_secret"], access["oauth_token_secret"]):
        assert not [one for one in kept if secret in one]


def test_a_consumer_that_goes_takes_all_with_it(cloud, program):
    asked, access = program.ask(), program.access()
    cloud.admin.delete(f"{CONSUMERS}/{program.consumer['id']}")
    program.yes(asked, ok=404)
    with pytest.raises(Unauthorized):
        identify(program.attempt(access), {})
    assert program.user.get(f"/v3/users/{program.row['id']}/OS-OAUTH1/access_tokens")["access_tokens"] == []


@pytest.mark.parametrize("kind", ["application_credential", "trust", "access_token"])
def test_what_was_delegated_gives_nothing_on(kind):
    with pytest.raises(Forbidden):
        service.must_be_the_user(Actor(user_id="u", delegation=Delegated(kind, "x", restricted=False)))
    with pytest.raises(Forbidden):
        service.must_be_the_user(Actor(user_id="u", methods=("ec2credential",)))


def test_a_token_by_oauth1(cloud, program):
    access = program.access()
    answer = program.log_in(access)
    token = answer.json["token"]
    assert (token["user"]["id"], token["project"]["id"], token["methods"]) == (program.row["id"], program.project["id"], ["oauth1"])
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["OS-OAUTH1"] == {"access_token_id": access["oauth_token"], "consumer_id": program.consumer["id"]}
    bearer = cloud.nobody.as_(answer.headers["X-Subject-Token"])
    mine = f"/v3/users/{program.row['id']}"
    bearer.get(mine + "/OS-OAUTH1/access_tokens", ok=403)
    bearer.delete(f"{mine}/OS-OAUTH1/access_tokens/{access['oauth_token']}", ok=403)
    program.yes(program.ask(), ok=403, who=bearer)
    bearer.post(mine + "/application_credentials", {"application_credential": {"name": "x"}}, ok=403)
    trust = {"trustor_user_id": program.row["id"], "trustee_user_id": program.row["id"], "impersonation": True, "project_id": program.project["id"], "roles": [{"name": "reader"}]}  # fmt: skip
    bearer.post("/v3/OS-TRUST/trusts", {"trust": trust}, ok=403)
    program.log_in({**access, "oauth_token_secret": "wrong"}, ok=401)
    cloud.admin.delete(f"{CONSUMERS}/{program.consumer['id']}")
    bearer.get("/v3/auth/catalog", ok=401)
