"""How agents sign what they say, in one place for both sides. No state, no engine: the controller may import this module too."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def canonical(value: Any) -> bytes:
    """The one JSON form of a value: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sign(key: Ed25519PrivateKey, host_id: str, agent_epoch: int, seq: int, body: Any) -> str:
    """Ed25519 over the canonical `[host_id, agent_epoch, seq, body]`, in base64.

    The body of a report is the report; of a pull, the digest (text or null); of a registration, `{"name", "public_key"}`
    with epoch 0 and the registration's stamp as seq.
    """
    return base64.b64encode(key.sign(canonical([host_id, agent_epoch, seq, body]))).decode()


def verify(public_key: str, signature: str, host_id: str, agent_epoch: int, seq: int, body: Any) -> bool:
    """Whether `signature` was made by the key whose public half is `public_key` (raw 32 bytes, base64)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical([host_id, agent_epoch, seq, body]))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half as it is registered: raw 32 bytes, base64."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
