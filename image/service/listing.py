"""Lists of images: which the actor sees, and what they are narrowed by and sorted by.

Narrowed by attributes, `in:` lists, ranges of size and time, tags, and properties by equality.
"""

from __future__ import annotations

import csv
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, false, select

from common.api.paging import Page
from common.api.request import Query
from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest
from image.models import Image
from image.service import images
from image.service.status import status_sql

KEYS: dict[str, Any] = {
    "name": Image.name, "status": status_sql(), "container_format": Image.container_format, "disk_format": Image.disk_format,
    "size": Image.size, "id": Image.id, "created_at": Image.created_at, "updated_at": Image.updated_at, "owner": Image.owner,
    "min_disk": Image.min_disk, "min_ram": Image.min_ram, "visibility": Image.visibility,
}  # fmt: skip
LISTS: dict[str, Any] = {
    "id": Image.id, "name": Image.name, "container_format": Image.container_format, "disk_format": Image.disk_format, "status": status_sql(),
}  # fmt: skip
EQUAL: dict[str, Any] = {
    "owner": Image.owner, "checksum": Image.checksum, "os_hash_value": Image.hash_value,
}  # fmt: skip
NUMBERS = {"min_disk": Image.min_disk, "min_ram": Image.min_ram, "size": Image.size, "virtual_size": Image.virtual_size}
MOMENTS = {"created_at": Image.created_at, "updated_at": Image.updated_at}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "neq": operator.ne,
}  # fmt: skip
ELSEWHERE = {"limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "os_hidden", "tag", "protected", "size_min", "size_max"}  # fmt: skip


def images_of(tx: Tx, actor: Actor, query: Query, page: Page) -> tuple[list[Image], bool]:
    """One page of the images that the query asks for, and whether there is more. Raises BadRequest."""
    where = [images.listed(actor, query.one("visibility") or None, query.one("member_status")), *_filters(query)]
    where.append(Image.hidden.is_(bool(query.flag("os_hidden", False))))
    if page.limit == 0:
        where.append(false())
    return page.cut(page.rows(tx, select(Image).where(*where), KEYS, Image.id))


def _filters(query: Query) -> list[ColumnElement[bool]]:
    """The conditions that the query names. Raises BadRequest for a value that cannot be."""
    found: list[ColumnElement[bool]] = [Image.tags.contains([tag]) for tag in query.all("tag")]
    protected = query.flag("protected")
    if protected is not None:
        found.append(Image.protected.is_(protected))
    for name, compare in (("size_min", operator.ge), ("size_max", operator.le)):
        bound = query.integer(name)
        if bound is not None:
            found.append(compare(Image.size, bound))
    found.extend(_condition(query, name) for name in query.values if name not in ELSEWHERE)
    return found


def _condition(query: Query, name: str) -> ColumnElement[bool]:
    value = query.one(name) or ""
    condition: ColumnElement[bool]
    if name in LISTS:
        condition = LISTS[name].in_(_list(value[3:])) if value.startswith("in:") else LISTS[name] == value
    elif name in EQUAL:
        condition = EQUAL[name] == value
    elif name in NUMBERS:
        condition = NUMBERS[name] == query.integer(name)
    elif name in MOMENTS:
        word, _, moment = value.partition(":") if value.partition(":")[0] in COMPARE else ("eq", "", value)
        condition = COMPARE[word](MOMENTS[name], _moment(name, moment))
    else:
        condition = Image.properties[name].astext == value
    return condition


def _list(value: str) -> list[str]:
    try:
        return next(csv.reader([value], skipinitialspace=True, strict=True), [])
    except csv.Error:
        raise BadRequest(f"Invalid filter value {value!r}: it is not a list of words, quoted where they hold a comma.") from None


def _moment(name: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadRequest(f"Invalid time value {value!r} for {name}; use ISO 8601, as 2026-01-31T12:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
