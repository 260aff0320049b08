"""By a passcode that a device shows (RFC 6238), out of a credential of type `totp`. Each passcode lets in once."""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import or_, select, update

from common.db import Database, Tx, clock
from common.errors import ServiceUnavailable
from identity.models import Credential
from identity.service import crypt, security
from identity.service.attempt import Attempt, Who
from identity.service.user import find_login, let_in

KIND = "totp"
DIGITS, STEP, BEFORE = 6, 30, 1
# Of a user's devices, the newest that are compared.
MOST = 16


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user whose device shows the passcode now, or did so a moment ago. Raises Unauthorized, BadRequest."""
    login = find_login(attempt.db, given["user"])
    right = _matches(attempt.db, login.user_id if login is not None else None, given["user"]["passcode"])
    login = let_in(attempt.db, login, right=right)
    security.passed(attempt.db, login.user_id, login.options)
    return Who(login.user_id, login.user_epoch, (KIND,))


def _matches(db: Database, user_id: str | None, passcode: str) -> bool:
    """Whether the passcode is one of the user's devices', and was not used. Nobody's is compared with that of a device which nobody has."""
    devices = select(Credential.id, Credential.blob, clock().label("now")).where(Credential.user_id == user_id, Credential.type == KIND)
    rows = db.run(lambda tx: tx.execute(devices.order_by(Credential.created_at.desc()).limit(MOST)).all())
    found = [(row.id, step) for row in rows for step in _steps(row.blob, passcode, int(row.now.timestamp()))]
    if not rows:
        _compare_with_nobodys(passcode)
    return any(db.run(functools.partial(_use, credential_id=credential_id, step=step)) for credential_id, step in found)


def _compare_with_nobodys(passcode: str) -> None:
    """What a comparison costs. Encrypted again where the keys are others by now, so that it is as readable as everybody's."""
    try:
        _steps(_nobodys(), passcode, BEFORE * STEP)
    except ServiceUnavailable:
        _nobodys.cache_clear()
        _steps(_nobodys(), passcode, BEFORE * STEP)


@functools.cache
def _nobodys() -> str:
    return crypt.encrypt(base64.b32encode(bytes(20)).decode())


def _use(tx: Tx, credential_id: str, step: int) -> bool:
    """Whether nobody has used this passcode, or a later one; who asks has now."""
    unused = or_(Credential.used_step.is_(None), Credential.used_step < step)
    used = update(Credential).where(Credential.id == credential_id, unused).values(used_step=step).returning(Credential.id)
    return tx.scalar(used) is not None


def _steps(blob: str, passcode: str, now: int) -> list[int]:
    """The steps of time around now whose passcode this is. Each is compared, to its end."""
    try:
        secret = crypt.decrypt(blob).strip().replace(" ", "")
        device = TOTP(base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True), DIGITS, SHA1(), STEP)  # noqa: S303  # the RFC's
    except (binascii.Error, ValueError):  # what is no secret, or too short for one, shows nothing
        return []
    given = passcode.encode("utf-8", "surrogatepass")
    steps = [now // STEP - back for back in range(BEFORE + 1) if now // STEP >= back]
    return [step for step in steps if hmac.compare_digest(device.generate(step * STEP), given)]
