"""What hangs on a server: metadata, addresses, volumes, ports, security groups. Source: Nova's API reference."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import obj, wrapped
from common.errors import BadRequest, NotFound
from compute.api import views
from compute.api.shapes import server_parts as answers
from compute.service import attachment, groups, metadata, servers
from compute.service.servers import ServerView
from network.public import GroupView, RuleView

Json = dict[str, Any]
META = "/servers/{server_id}/metadata"
VOLUMES = "/servers/{server_id}/os-volume_attachments"
PORTS = "/servers/{server_id}/os-interface"
ATTACH = wrapped("volumeAttachment", obj({"volumeId": shapes.UUID, "device": shapes.OPTIONAL_TEXT}, required=("volumeId",)))


def _view(request: Request) -> ServerView:
    return request.read(lambda tx: servers.view(tx, request.actor, request.path["server_id"]))


def _meta(request: Request) -> dict[str, str]:
    return request.read(lambda tx: servers.get(tx, request.actor, request.path["server_id"]).meta)


def _write(request: Request, meta: dict[str, str], *, replace: bool) -> dict[str, str]:
    return request.run(lambda tx: metadata.write(tx, request.actor, request.path["server_id"], meta, replace=replace))


@operation("GET", META, action="compute:server:metadata:list", answer=answers.METADATA)
def list_metadata(request: Request) -> Json:
    """All items."""
    return {"metadata": _meta(request)}


@operation("POST", META, action="compute:server:metadata:write", body=wrapped("metadata", shapes.METADATA), answer=answers.METADATA)
def update_metadata(request: Request) -> Json:
    """Add or change items; all of them."""
    return {"metadata": _write(request, request.body["metadata"], replace=False)}


@operation("PUT", META, action="compute:server:metadata:write", body=wrapped("metadata", shapes.METADATA), answer=answers.METADATA)
def replace_metadata(request: Request) -> Json:
    """Replace all items."""
    return {"metadata": _write(request, request.body["metadata"], replace=True)}


@operation("GET", META + "/{key}", action="compute:server:metadata:show", answer=answers.ITEM)
def show_metadata_item(request: Request) -> Json:
    """One item."""
    key, meta = request.path["key"], _meta(request)
    if key not in meta:
        raise NotFound("Metadata item was not found")
    return {"meta": {key: meta[key]}}


@operation(
    "PUT",
    META + "/{key}",
    action="compute:server:metadata:write",
    body=wrapped("meta", {**shapes.METADATA, "minProperties": 1, "maxProperties": 1}),
    answer=answers.ITEM,
)
def set_metadata_item(request: Request) -> Json:
    """Set one item."""
    key, meta = request.path["key"], request.body["meta"]
    if key not in meta:
        raise BadRequest("Request body and URI mismatch")
    _write(request, meta, replace=False)
    return {"meta": meta}


@operation("DELETE", META + "/{key}", action="compute:server:metadata:delete", status=204)
def delete_metadata_item(request: Request) -> None:
    """Remove one item."""
    request.run(lambda tx: metadata.remove(tx, request.actor, request.path["server_id"], request.path["key"]))


@operation("GET", "/servers/{server_id}/ips", action="compute:server:ips", answer=answers.ADDRESSES)
def list_addresses(request: Request) -> Json:
    """Addresses by network."""
    return {"addresses": views.addresses(_view(request), bare=True)}


@operation("GET", "/servers/{server_id}/ips/{network}", action="compute:server:ips", answer=answers.ADDRESSES_OF_ONE)
def show_addresses(request: Request) -> Json:
    """Addresses on one network, by its name."""
    found, name = views.addresses(_view(request), bare=True), request.path["network"]
    if name not in found:
        raise NotFound("Instance is not a member of specified network")
    return {name: found[name]}


@operation("GET", VOLUMES, action="compute:server:volumes:list", answer=answers.ATTACHMENTS)
def list_volumes(request: Request) -> Json:
    """The server's volumes."""
    found = request.read(lambda tx: attachment.of_server(tx, request.actor, request.path["server_id"]))
    offset, limit = request.query.integer("offset", 0) or 0, request.query.integer("limit")
    part = found[offset:] if limit is None else found[offset : offset + limit]
    return {"volumeAttachments": [_attachment(item) for item in part]}


@operation("GET", VOLUMES + "/{volume_id}", action="compute:server:volumes:show", answer=answers.ATTACHMENT)
def show_volume(request: Request) -> Json:
    """One volume's attachment."""
    path = request.path
    return {
        "volumeAttachment": _attachment(request.read(lambda tx: attachment.get(tx, request.actor, path["server_id"], path["volume_id"])))
    }


@operation("POST", VOLUMES, action="compute:server:volumes:attach", body=ATTACH, answer=answers.ATTACHMENT)
def attach_volume(request: Request) -> Json:
    """Attach a volume."""
    wish = request.body["volumeAttachment"]
    made = request.run(
        lambda tx: attachment.attach(tx, request.actor, request.path["server_id"], wish["volumeId"], device=wish.get("device"))
    )
    return {"volumeAttachment": _attachment(made)}


@operation("DELETE", VOLUMES + "/{volume_id}", action="compute:server:volumes:detach", status=202)
def detach_volume(request: Request) -> None:
    """Detach a volume; the guest must let it go."""
    path = request.path
    request.run(lambda tx: attachment.detach(tx, request.actor, path["server_id"], path["volume_id"]))


def _attachment(item: Any) -> Json:
    return {"id": item.volume_id, "volumeId": item.volume_id, "serverId": item.server_id, "device": item.mountpoint}


@operation("GET", PORTS, action="compute:server:interfaces:list", answer=answers.INTERFACES)
def list_interfaces(request: Request) -> Json:
    """The server's ports."""
    return {"interfaceAttachments": [_interface(port) for port in _view(request).ports]}


@operation("GET", PORTS + "/{port_id}", action="compute:server:interfaces:show", answer=answers.INTERFACE)
def show_interface(request: Request) -> Json:
    """One port."""
    for port in _view(request).ports:
        if port.id == request.path["port_id"]:
            return {"interfaceAttachment": _interface(port)}
    raise NotFound(f"Port id {request.path['port_id']} could not be found.")


def _interface(port: Any) -> Json:
    return {
        "port_id": port.id, "net_id": port.network_id, "mac_addr": port.mac, "port_state": "ACTIVE" if port.wired else "DOWN",
        "fixed_ips": [{"subnet_id": ip.subnet_id, "ip_address": ip.ip} for ip in port.fixed_ips],
    }  # fmt: skip


@operation("GET", "/servers/{server_id}/os-security-groups", action="compute:server:groups:list", answer=answers.GROUPS)
def list_security_groups(request: Request) -> Json:
    """The security groups of the server's ports, with what they let in."""
    found = request.read(lambda tx: groups.of_server(tx, request.actor, request.path["server_id"]))
    return {"security_groups": [_group(group) for group in found]}


def _group(group: GroupView) -> Json:
    return {
        "id": group.id, "name": group.name, "description": group.description, "tenant_id": group.project_id,
        "rules": [_rule(group, rule) for rule in group.rules],
    }  # fmt: skip


def _rule(group: GroupView, rule: RuleView) -> Json:
    """A rule in the words of compute's API, where -1 is any type or code, and a protocol with ports has all of them."""
    low, high = rule.ports
    if rule.protocol and low is None:
        low, high = (1, 65535) if rule.protocol in ("tcp", "udp") else (-1, -1)
    everywhere = "::/0" if rule.ethertype == "IPv6" else "0.0.0.0/0"
    remote = {"name": rule.remote_group[0], "tenant_id": rule.remote_group[1]} if rule.remote_group else {}
    return {
        "id": rule.id, "parent_group_id": group.id, "ip_protocol": rule.protocol, "from_port": low, "to_port": high, "group": remote,
        "ip_range": {} if remote else {"cidr": rule.prefix or everywhere},
    }  # fmt: skip
