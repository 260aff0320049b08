"""Log-in by a browser: from a dashboard to the provider, back with a code, and to the dashboard with a token."""

from __future__ import annotations

import base64
import hashlib
import http.client
import logging
import re
import time
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from common.config import CONF
from identity import manage_federation
from identity.models import DomainSecret, User
from identity.service import crypt
from identity.service.federation import issuer
from tests.support import idp
from tests.support.altered import altered

ROOT = "/v3/OS-FEDERATION"
DASHBOARD = "https://dash.example.org/auth/websso/?a=1&b=\"'<x>"
ANY = "/v3/auth/OS-FEDERATION/websso/openid"
ONE = "/v3/auth/OS-FEDERATION/identity_providers/{}/protocols/openid/websso"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "HTTP_OIDC_PREFERRED_USERNAME"}]}]
NOT_BEGUN = "not begun in this browser"


class Browser:
    """Follows where it is sent, step by step, with a jar of cookies of the cloud."""

    def __init__(self, cloud, **headers):
        self.cloud, self.jar, self.headers = cloud, {}, headers

    def go(self, path, *, method="GET", ok=None):
        sent = {**self.headers, **({"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {})}
        answer = self.cloud.nobody(method, path, ok=ok, headers=sent)
        for name, cookie in answer.cookies.items():
            assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")
            if cookie.max_age:
                self.jar[name] = cookie.value
            else:
                self.jar.pop(name, None)
        return answer

    def begin(self, path=ANY, *, origin=DASHBOARD, method="GET", ok=302, **query):
        """The URL at the provider, or the refusal."""
        answer = self.go(f"{path}?{urlencode({'origin': origin, **query})}", method=method, ok=ok)
        return answer.headers["Location"] if ok == 302 else answer.json["error"]["message"]

    @staticmethod
    def consent(there):
        """The way back that the provider gives, as a path of the cloud."""
        parts = urlsplit(there)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 302
            back = urlsplit(answer.headers["Location"])
        finally:
            connection.close()
        return f"{back.path}?{back.query}"

    def finish(self, back, *, ok=200):
        """The page, or the refusal."""
        answer = self.go(back, ok=ok)
        return answer if ok == 200 else answer.json["error"]["message"]

    def log_in(self, *, ok=200, **more):
        return self.finish(self.consent(self.begin(**more)), ok=ok)


def token_of(page):
    return unescape(re.search('name="token" value="([^"]+)"', page.text)[1])


@pytest.fixture
def world(cloud):
    """(cloud, provider): the provider acme has a public client."""
    issuer.issuer_of.cache_clear()
    CONF.set_override("trusted_dashboard", [DASHBOARD], "identity")
    try:
        with idp.running() as provider:
            cloud.admin.put(f"{ROOT}/mappings/m", {"mapping": {"rules": RULES}}, ok=201)
            add(cloud, "acme", remote_ids=[provider.url])
            yield cloud, provider
    finally:
        CONF.clear_override("trusted_dashboard", "identity")


def add(cloud, name, **values):
    usual = {"enabled": True, "client_id": "web", "remote_ids": [f"https://{name}.example.org"]}
    cloud.admin.put(f"{ROOT}/identity_providers/{name}", {"identity_provider": {**usual, **values}}, ok=201)
    cloud.admin.put(f"{ROOT}/identity_providers/{name}/protocols/openid", {"protocol": {"mapping_id": "m"}}, ok=201)


def change(cloud, **values):
    cloud.admin.patch(f"{ROOT}/identity_providers/acme", {"identity_provider": values}, ok=200)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [ANY, ONE.format("acme")])
def test_a_browser_goes_round_and_its_dashboard_gets_a_token(world, path, method):
    cloud, _ = world
    browser = Browser(cloud)
    page = browser.log_in(path=path, method=method)
    client = cloud.nobody.as_(token_of(page))
    token = client.get("/v3/auth/tokens", headers={"X-Subject-Token": client.token})["token"]
    assert (token["user"]["name"], token["methods"]) == ("ann", ["openid"])
    assert token["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "acme"}
    assert "project" not in token
    assert browser.jar == {}
    again = cloud.nobody.as_(token_of(browser.log_in(path=path)))
    assert again.get("/v3/auth/tokens", headers={"X-Subject-Token": again.token})["token"]["user"]["id"] == token["user"]["id"]


def test_the_page_does_one_thing(world):
    page = Browser(world[0]).log_in()
    assert page.headers["Content-Type"].startswith("text/html")
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert int(page.headers["Content-Length"]) == len(page.content)
    form = re.search('<form method="post" action="([^"]+)">', page.text)[1]
    assert unescape(form) == DASHBOARD
    assert "<x>" not in page.text
    script = base64.b64encode(hashlib.sha256(re.search("<script>(.*)</script>", page.text)[1].encode()).digest()).decode()
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", f"script-src 'sha256-{script}'", "form-action https://dash.example.org"} <= set(policy)


def test_what_the_provider_is_asked(world):
    cloud, provider = world
    there = Browser(cloud).begin()
    query = {name: value for name, (value,) in parse_qs(urlsplit(there).query).items()}
    assert there.startswith(provider.url + idp.AUTHORIZE + "?")
    assert (query["response_type"], query["code_challenge_method"], query["client_id"]) == ("code", "S256", "web")
    assert urlsplit(query["redirect_uri"]).path == ONE.format("acme") + "/callback"
    assert all(len(query[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert urlsplit(Browser(cloud).begin()).query != urlsplit(there).query


def test_over_https_the_cookie_is_bound_to_this_host(world):
    CONF.set_override("enable_proxy_headers_parsing", True, "api")
    try:
        browser = Browser(
            world[0], **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.org", "X-Forwarded-Prefix": "/identity"}
        )
        there = browser.begin()
        assert "https%3A%2F%2Fcloud.example.org%2Fidentity%2Fv3%2Fauth" in there
        answer = browser.go(f"{ANY}?{urlencode({'origin': DASHBOARD})}")
        assert answer.cookies["__Host-websso"].secure
        assert (answer.cookies["__Host-websso"].max_age, answer.cookies["__Host-websso"].domain) == (600, None)
        back = browser.consent(answer.headers["Location"]).removeprefix("/identity")
        browser.finish(back)
    finally:
        CONF.clear_override("enable_proxy_headers_parsing", "api")


@pytest.mark.parametrize(("ways", "shown"), [(None, "Basic"), (["client_secret_basic"], "Basic"), (["client_secret_post"], "post")])
def test_a_client_with_a_secret(world, ways, shown, capsys):
    cloud, provider = world
    provider.web["web"], provider.ways = "s:e&c r%t+", ways
    browser = Browser(cloud)
    assert "invalid_client" in browser.log_in(ok=401)
    assert manage_federation.set_secret(cloud.db, "acme", "wrong") == 0
    assert "invalid_client" in browser.log_in(ok=401)
    assert manage_federation.set_secret(cloud.db, "acme", "s:e&c r%t+") == 0
    browser.log_in()
    assert provider.shown[-1] == shown
    stored = cloud.db.run(lambda tx: tx.scalars(select(DomainSecret)).one())
    assert (stored.group, stored.option) == ("openid", "client_secret:acme")
    assert "s:e" not in stored.value
    assert "s:e" not in str(cloud.admin.get(f"{ROOT}/identity_providers/acme"))
    assert manage_federation.set_secret(cloud.db, "none", "x") == 1
    assert manage_federation.set_secret(cloud.db, "acme", "a\x00b") == 1
    assert "Could not find Identity Provider: none." in capsys.readouterr().err


def test_a_secret_outlives_a_domain_s_options_and_not_its_provider(world):
    cloud, _ = world
    domain = cloud.admin.get(f"{ROOT}/identity_providers/acme")["identity_provider"]["domain_id"]
    assert manage_federation.set_secret(cloud.db, "acme", "s") == 0
    cloud.admin.put(f"/v3/domains/{domain}/config", {"config": {"identity": {"driver": "sql"}}}, ok=201)
    cloud.admin.delete(f"/v3/domains/{domain}/config")
    count = lambda: len(cloud.db.run(lambda tx: tx.scalars(select(DomainSecret.option)).all()))  # noqa: E731
    assert count() == 1
    assert manage_federation.set_secret(cloud.db, "acme", "") == 0
    assert count() == 0
    assert manage_federation.set_secret(cloud.db, "acme", "s") == 0
    cloud.admin.delete(f"{ROOT}/identity_providers/acme")
    assert count() == 0


@pytest.mark.parametrize("origin", ["https://evil.example.org/", "https://dash.example.org/", DASHBOARD + "x", "javascript:alert(1)"])
def test_an_untrusted_dashboard_gets_nothing(world, origin):
    browser = Browser(world[0])
    assert browser.begin(origin=origin, ok=401).startswith(f"{origin} is not a trusted dashboard host")
    assert browser.jar == {}


def test_a_dashboard_must_be_named_and_may_lose_its_trust(world):
    browser = Browser(world[0])
    assert "origin" in browser.begin(origin="", ok=400)
    browser.go(ANY, ok=400)
    back = browser.consent(browser.begin())
    CONF.set_override("trusted_dashboard", [], "identity")
    assert "is not a trusted dashboard host" in browser.finish(back, ok=401)


def test_another_state_is_refused(world):
    cloud, provider = world
    browser = Browser(cloud)
    back = browser.consent(browser.begin())
    for wrong in (re.sub("state=[^&]+", "state=x", back), re.sub("state=[^&]+", "state=%C3%A9", back), re.sub("&?state=[^&]+", "", back)):
        assert NOT_BEGUN in browser.finish(wrong, ok=401)
    assert provider.shown == []
    browser.finish(back)


def test_somebody_else_s_way_back_is_refused(world):
    """Nobody is logged in as another by a link; nor by a cookie without its code."""
    cloud, provider = world
    mine, other = Browser(cloud), Browser(cloud)
    back, theirs = mine.consent(mine.begin()), other.consent(other.begin())
    assert NOT_BEGUN in Browser(cloud).finish(theirs, ok=401)
    assert NOT_BEGUN in mine.finish(theirs, ok=401)
    for ticket in ("x", "é", crypt.encrypt("[]"), crypt.seal("other", {"state": "s"}), altered(mine.jar["websso"], -20)):
        forger = Browser(cloud)
        forger.jar["websso"] = ticket
        assert NOT_BEGUN in forger.finish(back, ok=401)
    assert provider.shown == []
    # The code of one log-in with the state of another fails at the verifier.
    swapped = re.sub("code=[^&]+", re.search("code=[^&]+", theirs)[0], back)
    assert "invalid_grant" in mine.finish(swapped, ok=401)


def test_a_way_back_is_of_one_provider(world):
    cloud, provider = world
    add(cloud, "other")
    browser = Browser(cloud)
    back = browser.consent(browser.begin(ONE.format("acme")))
    assert NOT_BEGUN in browser.finish(back.replace("/acme/", "/other/"), ok=401)
    foreign = re.sub("iss=[^&]+", "iss=https%3A%2F%2Fother.example.org", back)
    assert "another identity provider" in browser.finish(foreign, ok=401)
    assert provider.shown == []


def test_a_way_back_is_gone_once(world):
    cloud, _ = world
    browser = Browser(cloud)
    back = browser.consent(browser.begin())
    kept = dict(browser.jar)
    browser.finish(back)
    assert NOT_BEGUN in browser.finish(back, ok=401)
    browser.jar = kept
    assert "invalid_grant" in browser.finish(back, ok=401)


@pytest.mark.parametrize(("age", "status"), [(590, 200), (610, 401)])
def test_a_log_in_has_ten_minutes(world, age, status):
    browser = Browser(world[0])
    back = browser.consent(browser.begin())
    keys = Fernet(crypt.read_keys()[0])
    inside = keys.decrypt(browser.jar["websso"].encode())
    browser.jar["websso"] = keys.encrypt_at_time(inside, int(time.time()) - age).decode()
    found = browser.finish(back, ok=status)
    assert status == 200 or NOT_BEGUN in found


@pytest.mark.parametrize(("claims", "why"), [
    ({"nonce": "other"}, "nonce"), ({"nonce": None}, "nonce"), ({"nonce": 1}, "nonce"), ({"aud": "cloud"}, "audience"), ({"aud": None}, "wrong"),
    ({"exp": 1}, "expired"), ({"iss": "https://other.example.org"}, "issuer"), ({"azp": "other"}, "another client"),
    ({"aud": ["web", "b"]}, "another client"), ({"key": "own"}, "signature"), ({"algorithm": "HS256", "key": "x" * 32}, "algorithm"),
    ({"fat": "x" * 20000}, "longer"),
])  # fmt: skip
def test_an_id_token_must_be_for_this_log_in(world, claims, why):
    cloud, provider = world
    if claims.get("key") == "own":
        claims = {"key": idp.rsa.generate_private_key(65537, 2048)}
    provider.id_claims = claims
    browser = Browser(cloud)
    assert why in browser.log_in(ok=401)
    names = cloud.db.run(lambda tx: tx.scalars(select(User.name)).all())
    assert "ann" not in names


def test_several_audiences_name_whom_the_token_is_for(world):
    world[1].id_claims = {"aud": ["web", "other"], "azp": "web"}
    Browser(world[0]).log_in()


@pytest.mark.parametrize(("error", "shown"), [("access_denied", "access_denied"), ("<script>", "unknown error")])
def test_the_provider_says_no(world, error, shown):
    cloud, provider = world
    provider.refusal = error
    message = Browser(cloud).log_in(ok=401)
    assert shown in message
    assert "<" not in message
    assert provider.shown == []


def test_a_disabled_provider_lets_nobody_in(world):
    cloud, _ = world
    browser = Browser(cloud)
    back = browser.consent(browser.begin())
    change(cloud, enabled=False)
    assert "disabled" in browser.finish(back, ok=403)
    assert "disabled" in browser.begin(ONE.format("acme"), ok=403)
    assert "disabled" in browser.begin(idp="acme", ok=403)
    assert "enabled identity provider" in browser.begin(ok=404)


def test_which_provider_is_meant(world):
    cloud, provider = world
    browser = Browser(cloud)
    browser.begin()
    add(cloud, "off", enabled=False)
    browser.begin()
    add(cloud, "other")
    message = browser.begin(ok=400)
    assert "idp" in message
    assert "remote_id" in message
    assert browser.begin(idp="acme").startswith(provider.url)
    assert browser.begin(remote_id=provider.url).startswith(provider.url)
    browser.begin(remote_id="https://nobody.example.org", ok=404)
    browser.begin(idp="none", ok=404)
    browser.begin(ONE.format("none"), ok=404)
    browser.begin("/v3/auth/OS-FEDERATION/websso/saml2", ok=404)
    assert "remote_id" in browser.begin(idp="acme", remote_id="https://other.example.org", ok=400)
    change(cloud, remote_ids=[provider.url, "https://acme.example.org"])
    assert "several remote ids" in browser.begin(idp="acme", ok=400)
    assert browser.log_in(remote_id=provider.url)
    change(cloud, remote_ids=[])
    assert "remote_ids" in browser.begin(idp="acme", ok=403)


def test_a_provider_needs_a_client(world):
    cloud, _ = world
    assert cloud.admin.get(f"{ROOT}/identity_providers/acme")["identity_provider"]["client_id"] == "web"
    for bad in ("*", "", "a b", 3, ["web"], "é"):
        body = {"identity_provider": {"client_id": bad}}
        assert "client_id" in cloud.admin("PATCH", f"{ROOT}/identity_providers/acme", body, ok=400).text
    change(cloud, client_id=None)
    assert "client_id" in Browser(cloud).begin(ok=403)


@pytest.mark.parametrize("named", [None, 3, "http://login.example.org/authorize", "javascript:alert(1)", "ftp://127.0.0.1/"])
def test_a_browser_is_sent_to_no_odd_place(world, named):
    cloud, provider = world
    provider.answers[idp.DISCOVERY] = {**provider.answer(idp.DISCOVERY), "authorization_endpoint": named}
    Browser(cloud).begin(ok=403)


def test_while_the_provider_is_away(world):
    cloud, provider = world
    browser = Browser(cloud)
    back = browser.consent(browser.begin())
    provider.broken.add(idp.TOKEN)
    answer = browser.go(back, ok=503)
    assert answer.headers["Retry-After"] == "1"
    provider.broken.clear()
    of_codes, of_keys = issuer.issuer_of(provider.url).exchanges, issuer.issuer_of(provider.url).lookups
    for _ in range(issuer.SLOTS):
        assert of_codes.acquire(blocking=False)
        assert of_keys.acquire(blocking=False)
    assert "wait" in browser.go(back, ok=503).text
    of_codes.release(issuer.SLOTS)
    browser.finish(back)
    provider.broken.add(idp.DISCOVERY)
    issuer.issuer_of.cache_clear()
    browser.begin(ok=503)


def test_no_transaction_is_open_while_the_provider_is_asked(world, monkeypatch):
    cloud, _ = world
    ask, seen = issuer.post, []

    def asked(*given):
        seen.append(cloud.db.engine.pool.checkedout())
        return ask(*given)

    monkeypatch.setattr(issuer, "post", asked)
    before = cloud.db.engine.pool.checkedout()
    Browser(cloud).log_in()
    assert seen == [before]


def test_no_log_tells_a_secret(world, caplog):
    cloud, provider = world
    provider.web["web"] = "s3cret"
    manage_federation.set_secret(cloud.db, "acme", "wr0ng")
    caplog.set_level(logging.DEBUG)
    browser = Browser(cloud)
    back = browser.consent(browser.begin())
    code, ticket = re.search("code=([^&]+)", back)[1], browser.jar["websso"]
    browser.finish(back, ok=401)
    provider.web["web"] = "wr0ng"
    token = token_of(browser.log_in())
    assert "invalid_client" in caplog.text
    assert not [secret for secret in (code, ticket, token, "s3cret", "wr0ng") if secret in caplog.text]


@pytest.mark.parametrize("query", ["origin=%00", "origin=" + "x" * 3000, "origin=a&origin=b", "origin=%ff", "remote_id=" + "x" * 300])
def test_bad_input_is_refused(world, query):
    assert world[0].nobody("GET", f"{ANY}?{query}").status_code in (400, 401)
    callback = ONE.format("acme") + "/callback"
    for bad in ("", "code=x", "state=" + "x" * 300, "code=" + "x" * 9000, "error=%00"):
        assert world[0].nobody("GET", f"{callback}?{bad}").status_code in (400, 401)


def test_the_ticket_is_small(world):
    browser = Browser(world[0])
    browser.begin()
    assert len(browser.jar["websso"]) < 2000
