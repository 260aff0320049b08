"""Signatures of EC2 and S3: what python-keystoneclient and botocore sign holds, and nothing that differs from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from keystoneclient.contrib.ec2.utils import Ec2Signer

from common.errors import BadRequest, Unauthorized
from identity.service.signature import Signed, check_request, check_s3

ACCESS, SECRET = "access", "secret"


def stamp(ago: float = 0, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago)).strftime(form)


def signed(version: str, ago: float = 0, host: str = "cloud.example:8788") -> Signed:
    """A request as keystoneclient signs it for ec2tokens."""
    params = {
        "Action": "DescribeInstances",
        "AWSAccessKeyId": ACCESS,
        "Filter.1": "a b/ü~*",
        "SignatureVersion": version,
        "Timestamp": stamp(ago),
    }
    headers, body_hash = {}, ""
    if version == "4":
        params.pop("SignatureVersion"), params.pop("Timestamp")
        date = stamp(ago, "%Y%m%dT%H%M%SZ")
        headers = {
            "Host": host, "X-Amz-Date": date,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS}/{date[:8]}/region/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=x",
        }  # fmt: skip
        body_hash = hashlib.sha256(b"").hexdigest()
    request = {"verb": "GET", "host": host, "path": "/services/Cloud", "params": dict(params), "headers": headers, "body_hash": body_hash}
    signature = Ec2Signer(SECRET).generate(request)
    lower = {name.lower(): value for name, value in headers.items()}
    return Signed(signature, "GET", host, "/services/Cloud", params, lower, body_hash)


@pytest.mark.parametrize("version", ["1", "2", "4"])
def test_what_keystoneclient_signs_holds(version):
    good = signed(version)
    check_request(good, SECRET)
    changed = [
        replace(good, params={**good.params, "Action": "TerminateInstances"}),
        replace(good, signature="AAAA"),
        replace(good, signature="ü"),
    ]
    if version != "1":
        changed += [replace(good, verb="DELETE"), replace(good, path="/")]
    for other in changed:
        with pytest.raises(Unauthorized):
            check_request(other, SECRET)
    with pytest.raises(Unauthorized):
        check_request(good, "another secret")


@pytest.mark.parametrize("version", ["1", "2", "4"])
@pytest.mark.parametrize(("ago", "holds"), [(14 * 60, True), (16 * 60, False), (-16 * 60, False)])
def test_a_signature_grows_old(version, ago, holds):
    if holds:
        check_request(signed(version, ago), SECRET)
    else:
        with pytest.raises(Unauthorized):
            check_request(signed(version, ago), SECRET)


def test_a_client_may_sign_the_host_without_its_port():
    check_request(replace(signed("2", host="cloud.example"), host="cloud.example:8788"), SECRET)


@pytest.mark.parametrize("how", [SigV4Auth, SigV4QueryAuth])
def test_what_botocore_signs_holds(how):
    request = AWSRequest(
        "POST", "https://cloud.example/services/Cloud/", params={"Action": "RunInstances", "x": "a b"}, headers={"X-Odd": "a  b"}
    )
    how(Credentials(ACCESS, SECRET), "ec2", "region").add_auth(request)
    prepared = request.prepare()
    path, _, query = prepared.url.removeprefix("https://cloud.example").partition("?")
    params = dict(parse_qsl(query))
    headers = {"host": "cloud.example", **{name.lower(): str(value) for name, value in prepared.headers.items()}}
    empty = hashlib.sha256(b"").hexdigest()
    given = Signed(params.pop("X-Amz-Signature", ""), "POST", "cloud.example", path, params, headers, empty)
    if how is SigV4QueryAuth:
        given = replace(given, signature=dict(parse_qsl(query))["X-Amz-Signature"])
    check_request(given, SECRET)
    with pytest.raises(Unauthorized):
        check_request(replace(given, body_hash=hashlib.sha256(b"other").hexdigest()), SECRET)


def test_what_botocore_posts_as_a_form_holds():
    """As botocore asks EC2: a service passes the form's fields on as the parameters, which were none of the query that was signed."""
    request = AWSRequest("POST", "https://cloud.example/services/Cloud/", data={"Action": "RunInstances", "x": "a b"})
    SigV4Auth(Credentials(ACCESS, SECRET), "ec2", "region").add_auth(request)
    prepared = request.prepare()
    headers = {"host": "cloud.example", **{name.lower(): str(value) for name, value in prepared.headers.items()}}
    body = prepared.body if isinstance(prepared.body, bytes) else prepared.body.encode()
    given = Signed(
        "", "POST", "cloud.example", "/services/Cloud/", dict(parse_qsl(body.decode())), headers, hashlib.sha256(body).hexdigest()
    )
    check_request(given, SECRET)
    for other in (replace(given, body_hash=hashlib.sha256(b"other").hexdigest()), replace(given, verb="PUT"), replace(given, path="/")):
        with pytest.raises(Unauthorized):
            check_request(other, SECRET)


@pytest.mark.parametrize("params", [
    {}, {"SignatureVersion": "0", "Action": "a", "Timestamp": "b"}, {"SignatureVersion": "3"}, {"X-Amz-Algorithm": "AWS4-HMAC-SHA256"},
    {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "a/b/c/d/e", "X-Amz-Date": "x"}, {"SignatureVersion": "2", "Timestamp": "?"},
])  # fmt: skip
def test_what_is_no_signature_is_refused(params):
    with pytest.raises(Unauthorized):
        check_request(Signed("x", "GET", "h", "/", params, {}, ""), SECRET)
    with pytest.raises(Unauthorized):
        check_request(Signed("", "GET", "[", "/", params, {}, ""), SECRET)


def test_a_date_that_is_none_is_refused_although_signed():
    bad = {**signed("2").params, "Timestamp": "yesterday"}
    signature = Ec2Signer(SECRET).generate({"verb": "GET", "host": "h", "path": "/", "params": dict(bad)})
    with pytest.raises(Unauthorized, match="time"):
        check_request(Signed(signature, "GET", "h", "/", bad, {}, ""), SECRET)


def test_s3_signs_in_two_ways():
    text = b"GET\n\n\nThu, 01 Jan 1970 00:00:00 +0000\n/bucket/key"
    token = base64.urlsafe_b64encode(text).decode()
    check_s3(base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha1).digest()).decode(), token, SECRET)
    auth = S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", "region")
    request = AWSRequest("GET", "https://s3.example/bucket/key")
    auth.add_auth(request)
    signature = request.headers["Authorization"].rpartition("Signature=")[2]
    del request.headers["Authorization"]
    text = auth.string_to_sign(request, auth.canonical_request(request))
    token = base64.urlsafe_b64encode(text.encode()).decode()
    check_s3(signature, token, SECRET)
    for bad in ("AAAA", ""):
        with pytest.raises(Unauthorized):
            check_s3(bad, token, SECRET)
    with pytest.raises(Unauthorized):
        check_s3(signature, base64.urlsafe_b64encode(b"AWS4-HMAC-SHA256\nx").decode(), SECRET)
    with pytest.raises(BadRequest):
        check_s3(signature, "abcde", SECRET)
