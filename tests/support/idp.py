"""A real OpenID provider on 127.0.0.1: discovery, keys, and tokens by client credentials or by a person's password."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

DISCOVERY, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"


@dataclass
class Provider:
    """What the provider knows; `asked` counts its answers by path. `broken`: paths that answer 500; `gate`: what an answer of keys waits for."""

    url: str
    audience: str = "cloud"
    clients: dict[str, str] = field(default_factory=lambda: {"robot": "robot-secret"})
    people: dict[str, str] = field(default_factory=lambda: {"ann": "ann-pw"})
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)
    gate: threading.Event | None = None

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
                "grant_types_supported": ["client_credentials", "password"],
            }  # fmt: skip
        if path == KEYS:
            if self.gate is not None:
                self.gate.wait(20)
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256"}]}
        return None

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
        self._send(None if self.path in self.provider.broken else self.provider.answer(self.path), 500)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        kind, _, given = (self.headers.get("Authorization") or "").partition(" ")
        name, _, secret = base64.b64decode(given).decode().partition(":") if kind == "Basic" else (form.get("client_id", ""), "", "")
        self._send(self.provider.grant(form, (name, secret)), 401)

    def _send(self, body: Any, otherwise: int) -> None:
        data = json.dumps(body if body is not None else {"error": "no"}).encode()
        location = body.get("redirect") if isinstance(body, dict) else None
        self.send_response(302 if location else 200 if body is not None else otherwise)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Provider]:
    """A provider on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {}))
    server.daemon_threads = True
    provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass.provider = provider  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
