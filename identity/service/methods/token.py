"""By a token that one has: for another scope. What was delegated is not traded for anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Forbidden, NotFound, Unauthorized
from identity.service import standing
from identity.service.attempt import Attempt, Who
from identity.service.credential import EC2_METHOD


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The bearer of the token. Raises NotFound, as Keystone does, for one that does not hold; Forbidden for one that stands on a delegation."""
    try:
        token, _ = standing.validate(attempt.db, given["id"])
    except Unauthorized:
        raise NotFound("Could not find token.") from None
    if token.delegation is not None:
        raise Forbidden(f"A token that stands on {token.delegation.kind} {token.delegation.id} cannot be used to get another token.")
    if EC2_METHOD in token.methods:
        raise Forbidden("A token for a signed request cannot be used to get another token.")
    return Who(token.user_id, token.user_epoch, ("token",), token, federation=token.federation)
