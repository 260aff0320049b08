"""Shapes of users as they are shown."""

from __future__ import annotations

from typing import Any

from common.api.shapes import NAME, TEXT, array, obj
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, STRING, listed, resource, shown
from identity.api.shapes.query import WORD, queried

_PROTOCOLS = array(obj({"protocol_id": NAME, "unique_id": NAME}, required=("protocol_id", "unique_id")), maxItems=64)
# Whom providers call this user.
FEDERATED = array(obj({"idp_id": NAME, "protocols": _PROTOCOLS}, required=("idp_id", "protocols")), maxItems=64)
_ALWAYS: dict[str, Any] = {
    "name": STRING, "domain_id": STRING, "enabled": FLAG, "options": {"type": "object"}, "password_expires_at": OPTIONAL_STRING,
}  # fmt: skip
ROW = resource(
    {**_ALWAYS, "default_project_id": OPTIONAL_STRING, "description": OPTIONAL_STRING, "email": OPTIONAL_STRING, "federated": FEDERATED},
    *_ALWAYS,
    extra=True,
)
USER = shown("user", ROW)
USERS = listed("users", ROW)
USERS_QUERY = {
    **queried("name", "domain_id", flags=("enabled",)),
    "password_expires_at": WORD,
    "idp_id": TEXT,
    "protocol_id": TEXT,
    "unique_id": TEXT,
}
