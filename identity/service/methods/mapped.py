"""By another provider's word: an access token in the header Authorization, or a token that came of one (`mapped`, `openid`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import BadRequest, Unauthorized
from identity.service import standing
from identity.service.attempt import Attempt, Who
from identity.service.federation import login


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user for `{"identity_provider", "protocol"}`, or for `{"id"}` of a federated token, for another scope. Raises as `login.identify`."""
    if "id" in given:
        return _by_token(attempt, given["id"])
    provider_id, protocol_id = (_text(given, name) for name in ("identity_provider", "protocol"))
    return login.identify(attempt.db, provider_id, protocol_id, attempt.header("Authorization"))


def _by_token(attempt: Attempt, raw: Any) -> Who:
    token, _ = standing.validate(attempt.db, raw if isinstance(raw, str) else "")
    if token.federation is None or token.delegation is not None:
        raise Unauthorized
    return Who(token.user_id, token.user_epoch, ("mapped",), token, federation=token.federation)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or "\x00" in value:
        raise BadRequest(f"Invalid input for field/attribute identity.mapped.{name}: a federated log-in needs it.")
    return value
