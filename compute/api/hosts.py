"""What operators see of hypervisors: /os-availability-zone, /os-services, /os-hypervisors at 2.1. Source: Nova's API reference."""

from __future__ import annotations

import json
from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import obj
from common.errors import NotFound
from compute.api import views
from compute.api.shapes import host as answers
from compute.service import host, servers
from compute.service.host import HostView

Json = dict[str, Any]
BINARY = "nova-compute"
WHICH = {"host": shapes.NAME, "binary": shapes.NAME}


@operation("GET", "/os-availability-zone", action="compute:zone:list", answer=answers.ZONES)
def list_zones(request: Request) -> Json:
    """Zones and whether one of their hosts can take servers."""
    return {"availabilityZoneInfo": [_zone(name, found, None) for name, found in sorted(request.read(host.zones).items())]}


@operation("GET", "/os-availability-zone/detail", action="compute:zone:detail", answer=answers.ZONES_IN_DETAIL)
def list_zones_in_detail(request: Request) -> Json:
    """Zones with their hosts."""
    return {
        "availabilityZoneInfo": [
            _zone(name, found, {item.row.name: {BINARY: _state(item)} for item in found})
            for name, found in sorted(request.read(host.zones).items())
        ]
    }


def _zone(name: str, found: list[HostView], hosts: Json | None) -> Json:
    return {"zoneName": name, "zoneState": {"available": any(item.up and item.row.enabled for item in found)}, "hosts": hosts}


def _state(item: HostView) -> Json:
    return {"available": item.up, "active": item.row.enabled, "updated_at": views.precise(item.row.seen_at)}


@operation("GET", "/os-aggregates", action="compute:aggregate:list", answer=answers.AGGREGATES)
def list_aggregates(request: Request) -> Json:
    """None: hosts are grouped by zones alone."""
    return {"aggregates": []}


@operation("GET", "/os-services", action="compute:service:list", answer=answers.SERVICES)
def list_services(request: Request) -> Json:
    """One service for each hypervisor: its agent."""
    binary, name = request.query.one("binary", BINARY), request.query.one("host")
    found = request.read(lambda tx: host.all_hosts(tx, name=name)) if binary == BINARY else []
    return {"services": [_service(item) for item in found]}


def _service(item: HostView) -> Json:
    row = item.row
    return {
        "id": row.id, "binary": BINARY, "host": row.name, "zone": row.availability_zone, "status": _status(item), "state": _up(item),
        "updated_at": views.precise(row.seen_at), "disabled_reason": row.disabled_reason,
    }  # fmt: skip


def _status(item: HostView) -> str:
    return "enabled" if item.row.enabled else "disabled"


def _up(item: HostView) -> str:
    return "up" if item.up else "down"


def _switch(request: Request, *, enabled: bool, reason: str | None = None) -> Json:
    name, binary = request.body["host"], request.body["binary"]

    def run(tx: Any) -> None:
        found = host.all_hosts(tx, name=name)
        if binary != BINARY or not found:
            raise NotFound(f"Host '{name}' could not be found for binary '{binary}'.")
        host.set_enabled(tx, found[0].row.id, enabled, reason)

    request.run(run)
    answer = {"host": name, "binary": binary, "status": "enabled" if enabled else "disabled"}
    return {"service": {**answer, "disabled_reason": reason} if reason is not None else answer}


@operation(
    "PUT", "/os-services/enable", action="compute:service:update", body=obj(WHICH, required=("host", "binary")), answer=answers.SWITCHED
)
def enable_service(request: Request) -> Json:
    """Let placement choose the host again."""
    return _switch(request, enabled=True)


@operation(
    "PUT", "/os-services/disable", action="compute:service:update", body=obj(WHICH, required=("host", "binary")), answer=answers.SWITCHED
)
def disable_service(request: Request) -> Json:
    """Place nothing more on the host."""
    return _switch(request, enabled=False)


@operation(
    "PUT", "/os-services/disable-log-reason", action="compute:service:update",
    body=obj({**WHICH, "disabled_reason": shapes.NAME}, required=("host", "binary", "disabled_reason")),
    answer=answers.SWITCHED_WITH_REASON,
)  # fmt: skip
def disable_service_with_reason(request: Request) -> Json:
    """Place nothing more on the host, and say why."""
    return _switch(request, enabled=False, reason=request.body["disabled_reason"])


@operation("GET", "/os-hypervisors", action="compute:hypervisor:list", answer=answers.BRIEF_HYPERVISORS)
def list_hypervisors(request: Request) -> Json:
    """Ids, names and states."""
    return {"hypervisors": [_brief(item) for item in request.read(host.all_hosts)]}


@operation("GET", "/os-hypervisors/detail", action="compute:hypervisor:list", answer=answers.HYPERVISORS)
def list_hypervisors_in_detail(request: Request) -> Json:
    """Whole hypervisors."""
    return {"hypervisors": [_hypervisor(item) for item in request.read(host.all_hosts)]}


@operation("GET", "/os-hypervisors/statistics", action="compute:hypervisor:list", answer=answers.STATISTICS)
def show_statistics(request: Request) -> Json:
    """Sums over all hypervisors that are enabled."""
    found = [_sizes(item) for item in request.read(host.all_hosts) if item.row.enabled]
    total = {name: sum(item[name] for item in found) for name in answers.SIZES}
    return {"hypervisor_statistics": {"count": len(found), **total}}


@operation("GET", "/os-hypervisors/{hypervisor_id}", action="compute:hypervisor:show", answer=answers.HYPERVISOR)
def show_hypervisor(request: Request) -> Json:
    """One hypervisor."""
    return {"hypervisor": _hypervisor(_one(request))}


@operation("GET", "/os-hypervisors/{hypervisor_id}/uptime", action="compute:hypervisor:show", answer=answers.UPTIME)
def show_uptime(request: Request) -> Json:
    """One hypervisor; agents do not report an uptime."""
    return {"hypervisor": {**_brief(_one(request)), "uptime": ""}}


@operation("GET", "/os-hypervisors/{hypervisor_id}/search", action="compute:hypervisor:list", answer=answers.BRIEF_HYPERVISORS)
def search_hypervisors(request: Request) -> Json:
    """Hypervisors whose name holds the text."""
    return {"hypervisors": [_brief(item) for item in _matching(request)]}


@operation("GET", "/os-hypervisors/{hypervisor_id}/servers", action="compute:hypervisor:list", answer=answers.WITH_SERVERS)
def list_hypervisor_servers(request: Request) -> Json:
    """Hypervisors whose name holds the text, with their servers."""
    found = _matching(request)
    placed = request.read(lambda tx: servers.on_hosts(tx, [item.row.id for item in found]))
    return {
        "hypervisors": [
            {**_brief(item), "servers": [{"uuid": key, "name": key} for key in placed.get(item.row.id, ())]} for item in found
        ]
    }  # fmt: skip


def _one(request: Request) -> HostView:
    return request.read(lambda tx: host.one(tx, request.path["hypervisor_id"]))


def _matching(request: Request) -> list[HostView]:
    text = request.path["hypervisor_id"]
    found = [item for item in request.read(host.all_hosts) if text in item.row.name]
    if not found:
        raise NotFound(f"No hypervisor matching '{text}' could be found.")
    return found


def _brief(item: HostView) -> Json:
    return {"id": item.row.id, "hypervisor_hostname": item.row.name, "state": _up(item), "status": _status(item)}


def _sizes(item: HostView) -> dict[str, int]:
    row = item.row
    values = (
        0, max(0, row.disk_gib - item.disk_used_gib), row.disk_gib - item.disk_used_gib, row.memory_mib - item.memory_used_mib,
        row.disk_gib, item.disk_used_gib, row.memory_mib, item.memory_used_mib, item.servers, row.vcpus, item.vcpus_used,
    )  # fmt: skip
    return dict(zip(answers.SIZES, values, strict=True))


def _hypervisor(item: HostView) -> Json:
    row = item.row
    return {
        **_brief(item), **_sizes(item), "host_ip": row.address or "0.0.0.0", "hypervisor_type": row.hypervisor_type,
        "hypervisor_version": row.hypervisor_version, "cpu_info": json.dumps(row.cpu_info),
        "service": {"id": row.id, "host": row.name, "disabled_reason": row.disabled_reason},
    }  # fmt: skip
