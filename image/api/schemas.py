"""/v2/schemas: the API's own description of images and members."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import ANY_OBJECT, LINKS, STRING, always, mapped
from common.api.operation import operation
from common.api.request import Request
from common.errors import NotFound
from image.api.shapes import IMAGE_SCHEMA, MEMBER_SCHEMA, plural

SCHEMAS = {schema["name"]: schema for schema in (IMAGE_SCHEMA, plural(IMAGE_SCHEMA), MEMBER_SCHEMA, plural(MEMBER_SCHEMA))}
# A draft of JSON Schema, as much of it as the API has need of.
SCHEMA = always({"name": STRING, "properties": mapped(ANY_OBJECT)}, {"additionalProperties": ANY_OBJECT, "links": LINKS})


@operation("GET", "/schemas/{name}", action="image:schema:show", answer=SCHEMA)
def show(request: Request) -> dict[str, Any]:
    """One schema."""
    name = request.path["name"]
    if name not in SCHEMAS:
        raise NotFound(f"No schema is called {name}.")
    return SCHEMAS[name]
