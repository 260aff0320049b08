"""Shapes of users as they are shown."""

from __future__ import annotations

from typing import Any

from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, STRING, listed, resource, shown
from identity.api.shapes.query import WORD, queried

_ALWAYS: dict[str, Any] = {
    "name": STRING, "domain_id": STRING, "enabled": FLAG, "options": {"type": "object"}, "password_expires_at": OPTIONAL_STRING,
}  # fmt: skip
ROW = resource(
    {**_ALWAYS, "default_project_id": OPTIONAL_STRING, "description": OPTIONAL_STRING, "email": OPTIONAL_STRING}, *_ALWAYS, extra=True
)
USER = shown("user", ROW)
USERS = listed("users", ROW)
USERS_QUERY = {**queried("name", "domain_id", flags=("enabled",)), "password_expires_at": WORD}
