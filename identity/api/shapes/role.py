"""Shapes of roles, of which implies which, and of assignments."""

from __future__ import annotations

from typing import Any

from common.api.shapes import LONG_TEXT, NAME, Shape, array, obj
from identity.api.bodies import IMMUTABLE, OPTIONAL_ID
from identity.api.shapes.answers import OPTIONAL_STRING, PAGES, SELF, STRING, listed, resource, shown
from identity.api.shapes.project import OPTIONS
from identity.api.shapes.query import TRUTH, WORD, queried

ROLE_IN = {"name": NAME, "domain_id": OPTIONAL_ID, "description": LONG_TEXT, "options": IMMUTABLE}
_ROLE: dict[str, Any] = {"name": STRING, "domain_id": OPTIONAL_STRING, "description": OPTIONAL_STRING, "options": OPTIONS}
ROW = resource(_ROLE, *_ROLE, extra=True)
ROLE, ROLES = shown("role", ROW), listed("roles", ROW)
ROLE_QUERY = queried("name", "domain_id")

_NAMED = obj({"id": STRING, "name": STRING, "links": SELF}, required=("id", "name", "links"))


def _inference(implies: Shape) -> Shape:
    return obj({"prior_role": _NAMED, "implies": implies}, required=("prior_role", "implies"))


INFERENCE = obj({"role_inference": _inference(_NAMED), "links": SELF}, required=("role_inference", "links"))
IMPLIED = obj({"role_inference": _inference(array(_NAMED)), "links": SELF}, required=("role_inference", "links"))
INFERENCES = obj({"role_inferences": array(_inference(array(_NAMED))), "links": SELF}, required=("role_inferences", "links"))

_DOMAIN = obj({"id": STRING, "name": STRING}, required=("id",))
_PART = obj({"id": STRING, "name": STRING, "domain": _DOMAIN}, required=("id",))
_SCOPE = obj({"project": _PART, "domain": _PART, "system": obj({"all": {"const": True}}), "OS-INHERIT:inherited_to": {"const": "projects"}})
_LINKS = obj({"assignment": STRING, "membership": STRING, "prior_role": STRING}, required=("assignment",))
_ASSIGNMENT = {
    **obj({"role": _PART, "user": _PART, "group": _PART, "scope": _SCOPE, "links": _LINKS}, required=("role", "scope", "links")),
    "oneOf": [{"required": ["user"]}, {"required": ["group"]}],
}
ASSIGNMENTS = obj({"role_assignments": array(_ASSIGNMENT), "links": PAGES}, required=("role_assignments", "links"))
ASSIGNMENT_QUERY = {
    **dict.fromkeys(
        ("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system", "scope.OS-INHERIT:inherited_to"), WORD
    ),
    **dict.fromkeys(("effective", "include_names", "include_subtree"), TRUTH),
}
