"""By another provider's word: an access token in the header Authorization, or a token that came of one (`mapped`, `openid`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Unauthorized
from identity.service import standing
from identity.service.attempt import Attempt, Who
from identity.service.federation import login


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user for `{"identity_provider", "protocol"}`, or for `{"id"}` of a federated token, for another scope. Raises as `login.identify`."""
    if "id" in given:
        return _by_token(attempt, given["id"])
    return login.identify(attempt.db, given["identity_provider"], given["protocol"], attempt.header("Authorization"))


def _by_token(attempt: Attempt, raw: str) -> Who:
    token, _ = standing.validate(attempt.db, raw)
    if token.federation is None or token.delegation is not None:
        raise Unauthorized
    return Who(token.user_id, token.user_epoch, ("mapped",), token, federation=token.federation)
