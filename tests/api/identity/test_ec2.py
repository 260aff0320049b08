"""EC2 keys, and the tokens that a service gets for requests signed with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from keystoneclient.contrib.ec2.utils import Ec2Signer

from identity.models import ApplicationCredential
from tests.support.identity import by_token


def keys_of(client, user, project, ok=201):
    answer = client.post(f"/v3/users/{user['id']}/credentials/OS-EC2", {"tenant_id": project["id"]}, ok=ok)
    return answer["credential"] if ok == 201 else answer


def signed(access, secret):
    params = {"SignatureVersion": "2", "AWSAccessKeyId": access, "Action": "x"}
    request = {"host": "h", "verb": "GET", "path": "/", "params": params}
    return {**request, "access": access, "signature": Ec2Signer(secret).generate({**request, "params": dict(params)}), "headers": {}}


def s3_signed(access, secret):
    text = b"GET\n\n\ndate\n/bucket"
    made = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    return {"access": access, "signature": made, "token": base64.urlsafe_b64encode(text).decode()}


@pytest.fixture
def service(cloud):
    """A service's own user."""
    return cloud.member("swift", "service")[0]


def test_keys_live_and_die(cloud):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    assert (row["user_id"], row["tenant_id"], row["trust_id"]) == (user["id"], project["id"], None)
    path = f"/v3/users/{user['id']}/credentials/OS-EC2/{row['access']}"
    assert row["links"]["self"].endswith(path)
    assert ann.get(path)["credential"] == row
    other = keys_of(ann, user, project)
    listed = ann.get(f"/v3/users/{user['id']}/credentials/OS-EC2")["credentials"]
    assert {item["access"] for item in listed} == {row["access"], other["access"]}
    shown = ann.get(f"/v3/credentials/{hashlib.sha256(row['access'].encode()).hexdigest()}")["credential"]
    assert json.loads(shown["blob"])["secret"] == row["secret"]
    ann.delete(path)
    ann.get(path, ok=404)
    ann.delete(path, ok=404)


def test_keys_are_ones_own(cloud):
    ann, user, project = cloud.member("ann")
    bob, bob_user, _ = cloud.member("bob")
    row = keys_of(ann, user, project)
    mine = f"/v3/users/{user['id']}/credentials/OS-EC2"
    keys_of(bob, user, project, ok=403)
    bob.get(mine, ok=403)
    bob.get(f"{mine}/{row['access']}", ok=403)
    bob.delete(f"{mine}/{row['access']}", ok=403)
    bob.get(f"/v3/users/{bob_user['id']}/credentials/OS-EC2/{row['access']}", ok=404)
    assert cloud.admin.get(f"{mine}/{row['access']}")["credential"] == row
    assert len(cloud.admin.get(mine)["credentials"]) == 1
    cloud.admin.get(f"/v3/users/{'0' * 32}/credentials/OS-EC2", ok=404)
    keys_of(cloud.admin, user, project)
    keys_of(cloud.admin, user, {"id": "0" * 32}, ok=404)
    keys_of(cloud.admin, {"id": "0" * 32}, project, ok=404)
    for body in ({}, {"tenant_id": None}, {"tenant_id": 5}, {"tenant_id": "a\x00"}, None):
        ann.post(mine, body, ok=400)


def test_a_signed_request_is_worth_a_token_of_its_user(cloud, service):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    for name in ("ec2Credentials", "credentials", "credential"):
        answer = service("POST", "/v3/ec2tokens", {name: signed(row["access"], row["secret"])}, ok=200)
        token = answer.json["token"]
        assert (token["user"]["id"], token["project"]["id"], token["methods"]) == (user["id"], project["id"], ["ec2credential"])
        assert {role["name"] for role in token["roles"]} == {"member", "reader"}
        assert token["catalog"]
    bearer = cloud.nobody.as_(answer.headers["X-Subject-Token"])
    bearer.get(f"/v3/users/{user['id']}")
    # Not in person: it manages no credentials.
    keys_of(bearer, user, project, ok=403)
    bearer.get(f"/v3/users/{user['id']}/credentials/OS-EC2", ok=403)
    bearer.get(f"/v3/users/{user['id']}/application_credentials", ok=403)


def test_its_token_buys_no_other(cloud, service):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    token = service("POST", "/v3/ec2tokens", {"credentials": signed(row["access"], row["secret"])}, ok=200).headers["X-Subject-Token"]
    assert cloud.nobody("POST", "/v3/auth/tokens", by_token(token)).status_code in (401, 403)


def test_s3_is_told_who_but_given_no_token(cloud, service):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    answer = service("POST", "/v3/s3tokens", {"credentials": s3_signed(row["access"], row["secret"])}, ok=200)
    assert answer.json["token"]["user"]["id"] == user["id"]
    assert "X-Subject-Token" not in answer.headers
    for change in ({"signature": "AAAA"}, {"token": base64.urlsafe_b64encode(b"other").decode()}):
        service.post("/v3/s3tokens", {"credentials": {**s3_signed(row["access"], row["secret"]), **change}}, ok=401)
    service.post("/v3/s3tokens", {"credentials": {**s3_signed(row["access"], row["secret"]), "token": "abcde"}}, ok=400)


@pytest.mark.parametrize("path", ["/v3/ec2tokens", "/v3/s3tokens"])
def test_only_services_and_admins_ask(cloud, service, path):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    sign = signed if path == "/v3/ec2tokens" else s3_signed
    body = {"credentials": sign(row["access"], row["secret"])}
    cloud.nobody.post(path, body, ok=401)
    ann.post(path, body, ok=403)
    cloud.admin.post(path, body, ok=200)
    service.post(path, body, ok=200)
    service.post(path, {"credentials": sign(row["access"], "wrong")}, ok=401)
    service.post(path, {"credentials": sign("unknown", "wrong")}, ok=404)


@pytest.mark.parametrize(("body", "status"), [
    ({}, 401), ({"credentials": {}}, 401), ({"credentials": None}, 400), ({"credentials": {"access": 5}}, 400), (None, 400), ([], 400),
    ({"credentials": {"access": "unknown"}}, 404), ({"credentials": {"access": "a", "params": {"x": 5}}}, 400),
    ({"credentials": {"access": "a", "params": []}}, 400), ({"credentials": {"access": "a", "headers": {"x": None}}}, 400),
    ({"credentials": {"access": "a" * 9000}}, 400), ({"credentials": {"access": "a", "signature": None}}, 400),
])  # fmt: skip
@pytest.mark.parametrize("path", ["/v3/ec2tokens", "/v3/s3tokens"])
def test_a_wrong_request_is_refused(cloud, service, path, body, status):
    service.post(path, body, ok=status)


@pytest.mark.parametrize("body", [
    {}, {"params": None, "headers": None}, {"signature": "x"}, {"signature": "x", "host": "[:", "params": {"SignatureVersion": "2"}},
    {"headers": {"Authorization": "AWS4-HMAC-SHA256"}}, {"headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=,SignedHeaders=;,Signature=x"}},
    {"headers": {"Authorization": "AWS4-HMAC-SHA256 Signature=x, Credential=a/b/c/d/e", "X-Amz-Date": "b"}}, {"token": ""}, {"token": "QVdTNA=="},
])  # fmt: skip
def test_a_poor_signature_is_a_401(cloud, service, body):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    for path in ("/v3/ec2tokens", "/v3/s3tokens"):
        service.post(path, {"credentials": {"access": row["access"], **body}}, ok=401)


def test_keys_are_worth_what_their_user_is(cloud, service):
    ann, user, project = cloud.member("ann")
    row = keys_of(ann, user, project)
    body = {"credentials": signed(row["access"], row["secret"])}
    other = keys_of(ann, user, cloud.make("project", name="other"))
    service.post("/v3/ec2tokens", {"credentials": signed(other["access"], other["secret"])}, ok=401)
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"enabled": False}}, ok=200)
    service.post("/v3/ec2tokens", body, ok=401)
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"enabled": True}}, ok=200)
    service.post("/v3/ec2tokens", body, ok=200)
    cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"enabled": False}}, ok=200)
    service.post("/v3/ec2tokens", body, ok=401)


def bound(client, user, project, **bounds):
    blob = json.dumps({"access": "bound", "secret": "s", **bounds})
    client.post(
        "/v3/credentials", {"credential": {"user_id": user["id"], "project_id": project["id"], "type": "ec2", "blob": blob}}, ok=201
    )
    return {"credentials": signed("bound", "s")}


def test_keys_may_be_bound_to_an_application_credential(cloud, service):
    ann, user, project = cloud.member("ann")
    values = {"application_credential": {"name": "ci", "roles": [{"name": "reader"}]}}
    row = ann.post(f"/v3/users/{user['id']}/application_credentials", values, ok=201)["application_credential"]
    body = bound(ann, user, project, app_cred_id=row["id"])
    token = service.post("/v3/ec2tokens", body, ok=200)["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    cloud.db.run(lambda tx: tx.delete(tx.get(ApplicationCredential, row["id"])))
    service.post("/v3/ec2tokens", body, ok=401)


def test_keys_bound_to_another_project_than_their_own_are_worth_nothing(cloud, service):
    ann, user, _ = cloud.member("ann")
    row = ann.post(f"/v3/users/{user['id']}/application_credentials", {"application_credential": {"name": "ci"}}, ok=201)[
        "application_credential"
    ]
    service.post("/v3/ec2tokens", bound(ann, user, cloud.make("project", name="other"), app_cred_id=row["id"]), ok=401)


@pytest.mark.parametrize("name", ["app_cred_id", "trust_id", "access_token_id"])
def test_keys_bound_to_what_is_anothers_or_nothing_are_worth_nothing(cloud, service, name):
    ann, user, _ = cloud.member("ann")
    bob, bob_user, project = cloud.member("bob")
    row = ann.post(f"/v3/users/{user['id']}/application_credentials", {"application_credential": {"name": "ci"}}, ok=201)[
        "application_credential"
    ]
    service.post("/v3/ec2tokens", bound(bob, bob_user, project, **{name: row["id"]}), ok=401)
