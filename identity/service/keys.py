"""The keys that sign tokens: one signs (primary), one is known beforehand (staged), the retired ones only check.

Every process keeps the key objects; a kid that it does not know makes it look in the table once.
"""

from __future__ import annotations

import functools
import secrets
import threading
from datetime import timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, func, select, update

from common.clock import boottime
from common.db import Database, Tx, clock, lock_name
from common.errors import ServiceUnavailable
from identity.models import PrivateKeyPem, SigningKey

PublicKey = ec.EllipticCurvePublicKey
PrivateKey = ec.EllipticCurvePrivateKey
# How long an expired token can still be asked about (`allow_expired`), and so its key is kept.
EXPIRED_WINDOW = timedelta(days=2)
SIGNER_SECONDS = 5.0


def rotate(tx: Tx, token_ttl: timedelta) -> str:
    """Make the staged key primary and stage a new one; the first call makes both. Gives the kid that signs from now on.

    A retired key goes once no token that it signed can be asked about any more. Crash-safe: one transaction, one at a time.
    """
    lock_name(tx, "identity.signing_key")
    gone = SigningKey.retired_at < clock() - func.make_interval(0, 0, 0, 0, 0, 0, (token_ttl + EXPIRED_WINDOW).total_seconds())
    tx.execute(delete(SigningKey).where(SigningKey.state == "secondary", gone))
    tx.execute(update(SigningKey).where(SigningKey.state == "primary").values(state="secondary", retired_at=clock()))
    kid = tx.scalar(update(SigningKey).where(SigningKey.state == "staged").values(state="primary").returning(SigningKey.kid))
    if kid is None:
        kid = _add(tx, "primary")
    _add(tx, "staged")
    return kid


def _add(tx: Tx, state: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    kid = secrets.token_hex(8)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    tx.add(SigningKey(kid=kid, public_pem=public.decode(), state=state))
    tx.flush()
    tx.add(PrivateKeyPem(kid=kid, private_pem=private.decode()))
    tx.flush()
    return kid


class KeyRing:
    """The keys as this process knows them. Whether a key still counts is asked of SQL at each check of a token."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._public: dict[str, PublicKey] = {}
        self._signer: tuple[str, PrivateKey] | None = None
        self._signer_until = 0.0
        self._lock = threading.Lock()

    def public(self, kid: str) -> PublicKey | None:
        """The key called `kid`, or None. One that this process has not met is looked for in SQL."""
        found = self._public.get(kid)
        if found is None:
            pem = self._db.run(lambda tx: tx.scalar(select(SigningKey.public_pem).where(SigningKey.kid == kid)))
            if pem is not None:
                found = self._public[kid] = _load_public(pem)
        return found

    def signer(self) -> tuple[str, PrivateKey]:
        """The kid and key that sign now. Raises ServiceUnavailable before `wolke-manage identity bootstrap`."""
        with self._lock:
            if self._signer is None or boottime() >= self._signer_until:
                self._signer = self._read_signer()
                self._signer_until = boottime() + SIGNER_SECONDS
            return self._signer

    def _read_signer(self) -> tuple[str, PrivateKey]:
        statement = select(SigningKey.kid, PrivateKeyPem.private_pem).join(PrivateKeyPem, PrivateKeyPem.kid == SigningKey.kid)
        row = self._db.run(lambda tx: tx.execute(statement.where(SigningKey.state == "primary")).first())
        if row is None:
            raise ServiceUnavailable("There is no key to sign tokens with. Run: wolke-manage identity bootstrap")
        if self._signer is not None and self._signer[0] == row.kid:
            return self._signer
        return row.kid, _load_private(row.private_pem)


@functools.lru_cache(maxsize=4)
def ring_of(db: Database) -> KeyRing:
    """The keys as this process knows them."""
    return KeyRing(db)


def _load_public(pem: str) -> PublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, PublicKey):
        raise TypeError("the key is not one for ES256")
    return key


def _load_private(pem: str) -> PrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, PrivateKey):
        raise TypeError("the key is not one for ES256")
    return key
