"""What the nouns of this API have in common: envelopes, bulk creation, lists, `fields`, revisions, guarded fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from common.api import shapes
from common.api.operation import Answer
from common.api.paging import Page
from common.api.request import Request
from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Forbidden
from network.models import Owned
from network.policy import OPEN
from network.service import listing

Body = dict[str, Any]
View = Callable[[Request, Any], Body]

ID: shapes.Shape = {"type": "string", "minLength": 1, "maxLength": 36}
PROJECT: shapes.Shape = {"type": "string", "maxLength": 64}
NULL_ID: shapes.Shape = {"type": ["string", "null"], "maxLength": 36}
ADDRESS: shapes.Shape = {"type": "string", "format": "ip", "maxLength": 64}
NULL_ADDRESS: shapes.Shape = {"type": ["string", "null"], "format": "ip", "maxLength": 64}
FLAG = shapes.LOOSE_BOOLEAN
DESCRIPTION: shapes.Shape = {"type": ["string", "null"], "maxLength": 255, "pattern": shapes.NO_NUL}
OWNER: dict[str, shapes.Shape] = {"project_id": PROJECT, "tenant_id": PROJECT}
COMMON: dict[str, shapes.Shape] = {"name": shapes.OPTIONAL_TEXT, "description": DESCRIPTION}
ORDER = (("created_at", False),)  # Neutron's lists ascend, where the other APIs' newest comes first
_REVISION = re.compile(r"revision_number=([0-9]{1,18})")


@dataclass(frozen=True)
class Noun:
    """`flags`: names whose loose booleans (`"true"`, 1) are made real; `guarded`: body keys and the field their policy names.

    `hidden`: filters on what only who may do this action is shown.
    """

    name: str
    collection: str
    model: type[Owned]
    view: View
    flags: tuple[str, ...] = ()
    guarded: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)


def envelope(name: str, shape: shapes.Shape, collection: str = "") -> Body:
    """`{name: shape}`, or with `collection` also `{collection: [shape, …]}` (bulk)."""
    if not collection:
        return shapes.wrapped(name, shape)
    return shapes.obj({name: shape, collection: shapes.array(shape, minItems=1, maxItems=100)})


def standard(row: Owned) -> Body:
    """What every resource shows."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at or row.created_at,
        "revision_number": row.generation,
    }


def _fields(request: Request, body: Body) -> Body:
    wanted = [name for value in request.query.all("fields") for name in value.split(",") if name]
    return {name: value for name, value in body.items() if name in wanted} if wanted else body


def show_all(request: Request, noun: Noun) -> Body:
    """The list, a page at a time; `page_reverse` gives the page before the marker (or the last), in the list's order."""
    backwards = request.query.flag("page_reverse", default=False)
    asked = {name: values for name, values in request.query.values.items() if _may_ask(request, noun, name)}
    page = Page.asked(request, listing.LISTINGS[noun.model].sort, default=ORDER, zero_is_none=True)
    if backwards:
        page = replace(page, sort=tuple((key, not descending) for key, descending in page.sort))

    def read(tx: Tx) -> Body:
        rows, _ = page.cut(listing.rows(tx, request.actor, noun.model, page, asked))
        if backwards:
            rows.reverse()
        views = [_fields(request, noun.view(request, row)) for row in rows]
        return {noun.collection: views, **_links(request, noun, [row.id for row in rows], page.limit or 0, backwards=bool(backwards))}

    return request.read(read)


def _may_ask(request: Request, noun: Noun, name: str) -> bool:
    """A filter on what is not shown would tell it; it is ignored, as one that is not known."""
    return name not in noun.hidden or request.may(noun.hidden[name])


def _links(request: Request, noun: Noun, ids: Sequence[str], limit: int, *, backwards: bool) -> Body:
    """Next and previous as Neutron gives them: on a full page both; on a short one only the way back."""
    short = len(ids) < limit
    if "limit" not in request.query and short:
        return {}
    links = []
    if ids and not (short and not backwards):
        links.append({"rel": "next", "href": _link(request, ids[-1], back=False)})
    if not (short and backwards):
        links.append({"rel": "previous", "href": _link(request, ids[0] if ids else None, back=True)})
    return {f"{noun.collection}_links": links}


def _link(request: Request, marker: str | None, *, back: bool) -> str:
    changed = ("marker", "page_reverse")
    pairs = [(name, value) for name, values in request.query.values.items() for value in values if name not in changed]
    pairs += [("marker", marker)] if marker else []
    pairs += [("page_reverse", "True")] if back else []
    return request.url(f"{request.http.path}?{urlencode(pairs)}")


def show_one(request: Request, noun: Noun) -> Body:
    """The one that the path names."""
    id = request.path["id"]
    return request.read(lambda tx: {noun.name: _fields(request, noun.view(request, listing.one(tx, request.actor, noun.model, id)))})


def _prepared(request: Request, noun: Noun, body: Mapping[str, Any], verb: str) -> Body:
    """Guarded fields allowed (Forbidden otherwise), booleans made real; nulls that say nothing are left out."""
    made = dict(body)
    for key in noun.flags:
        if made.get(key) is None:
            made.pop(key, None)
        else:
            made[key] = shapes.truth(made[key])
    for key in ("name", "description"):
        if key in made and made[key] is None:
            made[key] = ""
    _guard(request, noun, made, verb)
    return made


def _guard(request: Request, noun: Noun, made: Mapping[str, Any], verb: str) -> None:
    for key, what in noun.guarded.items():
        if (noun.name, verb, what) not in OPEN and key in made and (verb == "update" or made[key] not in (None, False)):
            action = f"network:{noun.name}:{verb}:{what}"
            if not request.may(action):
                raise Forbidden(f"({verb}_{noun.name} and {verb}_{noun.name}:{key}) is disallowed by policy", type="PolicyNotAuthorized")


def create(request: Request, noun: Noun, make: Callable[[Tx, Actor, Body], Owned]) -> Body:
    """One, or several in one transaction: all of them or none."""
    bulk = noun.collection in request.body
    if bulk == (noun.name in request.body):
        raise BadRequest(f"The body needs either '{noun.name}' or '{noun.collection}'.", type="HTTPBadRequest")
    given = request.body[noun.collection] if bulk else [request.body[noun.name]]
    wanted = [_prepared(request, noun, body, "create") for body in given]

    def write(tx: Tx) -> list[Body]:
        ids = [make(tx, request.actor, body).id for body in wanted]
        tx.expire_all()
        return [noun.view(request, listing.fresh(tx, noun.model, id)) for id in ids]

    made = request.run(write)
    return {noun.collection: made} if bulk else {noun.name: made[0]}


def revision(request: Request) -> int | None:
    """The revision that `If-Match: revision_number=N` insists on."""
    given = request.header("If-Match")
    if given is None:
        return None
    found = _REVISION.fullmatch(given.strip())
    if found is None:
        raise BadRequest(f"Invalid If-Match header {given!r}; it must be revision_number=N.", type="HTTPBadRequest")
    return int(found.group(1))


def update(request: Request, noun: Noun, change: Callable[[Tx, Actor, str, Body, int | None], Owned]) -> Body:
    """Change the one that the path names, if it is at the revision that is insisted on; the answer is how it stands."""
    id, wanted, at = request.path["id"], _prepared(request, noun, request.body[noun.name], "update"), revision(request)

    def write(tx: Tx) -> Body:
        change(tx, request.actor, id, wanted, at)
        tx.flush()
        tx.expire_all()
        return {noun.name: noun.view(request, listing.fresh(tx, noun.model, id))}

    return request.run(write)


def remove(request: Request, drop: Callable[[Tx, Actor, str, int | None], None]) -> Answer:
    """Delete the one that the path names, if it is at the revision that is insisted on: 204."""
    id, at = request.path["id"], revision(request)
    request.run(lambda tx: drop(tx, request.actor, id, at))
    return Answer(None, 204)
