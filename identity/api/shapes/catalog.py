"""Shapes of the catalogue's nouns, of what narrows it, and of policies."""

from __future__ import annotations

from common.api.shapes import BOOLEAN, ID, LONG_TEXT, NAME, OPTIONAL_TEXT, TEXT, Shape, obj
from identity.api.bodies import REGION_ID, URL
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, SELF, STRING, resource

INTERFACES = ["public", "internal", "admin"]
INTERFACE: Shape = {"enum": INTERFACES}
# Clients send null where nothing is meant.
OPTIONAL_NAME: Shape = {**NAME, "type": ["string", "null"]}

REGION_IN = {"description": LONG_TEXT, "parent_region_id": REGION_ID}
NEW_REGION_IN = {"id": REGION_ID, **REGION_IN}
REGION = resource({"description": STRING, "parent_region_id": OPTIONAL_STRING}, "description", "parent_region_id", extra=True)

SERVICE_IN = {"type": NAME, "name": OPTIONAL_NAME, "description": LONG_TEXT, "enabled": BOOLEAN}
SERVICE = resource({"type": STRING, "name": STRING, "description": STRING, "enabled": FLAG}, "type", "enabled", extra=True)

ENDPOINT_IN = {
    "interface": INTERFACE, "url": URL, "service_id": ID, "enabled": BOOLEAN, "region": REGION_ID, "region_id": REGION_ID,
    "name": OPTIONAL_TEXT, "description": LONG_TEXT,
}  # fmt: skip
ENDPOINT = resource(
    {
        "interface": INTERFACE, "url": STRING, "service_id": STRING, "enabled": FLAG, "region": OPTIONAL_STRING, "region_id": OPTIONAL_STRING,
        "name": OPTIONAL_STRING, "description": OPTIONAL_STRING,
    },
    "interface", "url", "service_id", "enabled", "region", "region_id", extra=True,
)  # fmt: skip

FILTERS = obj({"interface": INTERFACE, "service_id": ID, "region_id": REGION_ID})
ENDPOINT_GROUP_IN = {"name": NAME, "description": LONG_TEXT, "filters": {**FILTERS, "minProperties": 1}}
ENDPOINT_GROUP_CHANGE = {"name": OPTIONAL_NAME, "description": LONG_TEXT, "filters": {**FILTERS, "type": ["object", "null"]}}
ENDPOINT_GROUP = resource(
    {"name": STRING, "description": OPTIONAL_STRING, "filters": {"type": "object"}}, "name", "description", "filters"
)  # fmt: skip
GROUP_OF_PROJECT = obj(
    {"endpoint_group_id": STRING, "project_id": STRING, "links": SELF}, required=("endpoint_group_id", "project_id", "links")
)
PROJECT = resource(
    {
        "name": STRING, "domain_id": OPTIONAL_STRING, "parent_id": OPTIONAL_STRING, "description": STRING, "enabled": FLAG, "is_domain": FLAG,
        "tags": {"type": "array", "items": STRING}, "options": {"type": "object"},
    },
    "name", "domain_id", "parent_id", "description", "enabled", "is_domain", extra=True,
)  # fmt: skip

POLICY_IN = {"blob": STRING, "type": TEXT}
POLICY = resource({"blob": STRING, "type": STRING}, "blob", "type", extra=True)
