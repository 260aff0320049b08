"""/types: the kinds of volumes."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.api.shapes import truth
from common.errors import BadRequest
from volume.api.shapes import type as shapes
from volume.api.shapes.metadata import ONE, ONE_IN
from volume.api.shapes.type import PUBLIC
from volume.api.views import meta, type_view
from volume.service import listing, types

SPEC = "/types/{type_id}/extra_specs/{key}"


@operation("GET", "/types", action="volume:type:list", answer=shapes.TYPES)
def index(request: Request) -> dict[str, Any]:
    """The types that the actor may use."""
    page = Page.asked(request, listing.TYPE_KEYS)
    rows, more = request.read(lambda tx: listing.types_of(tx, request.actor, request.query, page))
    return {"volume_types": [type_view(request, row) for row in rows], **next_link(request, "volume_types", rows, more)}


@operation("GET", "/types/{type_id}", action="volume:type:show", guarded=("volume:type:extra_specs",), answer=shapes.TYPE)
def show(request: Request) -> dict[str, Any]:
    """One type; `default` is the default one."""
    type_id = request.path["type_id"]
    found = request.read(lambda tx: types.default(tx) if type_id == "default" else types.get(tx, request.actor, type_id))
    return {"volume_type": type_view(request, found)}


@operation("POST", "/types", action="volume:type:create", body=shapes.CREATE, answer=shapes.NEW_TYPE)
def create(request: Request) -> dict[str, Any]:
    """Make a type."""
    body = request.body["volume_type"]
    made = request.run(
        lambda tx: types.create(
            tx, name=body["name"], description=body.get("description"), is_public=truth(body.get(PUBLIC, True)),
            extra_specs=meta(body.get("extra_specs")),
        )
    )  # fmt: skip
    view = type_view(request, made)
    del view["qos_specs_id"]  # what is new has none, and its answer no word of it
    return {"volume_type": view}


@operation("PUT", "/types/{type_id}", action="volume:type:update", body=shapes.UPDATE, answer=shapes.TYPE)
def update(request: Request) -> dict[str, Any]:
    """Change a type. Whether it is public has two names: the reference's, and the one that answers and the SDK have."""
    body = dict(request.body["volume_type"])
    for name in (PUBLIC, "is_public"):
        if name in body:
            body["is_public"] = truth(body.pop(name))
    return {"volume_type": type_view(request, request.run(lambda tx: types.update(tx, request.path["type_id"], body)))}


@operation("DELETE", "/types/{type_id}", action="volume:type:delete", status=202)
def delete(request: Request) -> None:
    """Remove a type that no volume is of."""
    request.run(lambda tx: types.delete(tx, request.path["type_id"]))


@operation("GET", "/types/{type_id}/extra_specs", action="volume:type:extra_specs", answer=shapes.SPECS)
def extra_specs(request: Request) -> dict[str, Any]:
    """A type's extra specs."""
    return {"extra_specs": request.read(lambda tx: types.get(tx, request.actor, request.path["type_id"]).extra_specs)}


@operation("POST", "/types/{type_id}/extra_specs", action="volume:type:update", body=shapes.SPECS_IN, answer=shapes.SPECS)
def set_extra_specs(request: Request) -> dict[str, Any]:
    """Set some extra specs."""
    given = meta(request.body["extra_specs"])
    request.run(lambda tx: types.set_extra_specs(tx, request.path["type_id"], given))
    return {"extra_specs": given}


@operation("GET", SPEC, action="volume:type:extra_specs", answer=ONE)
def extra_spec(request: Request) -> dict[str, Any]:
    """One extra spec."""
    type_id, key = request.path["type_id"], request.path["key"]
    return {key: request.read(lambda tx: types.extra_spec(tx, request.actor, type_id, key))}


@operation("PUT", SPEC, action="volume:type:update", body=ONE_IN, answer=ONE)
def set_extra_spec(request: Request) -> dict[str, Any]:
    """Set one extra spec."""
    type_id, key, given = request.path["type_id"], request.path["key"], meta(request.body)
    if key not in given:
        raise BadRequest(f"Request body and URI mismatch: the body does not hold the key {key!r}.")
    request.run(lambda tx: types.set_extra_specs(tx, type_id, given))
    return dict(given)


@operation("DELETE", SPEC, action="volume:type:update", status=202)
def remove_extra_spec(request: Request) -> None:
    """Remove one extra spec."""
    request.run(lambda tx: types.remove_extra_spec(tx, request.path["type_id"], request.path["key"]))


@operation("GET", "/types/{type_id}/encryption", action="volume:type:show", answer=shapes.ENCRYPTION)
def encryption(request: Request) -> dict[str, Any]:
    """How volumes of this type are encrypted: empty, as of every type that is not."""
    request.read(lambda tx: types.get(tx, request.actor, request.path["type_id"]))
    return {}
