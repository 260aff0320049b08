"""The public keys of an OpenID provider, as its own discovery document names them, kept by this process.

Whoever sends access tokens may make us look for keys, but not often, and not with many threads: an issuer is asked at most once in
`PAUSE` seconds, and of this process's threads only `SLOTS` at a time ask or wait for it. No caller holds a transaction.
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
SLOTS = threading.BoundedSemaphore(2)
DISCOVERY = "/.well-known/openid-configuration"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What an administrator named is asked, and nobody whom that names in turn."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """None: the answer that redirects is the fault."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """What the last answer said. at: seconds of CLOCK_BOOTTIME."""

    at: float = float("-inf")
    all: tuple[PyJWK, ...] = ()

    def find(self, kid: str | None, key_type: str) -> PyJWK | None:
        """The key called `kid`; without a name the only one of its type."""
        found = [key for key in self.all if key.key_type == key_type and kid in (None, key.key_id)]
        return found[0] if len(found) == 1 or (found and kid is not None) else None


class Issuer:
    """One OpenID provider. url: its issuer identifier, https, or http on this machine itself."""

    def __init__(self, url: str) -> None:
        self._url, self._keys, self._next, self._lock = url, _Keys(), float("-inf"), threading.Lock()

    def key(self, kid: str | None, key_type: str) -> PyJWK | None:
        """The key that a token names; None if the issuer has no such. key_type: RSA, EC or OKP.

        Raises ServiceUnavailable while the issuer's keys are not known at all or are asked for by others, Forbidden for a URL that is not asked.
        """
        found = self._keys.find(kid, key_type)
        age = boottime() - self._keys.at
        if found is None or age > FRESH:
            self._look(needed=found is None or age > STALE)
            found = self._keys.find(kid, key_type)
        if boottime() - self._keys.at > STALE:
            raise _away(f"The keys of the identity provider {self._url} could not be read.", PAUSE)
        return found

    def _look(self, *, needed: bool) -> None:
        """Ask the issuer again, if it is time; a key that is there and merely old waits for nobody."""
        if boottime() < self._next:
            return
        if not SLOTS.acquire(blocking=False):
            if needed:
                raise _away("Too many log-ins wait for the keys of identity providers.", 1)
            return
        try:
            if self._lock.acquire(blocking=needed):
                try:
                    self._ask()
                finally:
                    self._lock.release()
        finally:
            SLOTS.release()

    def _ask(self) -> None:
        if boottime() < self._next:
            return
        try:
            self._keys = _Keys(boottime(), fetch_keys(self._url))
        except (OSError, ValueError, RecursionError, HTTPException, PyJWTError) as error:
            LOG.warning("the keys of the identity provider %s could not be read: %s", self._url, error)
        finally:
            self._next = boottime() + PAUSE


def _away(message: str, seconds: float) -> ServiceUnavailable:
    return ServiceUnavailable(message, headers={"Retry-After": str(int(seconds))})


@functools.lru_cache(maxsize=256)
def issuer_of(url: str) -> Issuer:
    """The process's own view of an issuer; only of those that an administrator has named."""
    return Issuer(url)


def fetch_keys(url: str) -> tuple[PyJWK, ...]:
    """The signing keys of the issuer `url`, in two requests of together `SECONDS`. Raises OSError, ValueError, PyJWTError, Forbidden."""
    deadline = Deadline(SECONDS)
    document = _get(url.rstrip("/") + DISCOVERY, deadline)
    if document.get("issuer") != url:
        raise ValueError(f"its discovery document names the issuer {str(document.get('issuer'))[:200]!r}")
    keys = _get(str(document.get("jwks_uri")), deadline).get("keys")
    found = PyJWKSet([key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []).keys
    return tuple(key for key in found if key.public_key_use in ("sig", None))


def _get(url: str, deadline: Deadline) -> Mapping[str, Any]:
    """The JSON object at `url`."""
    here = must_be_safe(url)
    # An environment's proxy is for what is elsewhere.
    opener = urllib.request.build_opener(_NoRedirect(), *([urllib.request.ProxyHandler({})] if here else []))
    asked = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the scheme was looked at
    try:
        with opener.open(asked, timeout=max(deadline.left(), 0.01)) as answer:
            found = json.loads(_body(answer, deadline))
    except HTTPError as error:
        error.close()
        raise ValueError(f"{url} answers {error.code}") from None
    return found if isinstance(found, dict) else {}


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
