"""Shapes of key pairs as they are shown."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import FLAG, NULL, NUMBER, STRING, always
from common.api.shapes import array, wrapped

_BRIEF: dict[str, Any] = {"name": STRING, "public_key": STRING, "fingerprint": STRING}
KEYPAIRS = always({"keypairs": array(wrapped("keypair", always(_BRIEF)))})
# The private half only of a pair that was made here, and only once.
CREATED = wrapped("keypair", always({**_BRIEF, "user_id": STRING}, {"private_key": STRING}))
KEYPAIR = wrapped(
    "keypair",
    always({**_BRIEF, "user_id": STRING, "id": NUMBER, "created_at": STRING, "deleted": FLAG, "deleted_at": NULL, "updated_at": NULL}),
)
