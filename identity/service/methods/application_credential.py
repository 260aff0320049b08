"""By an application credential, for its project and its roles. Unknown credential and wrong secret are one answer, after one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Unauthorized
from identity.service.application_credential import KIND, find_login, matches
from identity.service.attempt import Attempt, Who
from identity.service.token import Delegation


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user whose credential it is. Raises Unauthorized, TooManyRequests, BadRequest."""
    login = find_login(attempt.db, given)
    source = (attempt.address, given.get("id") or given.get("name") or "")
    if not matches(source, given["secret"], login.hash if login else None) or login is None:
        raise Unauthorized
    return Who(login.user_id, login.epoch, (KIND,), delegation=Delegation(KIND, login.id))
