"""Shapes of groups."""

from __future__ import annotations

from typing import Any

from common.api.shapes import ID, LONG_TEXT, NAME
from identity.api.shapes.answers import OPTIONAL_STRING, STRING, listed, resource, shown
from identity.api.shapes.query import queried

GROUP_IN = {"name": NAME, "domain_id": ID, "description": LONG_TEXT}
_GROUP: dict[str, Any] = {"name": STRING, "domain_id": STRING, "description": STRING}
_ROW = resource(_GROUP, *_GROUP, extra=True)
_ROW_OF_USER = resource({**_GROUP, "membership_expires_at": OPTIONAL_STRING}, *_GROUP, "membership_expires_at", extra=True)
GROUP, GROUPS, GROUPS_OF_USER = shown("group", _ROW), listed("groups", _ROW), listed("groups", _ROW_OF_USER)
GROUP_QUERY = queried("name", "domain_id")
