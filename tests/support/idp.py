"""A real OpenID provider on 127.0.0.1: discovery, keys, and tokens by client credentials, by a person's password, or by a browser's code."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from pyroute2 import netns

DISCOVERY, KEYS, TOKEN, AUTHORIZE = "/.well-known/openid-configuration", "/keys", "/token", "/authorize"


@dataclass
class Provider:
    """What the provider knows; `asked` counts its answers by path. `broken`: paths that answer 500; `gate`: what an answer of keys waits for.

    A browser is logged in as `person` at once, unless `refusal` is the error that it gets; `web`: clients that browsers come for, with their
    secret (None: public); `id_claims`: what ID tokens say otherwise; `ways`: how a client may show its secret (None: not said).
    """

    url: str
    audience: str = "cloud"
    clients: dict[str, str] = field(default_factory=lambda: {"robot": "robot-secret"})
    people: dict[str, str] = field(default_factory=lambda: {"ann": "ann-pw"})
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)
    gate: threading.Event | None = None
    person: str = "ann"
    refusal: str | None = None
    web: dict[str, str | None] = field(default_factory=lambda: {"web": None})
    id_claims: dict[str, Any] = field(default_factory=dict)
    ways: list[str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotate("one")

    def rotate(self, kid: str) -> None:
        """Sign by a new key from now on, and show no other."""
        self.kid, self.key = kid, rsa.generate_private_key(65537, 2048)

    def token(self, subject: str, *, kid: str | None = None, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """An access token for `subject`; a claim that is None is left out."""
        now = int(time.time())
        whole = {
            "iss": self.url, "sub": subject, "aud": self.audience, "iat": now, "exp": now + 300, "preferred_username": subject,
            **self.claims.get(subject, {}), **claims,
        }  # fmt: skip
        payload = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(payload, self.key if key is None else key, algorithm, headers={"kid": self.kid if kid is None else kid})

    def answer(self, path: str) -> dict[str, Any] | None:
        """What GET of `path` answers."""
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return {
                "issuer": self.url, "jwks_uri": self.url + KEYS, "token_endpoint": self.url + TOKEN,
                "authorization_endpoint": self.url + AUTHORIZE,
                "grant_types_supported": ["client_credentials", "password", "authorization_code"],
                **({"token_endpoint_auth_methods_supported": self.ways} if self.ways is not None else {}),
            }  # fmt: skip
        if path == KEYS:
            if self.gate is not None:
                self.gate.wait(60)
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256"}]}
        return None

    def authorize(self, query: dict[str, str]) -> dict[str, Any] | None:
        """Where a browser is sent; None for a request that no client of ours would make."""
        needed = {"redirect_uri", "state", "nonce", "code_challenge"}
        if query.get("client_id") not in self.web or not needed <= set(query) or "openid" not in query.get("scope", "").split():
            return None
        if (query.get("response_type"), query.get("code_challenge_method")) != ("code", "S256"):
            return None
        code = secrets.token_urlsafe()
        self.codes[code] = query
        said = {"error": self.refusal} if self.refusal else {"code": code}
        return {"redirect": f"{query['redirect_uri']}?{urlencode({**said, 'state': query['state'], 'iss': self.url})}"}

    def redeem(self, form: dict[str, str], client: tuple[str, str], way: str) -> dict[str, Any]:
        """What a code is worth, once, to whom it was given."""
        self.shown.append(way)
        query = self.codes.pop(form.get("code", ""), {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        asked = {"client_id": client[0], "redirect_uri": form.get("redirect_uri"), "code_challenge": challenge}
        if (self.web.get(client[0]) or "") != client[1]:
            return {"status": 401, "error": "invalid_client"}
        if not asked.items() <= query.items():
            return {"status": 400, "error": "invalid_grant"}
        claims = {"aud": client[0], "nonce": query["nonce"], **self.id_claims}
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(self.person, **claims)}

    def grant(self, form: dict[str, str], client: tuple[str, str]) -> dict[str, Any] | None:
        """What the token endpoint answers; None for wrong credentials."""
        if self.clients.get(client[0]) != client[1]:
            return None
        subject = client[0]
        if form.get("grant_type") == "password":
            subject = form.get("username", "")
            if self.people.get(subject) != form.get("password"):
                return None
        return {"access_token": self.token(subject), "token_type": "Bearer", "expires_in": 300}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        self.provider.asked[self.path] += 1
        if self.path.startswith(AUTHORIZE + "?"):
            self._send(self.provider.authorize(dict(parse_qsl(urlsplit(self.path).query))), 400)
            return
        self._send(None if self.path in self.provider.broken else self.provider.answer(self.path), 500)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        kind, _, given = (self.headers.get("Authorization") or "").partition(" ")
        name, _, secret = base64.b64decode(given).decode().partition(":") if kind == "Basic" else (form.get("client_id", ""), "", "")
        if self.path in self.provider.broken:
            self._send(None, 500)
            return
        if form.get("grant_type") == "authorization_code":
            client = (unquote_plus(name), unquote_plus(secret) if kind == "Basic" else form.get("client_secret", ""))
            answer = self.provider.redeem(form, client, kind or ("post" if "client_secret" in form else "none"))
            self._send(answer, 500)
            return
        self._send(self.provider.grant(form, (name, secret)), 401)

    def _send(self, body: Any, otherwise: int) -> None:
        data = json.dumps(body if body is not None else {"error": "no"}).encode()
        location = body.get("redirect") if isinstance(body, dict) else None
        status = body.get("status", 200) if isinstance(body, dict) else 200
        self.send_response(302 if location else status if body is not None else otherwise)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextmanager
def running(namespace: str | None = None) -> Iterator[Provider]:
    """A provider on a port of its own; `namespace`: another network namespace whose 127.0.0.1 has it as well."""
    handler = type("Handler", (_Handler,), {})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler)]
    port = servers[0].server_address[1]
    provider = handler.provider = Provider(f"http://127.0.0.1:{port}")  # type: ignore[attr-defined]
    if namespace is not None:
        servers.append(_inside(namespace, lambda: ThreadingHTTPServer(("127.0.0.1", port), handler)))
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.daemon_threads = True
        thread.start()
    try:
        yield provider
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)


def _inside(namespace: str, make: Callable[[], ThreadingHTTPServer]) -> ThreadingHTTPServer:
    """What `make` gives in a network namespace: a thread goes there and ends, its socket stays."""

    def work() -> ThreadingHTTPServer:
        netns.setns(namespace)
        return make()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
