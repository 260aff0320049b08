"""Key pairs of users: a public ssh key given, or a pair made here whose private half is answered once and kept nowhere."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_ssh_public_key
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx, lock_name
from common.errors import BadRequest, Conflict, NotFound, OverQuota
from compute.models import Keypair
from compute.service import quota

BITS = 2048


def get(tx: Tx, user_id: str, name: str) -> Keypair:
    """The user's key pair of this name. Raises NotFound."""
    found = tx.execute(select(Keypair).where(Keypair.user_id == user_id, Keypair.name == name)).scalar()
    if found is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    return found


def of_user(tx: Tx, user_id: str) -> list[Keypair]:
    """All key pairs of the user, by name."""
    return list(tx.execute(select(Keypair).where(Keypair.user_id == user_id).order_by(Keypair.name)).scalars())


def create(
    tx: Tx, user_id: str, name: str, public_key: str | None, allowed: int = quota.DEFAULTS["key_pairs"]
) -> tuple[Keypair, str | None]:
    """Keep a public key, or make a pair; the row and the private half of one that was made.

    Raises BadRequest (not an ssh key), Conflict (name taken), OverQuota.
    """
    private = None
    if public_key is None:
        public_key, private = generate()
    print_ = fingerprint(public_key)
    lock_name(tx, f"keypairs:{user_id}")
    if tx.execute(select(func.count()).where(Keypair.user_id == user_id)).scalar_one() >= allowed >= 0:
        raise OverQuota("Quota exceeded, too many key pairs.")
    row = insert(Keypair).values(user_id=user_id, name=name, public_key=public_key, fingerprint=print_)
    made = tx.execute(row.on_conflict_do_nothing().returning(Keypair)).scalar()
    if made is None:
        raise Conflict(f"Key pair '{name}' already exists.")
    return made, private


def remove(tx: Tx, user_id: str, name: str) -> None:
    """Remove a key pair; servers keep the key that they were made with. Raises NotFound."""
    gone = delete(Keypair).where(Keypair.user_id == user_id, Keypair.name == name)
    if tx.execute(gone.returning(Keypair.id)).scalar() is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")


def generate() -> tuple[str, str]:
    """A new RSA pair: the public half as an authorized_keys line, the private one as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return f"{public} Generated-by-Wolke", private


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint that Nova shows, of an authorized_keys line. Raises BadRequest when it is none."""
    parts = public_key.split(None, 2)
    try:
        load_ssh_public_key(public_key.strip().encode())
        blob = base64.b64decode(parts[1], validate=True)
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error):
        raise BadRequest("Keypair data is invalid: failed to generate fingerprint") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))
