"""Shapes of registered limits and limits. They keep no attribute that they do not know."""

from __future__ import annotations

from common.api.shapes import ID, LONG_TEXT, NAME, TEXT, Shape, array, obj, wrapped
from identity.api.bodies import REGION_ID
from identity.api.shapes.answers import OPTIONAL_STRING, STRING, resource
from identity.api.shapes.query import queried

COUNT: Shape = {"type": "integer", "minimum": -1, "maximum": 2**31 - 1}
OPTIONAL_ID: Shape = {**ID, "type": ["string", "null"]}
_KEY = {"service_id": ID, "region_id": REGION_ID, "resource_name": NAME}

REGISTERED_IN = {**_KEY, "default_limit": COUNT, "description": LONG_TEXT}
REGISTERED = resource(
    {
        "service_id": STRING, "region_id": OPTIONAL_STRING, "resource_name": STRING, "default_limit": {"type": "integer"},
        "description": OPTIONAL_STRING,
    },
    "service_id", "region_id", "resource_name", "default_limit", "description",
)  # fmt: skip
NEW_REGISTERED: Shape = wrapped(
    "registered_limits", array(obj(REGISTERED_IN, required=("service_id", "resource_name", "default_limit")), minItems=1)
)
REGISTERED_QUERY = {"service_id": TEXT, "region_id": TEXT, **queried("resource_name")}

LIMIT_IN = {"resource_limit": COUNT, "description": LONG_TEXT}
LIMIT = resource(
    {
        "project_id": OPTIONAL_STRING, "domain_id": OPTIONAL_STRING, "service_id": STRING, "region_id": OPTIONAL_STRING, "resource_name": STRING,
        "resource_limit": {"type": "integer"}, "description": OPTIONAL_STRING,
    },
    "project_id", "domain_id", "service_id", "region_id", "resource_name", "resource_limit", "description",
)  # fmt: skip
_NEW_LIMIT = obj(
    {**_KEY, **LIMIT_IN, "project_id": OPTIONAL_ID, "domain_id": OPTIONAL_ID}, required=("service_id", "resource_name", "resource_limit")
)
NEW_LIMITS: Shape = wrapped("limits", array(_NEW_LIMIT, minItems=1))
LIMIT_QUERY = {**REGISTERED_QUERY, "project_id": TEXT, "domain_id": TEXT}
MODEL = obj({"name": STRING, "description": STRING}, required=("name", "description"))
