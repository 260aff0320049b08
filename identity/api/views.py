"""How identity's rows look from the outside, and its lists: whole unless `limit` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from common.api.paging import Page, next_link
from common.api.request import Request
from identity.models import Endpoint, Group, Project, Region, Role, Service, User
from identity.service import security
from identity.service.rows import MATCHES

View = dict[str, Any]


def moment(value: datetime) -> str:
    """A time of a token as Keystone prints it, with microseconds."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expiry(value: datetime | None) -> str | None:
    """The end of a password as Keystone prints it: the one time of its API without a zone."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value is not None else None


def _linked(request: Request, plural: str, row: Any, view: View) -> View:
    """The row's unknown attributes, then the view, which wins, then its link."""
    return {**row.extra, "id": row.id, **view, "links": {"self": request.url(f"/v3/{plural}/{row.id}")}}


def domain(request: Request, row: Project) -> View:
    """A domain."""
    return _linked(request, "domains", row, {
        "name": row.name, "description": row.description, "enabled": row.enabled, "options": row.options, "tags": row.tags,
    })  # fmt: skip


def project(request: Request, row: Project) -> View:
    """A project, or a domain shown as one."""
    return _linked(request, "projects", row, {
        "name": row.name, "domain_id": row.domain_id, "description": row.description, "enabled": row.enabled,
        "parent_id": row.parent_id, "is_domain": row.is_domain, "options": row.options, "tags": row.tags,
    })  # fmt: skip


def user(request: Request, row: User) -> View:
    """A user."""
    view: View = {
        "name": row.name, "domain_id": row.domain_id, "enabled": security.enabled(row), "options": row.options,
        "password_expires_at": expiry(row.password_expires_at),
    }  # fmt: skip
    if row.default_project_id is not None:
        view["default_project_id"] = row.default_project_id
    return _linked(request, "users", row, view)


def group(request: Request, row: Group) -> View:
    """A group."""
    return _linked(request, "groups", row, {"name": row.name, "domain_id": row.domain_id, "description": row.description})


def role(request: Request, row: Role) -> View:
    """A role."""
    view = {"name": row.name, "domain_id": row.domain_id, "description": row.description, "options": row.options}
    return _linked(request, "roles", row, view)


def region(request: Request, row: Region) -> View:
    """A region."""
    return _linked(request, "regions", row, {"description": row.description, "parent_region_id": row.parent_region_id})


def service(request: Request, row: Service) -> View:
    """A service; name and description appear where they were given."""
    view: View = {"type": row.type, "enabled": row.enabled}
    view |= {name: value for name, value in (("name", row.name), ("description", row.description)) if value is not None}
    return _linked(request, "services", row, view)


def endpoint(request: Request, row: Endpoint) -> View:
    """An endpoint; `region` repeats `region_id` for old clients."""
    return _linked(request, "endpoints", row, {
        "interface": row.interface, "url": row.url, "service_id": row.service_id, "enabled": row.enabled,
        "region": row.region_id, "region_id": row.region_id,
    })  # fmt: skip


def listing(request: Request, collection: str, statement: Any, model: Any, view: Callable[[Request, Any], View]) -> View:
    """The body of a list: the rows of `statement` (of `model`), the whole or the page that is asked for; like Keystone it knows no sorting."""
    page = Page.asked(request, {}, whole=True)
    rows, more = page.cut(request.read(lambda tx: page.rows(tx, statement, {}, model.id)))
    links = {"next": None, "self": self_link(request), "previous": None, **next_link(request, collection, rows, more)}
    return {collection: [view(request, row) for row in rows], "links": links}


def self_link(request: Request) -> str:
    """The request's own address."""
    query = request.http.query_string
    return request.url(request.http.path) + (f"?{query}" if query else "")


def filters(request: Request, *names: str, flags: Iterable[str] = ()) -> View:
    """The filters of a list that the query names: `name`, and `name__contains` and the like where declared, as text; `flags` as truths."""
    parts = {key: key.partition("__") for key in request.query.values if "__" not in key or key in request.operation.query}
    wanted: View = {key: request.query.one(key) for key, (name, _, match) in parts.items() if name in names and match in ("", *MATCHES)}
    for flag in flags:
        if flag in request.query:
            wanted[flag] = request.query.flag(flag)
    return wanted
