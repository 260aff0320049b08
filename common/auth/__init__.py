"""Who asks: the actor behind a token, and the cache in front of the check.

The check itself is identity's (`identity.public.token_checker`); it is handed in at start, so that common knows no service.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.clock import boottime
from common.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Delegated:
    """What a token stands on that a user gave out of hand: an `application_credential`, a `trust`, or an `access_token` of OAuth 1.0a (`kind`).

    restricted: it makes and removes no further credentials or trusts. access_rules: (service type, method, path) of all that it may ask;
    None is no such bound. facts: what else its row says.
    """

    kind: str
    id: str
    restricted: bool = True
    access_rules: tuple[tuple[str, str, str], ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Actor:
    """What a token says of its bearer.

    Exactly one of `project_id`, `domain_id`, `system` is set, or none for an unscoped token. `roles` are names, implied ones included.
    """

    user_id: str
    user_name: str = ""
    user_domain_id: str = "default"
    user_domain_name: str = "Default"
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    project_domain_name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None
    system: bool = False
    roles: frozenset[str] = frozenset()
    role_ids: tuple[tuple[str, str], ...] = ()
    methods: tuple[str, ...] = ()
    audit_ids: tuple[str, ...] = ()
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    delegation: Delegated | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether the actor administers the cloud: OpenStack's `admin` role, on whatever scope."""
        return "admin" in self.roles

    @property
    def project(self) -> str:
        """The id of the project that the token is scoped to.

        Raises Unauthorized when it is scoped to none.
        """
        if self.project_id is None:
            raise Unauthorized("This operation needs a token that is scoped to a project.")
        return self.project_id

    def credentials(self) -> dict[str, Any]:
        """The attributes that a policy rule may name."""
        return {
            "user_id": self.user_id, "project_id": self.project_id, "domain_id": self.domain_id, "roles": sorted(self.roles),
            "system_scope": "all" if self.system else None, "is_admin": self.is_admin,
        }  # fmt: skip


Checker = Callable[[str], Actor]


class Authenticator:
    """Checks tokens and remembers each answer for `seconds` (≤ 0.5: a revocation takes effect everywhere within a second)."""

    def __init__(self, check: Checker, *, seconds: float = 0.5, size: int = 4096) -> None:
        self._check, self._seconds, self._size = check, min(seconds, 0.5), size
        self._known: OrderedDict[bytes, tuple[float, Actor]] = OrderedDict()
        self._lock = threading.Lock()
        self._later = threading.local()

    def __call__(self, token: str) -> Actor:
        """The actor behind `token`.

        Raises Unauthorized when the token is malformed, expired or revoked, or its user, project or last role is gone.
        """
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        before = boottime()
        with self._lock:
            known = self._known.get(key)
        if known and known[0] > before and not _expired(known[1]):
            return known[1]
        actor = self._check(token)
        with self._lock:
            self._known[key] = (before + self._seconds, actor)
            self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return actor

    def forget(self) -> None:
        """Forget every answer (this process itself revoked something)."""
        if hasattr(self._later, "asked"):
            self._later.asked = True
            return
        with self._lock:
            self._known.clear()

    @contextmanager
    def forgetting_later(self) -> Iterator[None]:
        """What this thread asks to forget in the block is forgotten at its end: before a COMMIT, the old answer would be remembered anew."""
        self._later.asked = False
        try:
            yield
        finally:
            asked = self._later.asked
            del self._later.asked
            if asked:
                self.forget()


def _expired(actor: Actor) -> bool:
    return actor.expires_at is not None and actor.expires_at <= datetime.now(actor.expires_at.tzinfo)
