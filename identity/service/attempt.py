"""A log-in on its way: what came, and who a method says it is. For `identity.service.auth` and the methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.db import Database
from identity.service.token import Delegation, Token


def _no_header(_name: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a log-in came with. address: the client's; auth: the body's `auth` object, whose shape holds; url: as the client wrote it."""

    db: Database
    address: str
    auth: Mapping[str, Any]
    header: Callable[[str], str | None] = _no_header
    url: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Who the credentials say it is. `epoch` is the user's when they were checked; `parent` the token that was one of them.

    delegation: the token will stand on it, for its project and its roles. expires_at: the token ends then at the latest.
    federation: (identity provider, protocol) that vouched.
    """

    user_id: str
    epoch: int
    methods: tuple[str, ...]
    parent: Token | None = None
    delegation: Delegation | None = None
    expires_at: datetime | None = None
    federation: tuple[str, str] | None = None


Method = Callable[[Attempt, Mapping[str, Any]], Who]
