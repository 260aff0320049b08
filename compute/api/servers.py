"""/servers: list, show, create, change, delete. Source: Nova's API reference, "Servers"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.errors import BadRequest, Forbidden
from compute.api import bodies, views
from compute.api.shapes import server as answers
from compute.service import power, server_create, servers
from compute.service.servers import Filters

Json = dict[str, Any]
QUERY = {"name": shapes.TEXT, "status": shapes.TEXT, "flavor": shapes.TEXT, "image": shapes.TEXT, "ip": shapes.TEXT, "ip6": shapes.TEXT}
ALL = "compute:server:list:all_projects"
HOST = "compute:server:list:host"


@operation("GET", "/servers", action="compute:server:list", query=QUERY, guarded=(ALL, HOST), answer=answers.BRIEF_SERVERS)
def list_servers(request: Request) -> Json:
    """Ids, names and links."""
    page, filters = _asked(request)
    rows, more = page.cut(request.read(lambda tx: servers.page(tx, request.actor, filters, page)))
    return {"servers": [views.brief_server(request, row) for row in rows], **next_link(request, "servers", rows, more)}


@operation("GET", "/servers/detail", action="compute:server:list", query=QUERY, guarded=(ALL, HOST), answer=answers.SERVERS)
def list_servers_in_detail(request: Request) -> Json:
    """Whole servers."""
    page, filters = _asked(request)

    def read(tx: Any) -> tuple[list[Any], bool]:
        rows, more = page.cut(servers.page(tx, request.actor, filters, page))
        return servers.load(tx, rows), more

    found, more = request.read(read)
    return {"servers": [views.server(request, view) for view in found], **next_link(request, "servers", found, more)}


def _asked(request: Request) -> tuple[Page, Filters]:
    hidden = () if request.may(HOST) else servers.HOST_KEYS
    keys = {name: column for name, column in servers.SORT_KEYS.items() if name not in hidden}
    return Page.asked(request, keys), _filters(request)


def _filters(request: Request) -> Filters:
    query = request.query
    everybody = _everybody(request)
    statuses = query.all("status")
    if any(word.lower() == "deleted" for word in statuses) and not request.actor.is_admin:
        raise Forbidden("Only administrators may list deleted instances")
    return Filters(
        all_projects=everybody, project_id=query.one("project_id") or query.one("tenant_id") if everybody else None,
        name=query.one("name"), statuses=statuses, flavor=query.one("flavor"), image=_image(query.one("image")),
        ip=query.one("ip") or query.one("ip6"), changes_since=_since(query.one("changes-since")),
        reservation_id=query.one("reservation_id"), nothing=_deleted(request), **_operators(request),
    )  # fmt: skip


def _operators(request: Request) -> Json:
    """Filters that are heard from those who may see hosts, and ignored from others, as in Nova."""
    query = request.query
    if not request.may(HOST):
        return {}
    extra: Json = {name: query.one(name) for name in ("vm_state", "task_state") if name in query}
    if "power_state" in query:
        extra["power_state"] = query.integer("power_state")
    return {
        "user_id": query.one("user_id"), "host": query.one("host"), "zone": query.one("availability_zone"),
        "key_name": query.one("key_name"), "extra": extra,
    }  # fmt: skip


def _everybody(request: Request) -> bool:
    query = request.query
    everybody = bool(query.flag("all_tenants", False))
    if everybody:
        request.must(ALL)
    foreign = query.one("project_id") or query.one("tenant_id")
    return everybody or bool(foreign and foreign != request.actor.project_id and request.may(ALL))


def _deleted(request: Request) -> bool:
    """Deleted servers leave no row: who asks for them gets none. Others' wish is not heard, as in Nova."""
    return bool(request.actor.is_admin and request.query.one("deleted") and request.query.flag("deleted"))


def _image(given: str | None) -> str | None:
    """The image's id, also where a client sends its link."""
    return given.rsplit("/", 1)[-1] if given else given


def _since(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given.replace(" ", "+"))
    except ValueError:
        raise BadRequest("Invalid changes-since value") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@operation("GET", "/servers/{server_id}", action="compute:server:show", guarded=(views.HOST, views.DETAILS), answer=answers.SERVER)
def show_server(request: Request) -> Json:
    """One server."""
    view = request.read(lambda tx: servers.view(tx, request.actor, request.path["server_id"]))
    return {"server": views.server(request, view)}


@operation(
    "POST",
    "/servers",
    action="compute:server:create",
    status=202,
    body=bodies.CREATE,
    guarded=("compute:server:create:forced_host",),
    answer=answers.CREATED,
)
def create_server(request: Request) -> Answer:
    """New servers; the answer names the first, or the reservation that all share."""
    wish = bodies.new_server(request)
    made = request.run(lambda tx: server_create.create(tx, request.actor, wish))
    body = request.body["server"]
    if shapes.truth(body.get("return_reservation_id", False)):
        return Answer({"reservation_id": made[0].reservation_id})
    first = made[0]
    links = views.links(request, "servers", first.id)
    answer = {
        "id": first.id, "links": links, "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": name} for name in wish.security_groups or ("default",)],
        "adminPass": body.get("adminPass") or server_create.password(),
    }  # fmt: skip
    return Answer({"server": answer}, headers={"Location": links[0]["href"]})


@operation("PUT", "/servers/{server_id}", action="compute:server:update", body=bodies.UPDATE, answer=answers.CHANGED)
def update_server(request: Request) -> Json:
    """Change name, access addresses, disk configuration."""
    body = request.body["server"]
    values: Json = {}
    if "name" in body:
        values["name"] = body["name"].strip()
    if "OS-DCF:diskConfig" in body:
        values["disk_config"] = body["OS-DCF:diskConfig"]
    for field, column, version in (("accessIPv4", "access_ip_v4", 4), ("accessIPv6", "access_ip_v6", 6)):
        if field in body:
            values[column] = bodies.address(body, field, version)
    server_id = request.path["server_id"]
    request.run(lambda tx: power.change(tx, request.actor, server_id, values))
    view = request.read(lambda tx: servers.view(tx, request.actor, server_id))
    return {"server": views.server(request, view, whole=False)}


@operation("DELETE", "/servers/{server_id}", action="compute:server:delete", status=204)
def delete_server(request: Request) -> None:
    """Delete; 404 once it is gone."""
    request.run(lambda tx: power.delete(tx, request.actor, request.path["server_id"]))
