"""Shapes of domains, projects and their tags."""

from __future__ import annotations

from typing import Any

from common.api.shapes import BOOLEAN, LONG_TEXT, Shape, array, obj, wrapped
from identity.api.bodies import IMMUTABLE, OPTIONAL_ID, SHORT_NAME
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, SELF, STRING, resource
from identity.api.shapes.limit import LIMIT
from identity.api.shapes.query import TRUTH, WORD, queried
from identity.service import tag

# The API working group's guideline on tags: neither a comma nor a slash.
TAG: Shape = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/\u0000]*$"}
TAGS = array(TAG, maxItems=tag.MOST, uniqueItems=True)
_COMMON: dict[str, Any] = {"name": SHORT_NAME, "description": LONG_TEXT, "enabled": BOOLEAN, "options": IMMUTABLE, "tags": TAGS}
# A domain may be given the id that it has in another cloud.
DOMAIN = {**_COMMON, "explicit_domain_id": {"type": "string", "pattern": r"^[0-9a-f]{32}$"}}
PROJECT = {**_COMMON, "domain_id": OPTIONAL_ID, "parent_id": OPTIONAL_ID, "is_domain": BOOLEAN}
SWITCH = wrapped("project", obj({"enabled": BOOLEAN}, required=("enabled",), extra=True))
REPLACED = obj({"tags": TAGS}, required=("tags",), extra=True)

OPTIONS = obj({"immutable": FLAG}, extra=True)
_ROW: dict[str, Any] = {"name": STRING, "description": STRING, "enabled": FLAG, "options": OPTIONS, "tags": array(STRING)}
_PROJECT: dict[str, Any] = {**_ROW, "domain_id": OPTIONAL_STRING, "parent_id": OPTIONAL_STRING, "is_domain": FLAG}
DOMAIN_ROW = resource(_ROW, *_ROW, extra=True)
PROJECT_ROW = resource(_PROJECT, *_PROJECT, extra=True)
_IDS: Shape = {"type": ["object", "null"], "additionalProperties": {"type": ["object", "null"]}}
_RELATIVE = resource({**_PROJECT, "limits": array(LIMIT)}, *_PROJECT, extra=True)
_RELATIVES: Shape = {"anyOf": [array(wrapped("project", _RELATIVE)), _IDS]}
PROJECT_WITH_TREE = resource({**_PROJECT, "parents": _RELATIVES, "subtree": _RELATIVES}, *_PROJECT, extra=True)
SHOWN_TAGS = obj({"tags": array(STRING), "links": SELF}, required=("tags", "links"))

_TAG_FILTERS = dict.fromkeys(tag.FILTERS, WORD)
DOMAINS = {**queried("name", flags=("enabled",)), **_TAG_FILTERS}
PROJECTS = {**queried("name", "domain_id", "parent_id", flags=("enabled", "is_domain")), **_TAG_FILTERS}
TREE = dict.fromkeys(("parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids", "include_limits"), TRUTH)
