"""By password. Unknown user, wrong password and locked user are one answer, after one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity.service import directory, security
from identity.service.attempt import Attempt, Who
from identity.service.user import verified


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user whose password it is. Raises Unauthorized, TooManyRequests, BadRequest."""
    user = given["user"]
    known = directory.log_in(attempt.db, attempt.address, user)
    if known is not None:
        return Who(known.user_id, known.epoch, ("password",))
    login = verified(attempt.db, attempt.address, user, user["password"])
    if login.enabled and login.expired:
        raise security.expired(login.user_id)
    security.passed(attempt.db, login.user_id, login.options)
    return Who(login.user_id, login.user_epoch, ("password",))
