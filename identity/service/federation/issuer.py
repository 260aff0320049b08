"""The public keys and the endpoints of an OpenID provider, as its own discovery document names them, kept by this process.

Whoever sends access tokens may make us look for keys, but not often, and not with many threads: an issuer is asked at most once in
`PAUSE` seconds, and of this process's threads only `SLOTS` at a time wait for its keys, and as many for what becomes of a code, so that
neither keeps the other from it. No caller holds a transaction.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import logging
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from common.clock import Deadline, boottime
from common.errors import Forbidden, ServiceUnavailable

LOG = logging.getLogger(__name__)
SECONDS = 5.0
FRESH, PAUSE, STALE = 300.0, 10.0, 3600.0
MOST_BYTES = 1 << 20
SLOTS = 2
DISCOVERY = "/.well-known/openid-configuration"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What an administrator named is asked, and nobody whom that names in turn."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """None: the answer that redirects is the fault."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where people log in and codes become tokens; empty where the provider names none. posted: it knows a client's secret in a form alone."""

    authorization: str = ""
    token: str = ""
    posted: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last answer said. at: seconds of CLOCK_BOOTTIME."""

    at: float = float("-inf")
    keys: tuple[PyJWK, ...] = ()
    endpoints: Endpoints = Endpoints()

    def find(self, kid: str | None, key_type: str) -> PyJWK | None:
        """The key called `kid`; without a name the only one of its type."""
        found = [key for key in self.keys if key.key_type == key_type and kid in (None, key.key_id)]
        return found[0] if len(found) == 1 or (found and kid is not None) else None


class Issuer:
    """One OpenID provider. url: its issuer identifier, https, or http on this machine itself."""

    def __init__(self, url: str) -> None:
        self._url, self._known, self._next, self._lock = url, _Known(), float("-inf"), threading.Lock()
        # Whoever is about to wait for the provider holds one of these.
        self.lookups, self.exchanges = threading.BoundedSemaphore(SLOTS), threading.BoundedSemaphore(SLOTS)

    def key(self, kid: str | None, key_type: str) -> PyJWK | None:
        """The key that a token names; None if the issuer has no such. key_type: RSA, EC or OKP.

        Raises ServiceUnavailable while the issuer's keys are not known at all or are asked for by others, Forbidden for a URL that is not asked.
        """
        found = self._known.find(kid, key_type)
        age = boottime() - self._known.at
        if found is None or age > FRESH:
            self._look(needed=found is None or age > STALE)
            found = self._known.find(kid, key_type)
        self._must_be_known()
        return found

    def endpoints(self) -> Endpoints:
        """Where its log-in is. Raises as `key`."""
        age = boottime() - self._known.at
        if age > FRESH:
            self._look(needed=age > STALE)
        self._must_be_known()
        return self._known.endpoints

    def _must_be_known(self) -> None:
        if boottime() - self._known.at > STALE:
            raise away(f"The keys of the identity provider {self._url} could not be read.", PAUSE)

    def _look(self, *, needed: bool) -> None:
        """Ask the issuer again, if it is time; a key that is there and merely old waits for nobody."""
        if boottime() < self._next:
            return
        if not self.lookups.acquire(blocking=False):
            if needed:
                raise away(f"Too many log-ins wait for the keys of the identity provider {self._url}.", 1)
            return
        try:
            if self._lock.acquire(blocking=needed):
                try:
                    self._ask()
                finally:
                    self._lock.release()
        finally:
            self.lookups.release()

    def _ask(self) -> None:
        if boottime() < self._next:
            return
        try:
            self._known = _Known(boottime(), *fetch(self._url))
        except (OSError, ValueError, RecursionError, HTTPException, PyJWTError) as error:
            LOG.warning("the keys of the identity provider %s could not be read: %s", self._url, error)
        finally:
            self._next = boottime() + PAUSE


def away(message: str, seconds: float) -> ServiceUnavailable:
    """What to raise while a provider does not answer."""
    return ServiceUnavailable(message, headers={"Retry-After": str(int(seconds))})


@functools.lru_cache(maxsize=256)
def issuer_of(url: str) -> Issuer:
    """The process's own view of an issuer; only of those that an administrator has named."""
    return Issuer(url)


def fetch(url: str) -> tuple[tuple[PyJWK, ...], Endpoints]:
    """The signing keys and the endpoints of the issuer `url`, in two requests of together `SECONDS`.

    Raises OSError, ValueError, PyJWTError, Forbidden.
    """
    deadline = Deadline(SECONDS)
    document = _get(url.rstrip("/") + DISCOVERY, deadline)
    if document.get("issuer") != url:
        raise ValueError(f"its discovery document names the issuer {str(document.get('issuer'))[:200]!r}")
    keys = _get(str(document.get("jwks_uri")), deadline).get("keys")
    found = PyJWKSet([key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []).keys
    return tuple(key for key in found if key.public_key_use in ("sig", None)), _endpoints(document)


def _endpoints(document: Mapping[str, Any]) -> Endpoints:
    """Without a word about how a client shows its secret, it is by Basic (OpenID Connect Discovery 1.0, section 3)."""
    named = (document.get("authorization_endpoint"), document.get("token_endpoint"))
    authorization, token = (url if isinstance(url, str) else "" for url in named)
    ways = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Endpoints(authorization, token, posted=isinstance(ways, list) and "client_secret_basic" not in ways)


def post(url: str, form: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
    """What `url` answers to a form within `SECONDS`: its status, and the JSON object. Raises OSError, ValueError, HTTPException, Forbidden."""
    here = must_be_safe(url)
    sent = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}
    asked = urllib.request.Request(url, form.encode(), sent, method="POST")  # noqa: S310 - the scheme was looked at
    deadline = Deadline(SECONDS)
    try:
        with _opener(here=here).open(asked, timeout=SECONDS) as answer:
            return answer.status, _object(_body(answer, deadline))
    except HTTPError as error:
        with error:
            return error.code, _object(_body(error, deadline)) if error.code < 500 else {}


def _opener(*, here: bool) -> urllib.request.OpenerDirector:
    """An environment's proxy is for what is elsewhere."""
    return urllib.request.build_opener(_NoRedirect(), *([urllib.request.ProxyHandler({})] if here else []))


def _object(data: bytes) -> Mapping[str, Any]:
    found = json.loads(data)
    return found if isinstance(found, dict) else {}


def _get(url: str, deadline: Deadline) -> Mapping[str, Any]:
    """The JSON object at `url`."""
    here = must_be_safe(url)
    asked = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the scheme was looked at
    try:
        with _opener(here=here).open(asked, timeout=max(deadline.left(), 0.01)) as answer:
            return _object(_body(answer, deadline))
    except HTTPError as error:
        error.close()
        raise ValueError(f"{url} answers {error.code}") from None


def _body(answer: Any, deadline: Deadline) -> bytes:
    data = bytearray()
    while chunk := answer.read1(65536):
        data += chunk
        if len(data) > MOST_BYTES or deadline.passed:
            raise ValueError("it answers with too much, or too slowly")
    return bytes(data)


def must_be_safe(url: str) -> bool:
    """Raise Forbidden unless the URL is https, or http to this machine itself, which is what it returns."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Forbidden(f"The identity provider's URL {url!r} is none.") from None
    here = _is_loopback(host)
    if host and (parts.scheme == "https" or (parts.scheme == "http" and here)):
        return here
    raise Forbidden(f"The identity provider's URL {url!r} is not asked: it must be https, or http to 127.0.0.0/8 or [::1].")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
