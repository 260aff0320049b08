"""What the answers of the compute API look like at 2.1."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from common.api.request import Request
from compute.models import Flavor
from compute.service.servers import ServerView

Json = dict[str, Any]
WITH_PROGRESS = ("ACTIVE", "BUILD")
HOST = "compute:server:show:host_attributes"
DETAILS = "compute:server:show:fault_details"


def prefix(request: Request) -> str:
    """The path under which the client came: `/v2.1`, perhaps with its project."""
    version = "/v2.1" if request.http.path.startswith("/v2.1") else "/v2"
    project = request.path.get("project_id")
    return f"{version}/{project}" if project else version


def links(request: Request, collection: str, item_id: str) -> list[Json]:
    """`self` and `bookmark` of a resource."""
    return [{"rel": "self", "href": request.url(f"{prefix(request)}/{collection}/{item_id}")}, bookmark(request, collection, item_id)]


def bookmark(request: Request, collection: str, item_id: str) -> Json:
    """A link without a version."""
    project = request.path.get("project_id")
    middle = f"/{project}" if project else ""
    return {"rel": "bookmark", "href": request.url(f"{middle}/{collection}/{item_id}")}


def flavor(request: Request, row: Flavor) -> Json:
    """A flavor in detail."""
    return {
        "id": row.id, "name": row.name, "ram": row.ram_mib, "disk": row.disk_gib, "vcpus": row.vcpus,
        "swap": row.swap_mib or "", "OS-FLV-EXT-DATA:ephemeral": row.ephemeral_gib, "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": row.is_public, "rxtx_factor": row.rxtx_factor, "links": links(request, "flavors", row.id),
    }  # fmt: skip


def brief_flavor(request: Request, row: Flavor) -> Json:
    """A flavor in a list."""
    return {"id": row.id, "name": row.name, "links": links(request, "flavors", row.id)}


def brief_server(request: Request, row: Any) -> Json:
    """A server in a list."""
    return {"id": row.id, "name": row.name, "links": links(request, "servers", row.id)}


def server(request: Request, view: ServerView, *, whole: bool = True) -> Json:
    """A server in detail; not `whole`: as an update answers it."""
    row = view.row
    found: Json = {
        "id": row.id, "name": row.name, "status": view.status.status, "tenant_id": row.project_id, "user_id": row.user_id,
        "metadata": row.meta, "hostId": host_id(view), "image": _image(request, row.image_id),
        "flavor": {"id": row.flavor_id, "links": [bookmark(request, "flavors", row.flavor_id)]},
        "created": row.created_at, "updated": row.updated_at or row.created_at, "addresses": addresses(view),
        "accessIPv4": row.access_ip_v4 or "", "accessIPv6": row.access_ip_v6 or "", "links": links(request, "servers", row.id),
        "OS-DCF:diskConfig": row.disk_config,
    }  # fmt: skip
    if view.status.status in WITH_PROGRESS:
        found["progress"] = 100 if view.status.status == "ACTIVE" else 0
    if view.status.status == "ERROR" and row.fault:
        found["fault"] = fault(request, row.fault)
    return {**found, **_extensions(view), **_hosts(request, view)} if whole else found


def _extensions(view: ServerView) -> Json:
    row, status = view.row, view.status
    groups = dict.fromkeys(name for port in view.ports for name in port.security_group_names)
    return {
        "OS-EXT-AZ:availability_zone": view.host_zone or row.availability_zone or "", "config_drive": "", "key_name": row.key_name,
        "OS-SRV-USG:launched_at": precise(row.launched_at), "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": status.task_state, "OS-EXT-STS:vm_state": status.vm_state, "OS-EXT-STS:power_state": status.power_state,
        "os-extended-volumes:volumes_attached": [{"id": item.volume_id} for item in view.attachments],
        "security_groups": [{"name": name} for name in groups],
    }  # fmt: skip


def _hosts(request: Request, view: ServerView) -> Json:
    if not request.may(HOST):
        return {}
    return {
        "OS-EXT-SRV-ATTR:host": view.host, "OS-EXT-SRV-ATTR:hypervisor_hostname": view.host,
        "OS-EXT-SRV-ATTR:instance_name": view.row.id,
    }  # fmt: skip


def _image(request: Request, image_id: str | None) -> Json | str:
    return {"id": image_id, "links": [bookmark(request, "images", image_id)]} if image_id else ""


def fault(request: Request, stored: Json) -> Json:
    """Why a server failed; its details are for administrators."""
    shown: Json = {name: stored[name] for name in ("code", "message", "created") if name in stored}
    return {**shown, "details": stored.get("details", "")} if request.may(DETAILS) else shown


def host_id(view: ServerView) -> str:
    """What tells servers on one host from those on another without naming it."""
    return hashlib.sha224(f"{view.row.project_id}{view.host}".encode()).hexdigest() if view.host else ""


def addresses(view: ServerView, *, bare: bool = False) -> Json:
    """Addresses by the network's name; `bare`: without type and MAC."""
    found: Json = {}
    for port in view.ports:
        entries = [("fixed", ip.ip, ip.version) for ip in port.fixed_ips] + [("floating", ip, 4) for ip in port.floating_ips]
        for kind, ip, version in entries:
            entry: Json = {"version": version, "addr": ip}
            if not bare:
                entry |= {"OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": port.mac}
            found.setdefault(port.network_name, []).append(entry)
    return found


def precise(moment: datetime | None) -> str | None:
    """A moment as Nova's older extensions print it: microseconds, no zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else None
