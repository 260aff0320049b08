"""Lists by keyset: `limit`, `marker`, sort keys, and the link to the next page. No page costs more than the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from common.api.request import Query, Request
from common.config import CONF
from common.db import Tx
from common.errors import BadRequest

Column = InstrumentedAttribute[Any] | ColumnElement[Any]
R = TypeVar("R")


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for. `limit` None is the whole."""

    limit: int | None
    marker: str | None
    sort: tuple[tuple[str, bool], ...]

    @classmethod
    def asked(
        cls, request: Request, keys: Mapping[str, Column], *, default: Sequence[tuple[str, bool]] = (("created_at", True),),
        whole: bool = False, zero_is_none: bool = False,
    ) -> Page:  # fmt: skip
        """Read `limit`, `marker` and the sort parameters (`sort_key`/`sort_dir`, repeated, or `sort=key:dir,…`).

        keys: what may be sorted by; where there are none, the sort parameters are not heard. default: (key, descending); a key or a direction
        that is missing is the default's. whole: without `limit`, everything. BadRequest names a wrong one.
        """
        query = request.query
        limit = query.integer("limit")
        if limit == 0 and zero_is_none:
            limit = None
        if limit is None and not whole:
            limit = CONF.api.max_limit
        elif limit is not None:
            limit = min(limit, CONF.api.max_limit)
        return cls(limit=limit, marker=query.one("marker"), sort=_sorting(query, keys, default) if keys else ())

    def rows(self, tx: Tx, statement: Select[Any], keys: Mapping[str, Column], id_column: InstrumentedAttribute[str]) -> list[Any]:
        """The rows of this page, and one more where there is more: hand them to `cut`.

        The marker must be a row that `statement` would show; else BadRequest. Two queries with a marker, one without.
        """
        order = [(keys[key], descending) for key, descending in self.sort]
        order.append((id_column, bool(self.sort and self.sort[-1][1])))
        if self.marker is not None:
            found = tx.execute(statement.with_only_columns(*[c for c, _ in order]).where(id_column == self.marker)).first()
            if found is None:
                raise BadRequest(f"The marker {self.marker!r} could not be found.")
            statement = statement.where(_after(order, found))
        statement = statement.order_by(None).order_by(*[c.desc().nulls_last() if d else c.asc().nulls_first() for c, d in order])
        if self.limit is not None:
            statement = statement.limit(self.limit + 1)
        return list(tx.execute(statement).unique().scalars())

    def cut(self, rows: list[R]) -> tuple[list[R], bool]:
        """The page itself, and whether there is more."""
        if self.limit is None or len(rows) <= self.limit:
            return rows, False
        return rows[: self.limit], self.limit > 0


def _sorting(query: Query, keys: Mapping[str, Column], default: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    """(key, descending) of each sort parameter; a direction that is missing is the one before it, and the first the default's."""
    usual = "desc" if default[0][1] else "asc"
    pairs, directions = _combined(query.all("sort"), usual), query.all("sort_dir")
    named = query.all("sort_key") or ([default[0][0]] if directions and not pairs else [])
    directions = directions or [usual]
    pairs += [(key, directions[min(index, len(directions) - 1)]) for index, key in enumerate(named)]
    return tuple(_sort(keys, key, direction) for key, direction in pairs) or tuple(default)


def _combined(values: list[str], usual: str) -> list[tuple[str, str]]:
    """`key:direction,…` as pairs; a key alone has the usual direction."""
    parts = [part.strip() for value in values for part in value.split(",")]
    return [(key, direction or usual) for key, _, direction in (part.partition(":") for part in parts if part)]


def _sort(keys: Mapping[str, Column], key: str, direction: str) -> tuple[str, bool]:
    if key not in keys:
        raise BadRequest(f"Invalid sort key {key!r}; it must be one of {', '.join(sorted(keys))}.")
    if direction.lower() not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction {direction!r} of {key}; it must be asc or desc.")
    return key, direction.lower() == "desc"


def _after(order: list[tuple[Column, bool]], values: Any) -> ColumnElement[bool]:
    """The rows behind the marker's values in this order; NULL sorts first ascending and last descending."""
    clauses: list[ColumnElement[bool]] = []
    for index, (column, descending) in enumerate(order):
        same = [c.is_(None) if v is None else c == v for (c, _), v in zip(order[:index], values[:index], strict=True)]
        clauses.append(and_(*same, _beyond(column, descending, values[index])))
    return or_(*clauses)


def _beyond(column: Column, descending: bool, value: Any) -> ColumnElement[bool]:
    if descending:
        return false() if value is None else or_(column < value, column.is_(None))
    return column.is_not(None) if value is None else column > value


def next_link(request: Request, collection: str, rows: Sequence[Any], more: bool) -> dict[str, Any]:
    """What the body of a list adds when there is more: a link with every parameter of this request and the new marker."""
    if not more or not rows:
        return {}
    pairs = [(name, value) for name, values in request.query.values.items() for value in values if name != "marker"]
    last = rows[-1]
    marker = last["id"] if isinstance(last, dict) else last.id
    path = request.http.path + "?" + urlencode([*pairs, ("marker", marker)])
    url = path if request.service.dialect.name == "glance" else request.url(path)
    return request.service.dialect.next_page(collection, url)


__all__ = ["Page", "next_link", "select", "tuple_"]
