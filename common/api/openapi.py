"""The API document of a service, OpenAPI 3.1, made of its operations alone. Source: https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from common.api.idempotency import HEADER
from common.api.microversions import text
from common.api.operation import JSON, Operation
from common.api.portable import Schemas
from common.api.service import Service
from common.api.shapes import Shape
from common.errors import BadRequest

Json = dict[str, Any]
_PART = re.compile(r"{(\w+)}")
_NO_BODY = (204, 205, 304)
_ERROR = {"$ref": "#/components/responses/Error"}


def rendered(service: Service) -> bytes:
    """The document as it is served."""
    return json.dumps(document(service), separators=(",", ":"), ensure_ascii=False).encode()


def document(service: Service) -> Json:
    """The document as an object."""
    schemas = Schemas(_resources(service))
    together: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for item in service.operations:
        together[item.path, item.method.lower()].append(item)
    names = Counter(items[0].handler.__name__ for items in together.values())
    paths: dict[str, Json] = defaultdict(dict)
    for (path, method), items in together.items():
        name = items[0].handler.__name__
        identity = name if names[name] == 1 else re.sub(r"\W+", "_", f"{method}{path}").strip("_")
        paths[path][method] = _operation(service, schemas, items, identity)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Wolke {service.name} API", "version": _version(service)},
        "servers": [_server(prefix) for prefix in service.prefixes if prefix] or [{"url": "/"}],
        "security": [{"token": []}],
        "tags": _tags(service),
        "paths": dict(paths),
        "components": _components(service, schemas),
    }


def _resources(service: Service) -> dict[str, Shape]:
    """What answers show under a name of its own, one or a list; of several shapes with one name the first has it, a GET's before others."""
    asked = sorted(service.operations, key=lambda item: item.method != "GET")
    shown = [(key, shape) for item in asked for key, shape in (item.answer or {}).get("properties", {}).items()]
    listed = [(key.removesuffix("s"), shape["items"]) for key, shape in shown if shape.get("type") == "array"]
    found: dict[str, Shape] = {}
    for key, shape in shown + listed:
        name = "".join(word[:1].upper() + word[1:] for word in re.split(r"\W|_", key))
        if "id" in shape.get("properties", ()) and shape not in found.values():
            found.setdefault(name, shape)
    return found


def _version(service: Service) -> str:
    return text(service.microversions.maximum) if service.microversions else service.document.split("/")[1]


def _server(prefix: str) -> Json:
    variables = {part: {"default": part, "description": "The project that the token is scoped to."} for part in _PART.findall(prefix)}
    return {"url": prefix, "variables": variables} if variables else {"url": prefix}


def _tag(item: Operation) -> str:
    return item.handler.__module__.rpartition(".")[2]


def _tags(service: Service) -> list[Json]:
    modules = {_tag(item): item.handler.__module__ for item in service.operations}
    return [{"name": tag, "description": _first(sys.modules[module].__doc__)} for tag, module in modules.items() if module in sys.modules]


def _told(item: Operation) -> str:
    return item.summary or _first(item.handler.__doc__)


def _first(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


def _components(service: Service, schemas: Schemas) -> Json:
    status = HTTPStatus.BAD_REQUEST
    example, media = service.dialect.error(status, BadRequest("Invalid input for field/attribute name. Value: 7. …"))
    parameters: Json = {
        "IdempotencyKey": {
            "name": HEADER, "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "The same request under the same key happens once in 24 hours, and is answered as the first time.",
        }
    }  # fmt: skip
    if service.microversions:
        parameters["Microversion"] = {
            "name": "OpenStack-API-Version", "in": "header", "schema": {"type": "string"},
            "example": f"{service.microversions.service_type} {text(service.microversions.maximum)}",
            "description": f"{text(service.microversions.minimum)} without it.",
        }  # fmt: skip
    return {
        "schemas": schemas.named,
        "parameters": parameters,
        "responses": {"Error": {"description": "A refusal, in words.", "content": {media.partition(";")[0]: {"example": example}}}},
        "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
    }


def _operation(service: Service, schemas: Schemas, items: Sequence[Operation], identity: str) -> Json:
    """One method of one path: one operation, or several that the body's key or the microversion picks from."""
    first = items[0]
    made: Json = {"operationId": identity, "tags": [_tag(first)], "summary": _told(first)}
    if len(items) > 1 and first.body_key:
        made["summary"] = f"One of {len(items)} actions; the body's single key picks it."
    made["parameters"] = _parameters(service, schemas, items)
    body = _body(service, schemas, items)
    if body is not None:
        made["requestBody"] = body
    made["responses"] = _responses(schemas, items)
    if not first.token:
        made["security"] = []
    if len(items) == 1:
        made |= _extensions(service, first)
    return {name: value for name, value in made.items() if value or name == "security"}


def _extensions(service: Service, item: Operation) -> Json:
    """Who may, and at which microversions."""
    found: Json = {"x-wolke-policy": item.action} if item.action else {}
    if item.guarded:
        found["x-wolke-guarded"] = list(item.guarded)
    range_: Json = {"action-name": item.body_key} if item.body_key else {}
    if service.microversions and item.minimum > service.microversions.minimum:
        range_["min-ver"] = text(item.minimum)
    if service.microversions and item.maximum < service.microversions.maximum:
        range_["max-ver"] = text(item.maximum)
    return {**found, "x-openstack": range_} if range_ else found


def _variant(service: Service, item: Operation) -> Json:
    return {"description": _told(item), "x-wolke-status": item.status, **_extensions(service, item)}


def _parameters(service: Service, schemas: Schemas, items: Sequence[Operation]) -> list[Json]:
    parts = [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in _PART.findall(items[0].path)]
    asked = {name: checker.shape for item in items for name, checker in item.query.items()}
    query = [{"name": name, "in": "query", "schema": schemas.standard(shape)} for name, shape in sorted(asked.items())]
    headers = [("IdempotencyKey", any(item.idempotent for item in items)), ("Microversion", service.microversions is not None)]
    return parts + query + [{"$ref": f"#/components/parameters/{name}"} for name, wanted in headers if wanted]


def _body(service: Service, schemas: Schemas, items: Sequence[Operation]) -> Json | None:
    if items[0].raw:
        return _raw_body(schemas, items[0])
    shapes = [shape for item in items if (shape := _body_shape(schemas, item)) is not None]
    if not shapes:
        return None
    schema = shapes[0]
    if len(items) > 1:
        variants = [{**(_body_shape(schemas, item) or {}), **_variant(service, item)} for item in items]
        schema = {"oneOf" if items[0].body_key else "anyOf": variants}
    return {"content": {JSON: {"schema": schema}}, "required": True}


def _raw_body(schemas: Schemas, item: Operation) -> Json | None:
    """A body that the handler reads itself; one with a shape of which nothing is required may be missing."""
    if item.method == "GET" or not item.takes:
        return None
    content = {media: {"schema": schemas.standard(shape)} if shape else {} for media, shape in item.takes.items()}
    return {"content": content, "required": any(not shape or shape.get("required") for shape in item.takes.values())}


def _body_shape(schemas: Schemas, item: Operation) -> Json | None:
    if item.body is not None:
        return schemas.standard(item.body.shape)
    return {"type": "object", "required": [item.body_key], "maxProperties": 1} if item.body_key else None


def _responses(schemas: Schemas, items: Sequence[Operation]) -> Json:
    answers: dict[int, list[Json]] = defaultdict(list)
    for item in items:
        for status in (item.status, *item.statuses):
            shape = schemas.standard(item.answer) if item.answer is not None and status not in _NO_BODY else None
            if shape is not None and shape not in answers[status]:
                answers[status].append(shape)
            answers.setdefault(status, [])
    return {
        **{str(status): _response(status, shapes, items[0].gives) for status, shapes in sorted(answers.items())},
        "default": _ERROR,
    }


def _response(status: int, shapes: list[Json], media: str) -> Json:
    if status >= 400 and not shapes:
        return _ERROR
    made: Json = {"description": HTTPStatus(status).phrase}
    if shapes:
        made["content"] = {media: {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}
    elif media != JSON and status not in _NO_BODY:
        made["content"] = {media: {}}
    return made
