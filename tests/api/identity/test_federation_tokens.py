"""Access tokens of a real OpenID provider: which hold, whose keys are asked for, and how often."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from common.errors import Forbidden, ServiceUnavailable, Unauthorized
from identity.service.federation import bearer, issuer
from identity.service.federation.claims import assertion
from tests.support import idp


@pytest.fixture
def provider():
    issuer.issuer_of.cache_clear()
    with idp.running() as running:
        yield running


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(issuer, "PAUSE", 0.0)


def verify(provider, raw, *, issuers=None, audiences=("cloud",)):
    return bearer.verify(raw, issuers or [provider.url], audiences)


def test_a_token_gives_its_claims(provider):
    claims = verify(provider, provider.token("ann", groups=["a", "b"]))
    assert (claims["sub"], claims["groups"]) == ("ann", ["a", "b"])


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer x", "Basic a.b.c", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.c\n", "Bearer " + "a" * 20000 + ".b.c"],
)
def test_only_a_jwt_is_a_bearer_token(header):
    with pytest.raises(Unauthorized):
        bearer.token_of(header)


def test_a_bearer_token_is_read():
    assert bearer.token_of("bearer a.b.c") == "a.b.c"


@pytest.mark.parametrize("claims", [
    {"exp": 1}, {"exp": None}, {"nbf": time.time() + 3600}, {"iat": time.time() + 3600}, {"aud": "other"}, {"aud": None}, {"aud": []},
    {"iss": "http://127.0.0.1:1"}, {"iss": None}, {"iss": 5}, {"exp": "x"}, {"aud": {"cloud": 1}},
])  # fmt: skip
def test_a_claim_that_does_not_hold_is_refused(provider, claims):
    raw = jwt.api_jws.encode(json.dumps({
        name: value for name, value in {"iss": provider.url, "sub": "ann", "aud": "cloud", "exp": time.time() + 60, **claims}.items() if value is not None
    }).encode(), provider.key, "RS256", {"kid": "one"})  # fmt: skip
    with pytest.raises(Unauthorized):
        verify(provider, raw)


def test_audiences_must_be_said_and_may_be_all(provider):
    raw = provider.token("ann", aud=["x", "other"])
    with pytest.raises(Forbidden, match="audiences"):
        verify(provider, raw, audiences=())
    assert verify(provider, raw, audiences=["other"])["sub"] == "ann"
    for claims in ({"aud": "whoever"}, {"aud": None}):
        assert verify(provider, provider.token("ann", **claims), audiences=["*"])["sub"] == "ann"


def test_the_issuer_must_be_one_that_was_named(provider):
    with pytest.raises(Forbidden, match="remote_ids"):
        bearer.verify(provider.token("ann"), [], ["cloud"])
    with pytest.raises(Unauthorized):
        verify(provider, provider.token("ann"), issuers=[provider.url + "/"])
    assert not provider.asked


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_no_shared_secret_and_no_signature_at_all(provider):
    head, body, _ = provider.token("ann").split(".")
    forged = jwt.api_jws.PyJWS().encode(b"{}", None, "none").split(".")[0]
    payload = jwt.decode(provider.token("ann"), options={"verify_signature": False})
    secret = "x" * 64
    symmetric = jwt.encode(payload, secret, "HS256", {"kid": "one"})
    for raw in (f"{forged}.{body}.", f"{forged}.{body}.x", f"{head}.{body}.x", symmetric, "a.b.c", "e30.e30.e30"):
        with pytest.raises(Unauthorized):
            verify(provider, raw)
    # Not even if the provider publishes one.
    provider.answers[idp.KEYS] = {"keys": [{"kty": "oct", "kid": "one", "alg": "HS256", "k": "eHh4"}]}
    with pytest.raises((Unauthorized, ServiceUnavailable)):
        verify(provider, symmetric)


def test_another_key_by_the_same_name_does_not_do(provider):
    with pytest.raises(Unauthorized):
        verify(provider, provider.token("ann", key=rsa.generate_private_key(65537, 2048)))


@pytest.mark.parametrize(("algorithm", "key", "reader"), [
    ("ES256", ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm), ("EdDSA", ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm),
    ("PS256", rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm),
])  # fmt: skip
def test_other_asymmetric_keys_do(provider, algorithm, key, reader):
    made = reader.to_jwk(key.public_key(), as_dict=True)
    provider.answers[idp.KEYS] = {"keys": [{**made, "kid": "k"}, {"kty": "EC", "kid": "broken"}, 5]}
    raw = provider.token("ann", key=key, kid="k", algorithm=algorithm)
    assert verify(provider, raw)["sub"] == "ann"


def test_keys_are_asked_for_once(provider):
    for _ in range(5):
        verify(provider, provider.token("ann"))
    assert provider.asked == {idp.DISCOVERY: 1, idp.KEYS: 1}


def test_a_new_key_is_found(provider, no_pause):
    verify(provider, provider.token("ann"))
    old = provider.token("ann")
    provider.rotate("two")
    assert verify(provider, provider.token("ann"))["sub"] == "ann"
    with pytest.raises(Unauthorized):
        verify(provider, old)


def test_a_flood_of_unknown_keys_asks_the_provider_once(provider):
    verify(provider, provider.token("ann"))
    for index in range(50):
        with pytest.raises(Unauthorized):
            verify(provider, provider.token("ann", kid=f"k{index}"))
    assert provider.asked[idp.KEYS] == 1


def test_a_provider_that_hangs_holds_two_threads(provider, monkeypatch):
    """The others are told to come again, at once."""
    monkeypatch.setattr(issuer, "SECONDS", 60.0)
    provider.gate = threading.Event()
    raws = [provider.token("ann", kid=f"k{index}") for index in range(12)]

    def ask(raw):
        try:
            verify(provider, raw)
        except (ServiceUnavailable, Unauthorized) as error:
            return type(error)

    with ThreadPoolExecutor(len(raws)) as threads:
        asked = [threads.submit(ask, raw) for raw in raws]
        until(lambda: sum(one.done() for one in asked) >= len(raws) - 2)
        assert sum(one.done() for one in asked) == len(raws) - 2
        provider.gate.set()
    assert [one.result() for one in asked].count(ServiceUnavailable) == len(raws) - 2
    assert provider.asked[idp.KEYS] == 1
    assert verify(provider, provider.token("ann"))["sub"] == "ann"


def until(condition):
    for _ in range(5000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_a_provider_that_is_away_is_503_and_then_back(provider, monkeypatch):
    provider.broken = {idp.KEYS}
    for _ in range(3):
        with pytest.raises(ServiceUnavailable) as refused:
            verify(provider, provider.token("ann"))
        assert refused.value.headers["Retry-After"]
    assert provider.asked[idp.KEYS] == 1
    provider.broken = set()
    monkeypatch.setattr(issuer, "PAUSE", 0.0)
    issuer.issuer_of(provider.url)._next = 0
    assert verify(provider, provider.token("ann"))["sub"] == "ann"


def test_keys_outlive_a_short_absence_and_no_long_one(provider, no_pause, monkeypatch):
    raw = provider.token("ann")
    verify(provider, raw)
    provider.broken = {idp.KEYS}
    monkeypatch.setattr(issuer, "FRESH", 0.0)
    assert verify(provider, raw)["sub"] == "ann"
    assert provider.asked[idp.KEYS] == 2
    monkeypatch.setattr(issuer, "STALE", 0.0)
    with pytest.raises(ServiceUnavailable):
        verify(provider, raw)


@pytest.mark.parametrize("document", [
    [], {}, {"issuer": "https://other", "jwks_uri": "URL/keys"}, {"issuer": "URL"}, {"issuer": "URL", "jwks_uri": 5}, {"issuer": "URL", "jwks_uri": "file:///etc/passwd"},
    {"issuer": "URL", "jwks_uri": "http://10.0.0.1/keys"}, {"issuer": "URL", "jwks_uri": "URL/none"}, {"redirect": "http://127.0.0.1:1/"}, {"issuer": "URL", "jwks_uri": "http://["},
])  # fmt: skip
def test_a_strange_provider_is_not_believed(provider, document):
    provider.answers[idp.DISCOVERY] = json.loads(json.dumps(document).replace("URL", provider.url))
    with pytest.raises((ServiceUnavailable, Forbidden)):
        verify(provider, provider.token("ann"))


@pytest.mark.parametrize(
    "keys",
    [[], {}, {"keys": 5}, {"keys": []}, {"keys": ["x", None, {}]}, {"keys": [{"kty": "RSA"}]}, {"pad": "x" * (issuer.MOST_BYTES + 1)}],
)
def test_a_strange_key_set_is_not_believed(provider, keys):
    provider.answers[idp.KEYS] = keys
    with pytest.raises(ServiceUnavailable):
        verify(provider, provider.token("ann"))


@pytest.mark.parametrize("url", [
    "http://example.org", "http://localhost", "ftp://127.0.0.1", "file:///etc/passwd", "https://", "urn:x", "", "http://[", "http://169.254.169.254/",
    "http://127.0.0.1.example.org/",
])  # fmt: skip
def test_only_safe_urls_are_asked(url):
    with pytest.raises(Forbidden):
        issuer.must_be_safe(url)


def test_https_and_this_machine_itself_are_safe():
    assert not issuer.must_be_safe("https://example.org/x")
    assert issuer.must_be_safe("http://127.0.0.1:8080/x")
    assert issuer.must_be_safe("http://[::1]/x")


def test_claims_have_the_names_of_mod_auth_openidc():
    said = assertion(
        {
            "iss": "https://i",
            "groups": ["a;b", "c", None, 5, {"x": "é"}],
            "email_verified": True,
            "n": 1.5,
            "none": None,
            "at-hash": "x;y",
            "sub": "s",
        }
    )
    assert said["groups"] == said["OIDC-groups"] == said["OIDC_CLAIM_groups"] == said["HTTP_OIDC_GROUPS"] == ["a;b", "c", "5", '{"x": "é"}']
    assert said["HTTP_OIDC_ISS"] == ["https://i"]
    assert said["HTTP_OIDC_AT_HASH"] == ["x", "y"]
    assert (said["email_verified"], said["n"], said["REMOTE_USER"]) == (["1"], ["1.5"], ["s"])
    assert "none" not in said


def test_no_claim_passes_for_another():
    said = assertion(
        {
            "REMOTE_USER": "admin",
            "HTTP_OIDC_GROUPS": ["admins"],
            "OIDC-groups": ["admins"],
            "OIDC_CLAIM_groups": "admins",
            "ISS": "x",
            "iss": "y",
        }
    )
    assert not [name for name in ("REMOTE_USER", "HTTP_OIDC_GROUPS", "OIDC-groups", "OIDC_CLAIM_groups") if name in said]
    assert said["HTTP_OIDC_ISS"] == ["y"]


@pytest.mark.parametrize("claims", [{"a": "\x00"}, {"a": ["\ud800"]}, {"\x00": "a"}, {"a": ["x"] * 3000}])
def test_what_no_text_can_hold_is_refused(claims):
    with pytest.raises(Unauthorized):
        assertion(claims)
