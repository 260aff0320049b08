"""OAuth 2.0 client credentials, with the errors of RFC 6749 and not of Keystone."""

from __future__ import annotations

import base64

import pytest

PATH = "/v3/OS-OAUTH2/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def ask(cloud, form="grant_type=client_credentials", headers=None, ok=None):
    return cloud.nobody("POST", PATH, raw=form.encode() if isinstance(form, str) else form, headers={**FORM, **(headers or {})}, ok=ok)


@pytest.fixture
def client(cloud):
    """(id, secret) of an application credential, and its user."""
    ann, user, _ = cloud.member("ann")
    row = ann.post(f"/v3/users/{user['id']}/application_credentials", {"application_credential": {"name": "ci"}}, ok=201)[
        "application_credential"
    ]
    return row["id"], row["secret"], user


def test_a_program_gets_a_bearer_token(cloud, client):
    name, secret, user = client
    answer = ask(cloud, headers=basic(name, secret), ok=200)
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.json["token_type"], set(answer.json)) == ("Bearer", {"access_token", "token_type", "expires_in"})
    assert 3590 <= answer.json["expires_in"] <= 3600
    cloud.nobody.as_(answer.json["access_token"]).get(f"/v3/users/{user['id']}")


def test_the_client_may_stand_in_the_form(cloud, client):
    name, secret, _ = client
    ask(cloud, f"grant_type=client_credentials&client_id={name}&client_secret={secret}", ok=200)


@pytest.mark.parametrize(("form", "status", "error"), [
    ("", 400, "invalid_request"), ("a=b", 400, "invalid_request"), ("grant_type=", 400, "invalid_request"), (b"\xff\xfe", 400, "invalid_request"),
    ("grant_type=%ff", 400, "invalid_request"), ("grant_type=a&grant_type=b", 400, "invalid_request"), ("grant_type=a%00", 400, "invalid_request"),
    ("grant_type=password", 400, "unsupported_grant_type"), ("&" * 100 + "a=b&" * 40, 400, "invalid_request"), ("x" * 50000, 400, "invalid_request"),
    ("grant_type=client_credentials", 401, "invalid_client"), ("grant_type=client_credentials&client_id=a", 401, "invalid_client"),
    ("grant_type=client_credentials&client_id=a&client_secret=b", 401, "invalid_client"),
    (f"grant_type=client_credentials&client_id=a&client_secret={'x' * 5000}", 400, "invalid_request"), ('{"grant_type": "x"}', 400, "invalid_request"),
])  # fmt: skip
def test_a_wrong_request_is_refused_in_its_own_words(cloud, form, status, error):
    answer = ask(cloud, form, ok=status)
    assert answer.json["error"] == error
    assert set(answer.json) == {"error", "error_description"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("header", ["Basic", "Basic ?", "Basic " + base64.b64encode(b"a").decode(), "Basic " + base64.b64encode(b"\xff:a").decode(), "Bearer x", "Basic " + base64.b64encode(b":").decode()])  # fmt: skip
def test_a_wrong_header_is_a_401(cloud, header):
    answer = ask(cloud, headers={"Authorization": header}, ok=401)
    assert answer.json["error"] == "invalid_client"
    assert answer.headers["WWW-Authenticate"]


def test_a_wrong_secret_and_an_unknown_client_are_one(cloud, client):
    answers = [ask(cloud, headers=basic(name, "wrong"), ok=401).json for name in (client[0], "0" * 32)]
    assert answers[0] == answers[1]


def test_it_takes_no_get(cloud):
    cloud.nobody("GET", PATH, ok=405)
