"""The rules for passwords and for those who try them, as the options say: form, reuse, age, expiry, lockout, inactivity.

What a refusal costs is the same for an unknown user, a wrong password and a locked user: one hash, one statement.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError

from common.config import CONF
from common.db import Database, Tx, clock
from common.errors import BadRequest, Unauthorized
from identity.models import LoginFailure, Password, User

LOG = logging.getLogger(__name__)
Options = Mapping[str, Any]
# Whether `f`, a row of login_failure, locks its user now.
LOCKS = """f.count >= CAST(:attempts AS integer)
AND (CAST(:seconds AS integer) IS NULL OR f.last_at + make_interval(secs => CAST(:seconds AS integer)) > common.now())"""
# The count begins anew when a lock has run out, and stands still while one holds: who is locked out is not kept out by others' tries.
FAILED = text(f"""
INSERT INTO identity.login_failure AS f (user_id, count, last_at)
SELECT u.id, 1, common.now() FROM identity."user" u WHERE u.id = :user_id
ON CONFLICT (user_id) DO UPDATE
SET count = CASE WHEN f.count >= CAST(:attempts AS integer) THEN 1 ELSE f.count + 1 END, last_at = common.now()
WHERE NOT ({LOCKS})
""")
ANY = text("SELECT true AS found FROM identity.login_failure f WHERE f.user_id = :user_id")
HELD = text(f"SELECT {LOCKS} AS locked FROM identity.login_failure f WHERE f.user_id = :user_id FOR UPDATE")
# Nobody waits for the disk: what a crash may lose is half a second of counting, and who is unknown writes nothing to wait for.
SOON = text("SET LOCAL synchronous_commit = off")
LOCKED_PASSWORD = (
    "You cannot change your password at this time due to password policy disallowing password changes. "
    "Please contact your administrator to reset your password."
)


def lockout() -> dict[str, int | None]:
    """What `LOCKS` is asked with; `attempts` None: nobody is ever locked."""
    return {"attempts": CONF.identity.lockout_failure_attempts, "seconds": CONF.identity.lockout_duration}


def counts(options: Options) -> bool:
    """Whether the failures of a user with these options are counted."""
    return CONF.identity.lockout_failure_attempts is not None and not options.get("ignore_lockout_failure_attempts")


def failed(db: Database, user_id: str | None) -> None:
    """A wrong password or passcode was given for the user, or for nobody (None). One statement; nothing where no one is ever locked."""
    values = {**lockout(), "user_id": user_id}
    if values["attempts"] is None:
        return

    def count(tx: Tx) -> None:
        tx.execute(SOON)
        tx.execute(FAILED, values)

    with contextlib.suppress(IntegrityError):  # the user is being deleted
        db.run(count)


def passed(db: Database, user_id: str, options: Options) -> None:
    """The right one was given: failures are forgotten, unless they lock the user by now, whoever was right meanwhile. Raises Unauthorized.

    One round trip where there is none.
    """
    if not counts(options) or db.first(ANY, {"user_id": user_id}) is None:
        return

    def forget(tx: Tx) -> bool:
        locked = tx.scalar(HELD, {**lockout(), "user_id": user_id})
        if locked is False:
            unlock(tx, user_id)
        return bool(locked)

    if db.run(forget):
        raise Unauthorized


def unlock(tx: Tx, user_id: str) -> None:
    """Forget the failures of a user."""
    tx.execute(delete(LoginFailure).where(LoginFailure.user_id == user_id))


def days_away() -> int | None:
    """After how many days without a log-in a user is disabled; None: never."""
    days: int | None = CONF.identity.disable_user_account_days_inactive
    return days


def enabled(row: User, days: int | None) -> bool:
    """Whether a user is enabled, and not `days` away (see `days_away`). A directory's user is as enabled as the directory says."""
    if not row.enabled or days is None or row.external_id is not None or row.options.get("ignore_user_inactivity"):
        return row.enabled
    since = row.last_active_on or row.created_at.astimezone(UTC).date()
    return (datetime.now(UTC).date() - since).days < days


def seen(db: Database, user_id: str) -> None:
    """The user logs in, by whatever method. Raises Unauthorized for one who was away too long. Writes once a day."""
    days = days_away()
    if days is None:
        return

    def note(tx: Tx) -> bool:
        row = tx.get(User, user_id)
        if row is None or not enabled(row, days):
            return False
        today = datetime.now(UTC).date()
        if row.last_active_on != today:
            row.last_active_on = today
        return True

    if not db.run(note):
        raise Unauthorized


def revive(tx: Tx, user: User) -> None:
    """An administrator enabled the user: failures and absence are forgotten."""
    unlock(tx, user.id)
    if days_away() is not None:
        user.last_active_on = datetime.now(UTC).date()


def must_fit(password: str) -> None:
    """Raise BadRequest, with the description of the rule, for a password that does not match `password_regex`."""
    pattern = CONF.identity.password_regex
    if pattern is None:
        return
    try:
        fits = re.match(pattern, password) is not None
    except re.error:
        LOG.error("[identity] password_regex is no regular expression: %s", pattern)
        raise BadRequest("Password validation error: the cloud's password_regex is invalid; its operator must mend it.") from None
    if not fits:
        raise BadRequest(f"The password does not match the requirements: {CONF.identity.password_regex_description or pattern}.")


def is_expired(options: Options, *, over: bool) -> bool:
    """Whether a password whose time is `over` must be changed."""
    return over and not options.get("ignore_password_expiry")


def expired(user_id: str) -> Unauthorized:
    """In Keystone's words."""
    return Unauthorized(f"The password is expired and needs to be changed for user: {user_id}.")


def put_password(tx: Tx, user: User, hash: str, *, own: bool) -> None:
    """`hash` holds from now on; what is older than the rules ask for goes. own: the user's own change, not an administrator's."""
    tx.add(Password(user_id=user.id, hash=hash, self_service=own))
    tx.flush()
    keep = max(1, CONF.identity.unique_last_password_count)
    newest = select(Password.id).where(Password.user_id == user.id).order_by(Password.id.desc()).limit(keep)
    tx.execute(delete(Password).where(Password.user_id == user.id, Password.id.not_in(newest)))
    user.password_expires_at = _end(tx, user.options, own=own)


def _end(tx: Tx, options: Options, *, own: bool) -> datetime | None:
    """When a password that is set now must be changed."""
    days = CONF.identity.password_expires_days
    if not own and CONF.identity.change_password_upon_first_use and not options.get("ignore_change_password_upon_first_use"):
        return _now(tx)
    if days is None or options.get("ignore_password_expiry"):
        return None
    return (_now(tx) + timedelta(days=days)).replace(microsecond=0)


def _now(tx: Tx) -> datetime:
    return tx.scalars(select(clock())).one()


def must_be_old_enough(tx: Tx, user_id: str) -> None:
    """Raise BadRequest while the user's own password is too young to be changed by its user."""
    days = CONF.identity.minimum_password_age
    if not days:
        return
    row = tx.execute(
        select(Password.self_service, Password.created_at, clock().label("now")).where(Password.user_id == user_id)
        .order_by(Password.id.desc()).limit(1)
    ).first()  # fmt: skip
    left = row.created_at + timedelta(days=days) - row.now if row is not None and row.self_service else timedelta(0)
    if left > timedelta(0):
        raise BadRequest(
            "You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used "
            f"for {days} day(s) before it can be changed. Please try again in {math.ceil(left / timedelta(days=1))} day(s) or contact your "
            "administrator to reset your password."
        )


def history(tx: Tx, user_id: str) -> list[str]:
    """The hashes that a new password of the user's own choice must not be behind, the newest first."""
    newest = select(Password.hash).where(Password.user_id == user_id).order_by(Password.id.desc())
    return list(tx.scalars(newest.limit(CONF.identity.unique_last_password_count)))


def repeated() -> BadRequest:
    """In Keystone's words."""
    return BadRequest(
        "The new password cannot be identical to a previous password. The total number which includes the new password must be unique is "
        f"{CONF.identity.unique_last_password_count}."
    )
