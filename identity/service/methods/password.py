"""By password. Unknown user and wrong password are one answer, after one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Unauthorized
from identity.service import directory, password
from identity.service.attempt import Attempt, Who
from identity.service.user import find_login


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user whose password it is. Raises Unauthorized, TooManyRequests, BadRequest."""
    user = given["user"]
    known = directory.log_in(attempt.db, attempt.address, user)
    if known is not None:
        return Who(known.user_id, known.epoch, ("password",))
    login = find_login(attempt.db, user)
    source = (attempt.address, user.get("id") or user.get("name") or "")
    if not password.matches(source, user["password"], login.hash if login else None) or login is None:
        raise Unauthorized
    return Who(login.user_id, login.user_epoch, ("password",))
