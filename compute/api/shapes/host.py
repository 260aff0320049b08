"""Shapes of zones, services and hypervisors."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import FLAG, NULL, NUMBER, OPTIONAL_STRING, STRING, always, mapped
from common.api.shapes import Shape, array, wrapped

_STATE = always({"available": FLAG, "active": FLAG, "updated_at": OPTIONAL_STRING})


def _zones(hosts: Shape) -> Shape:
    zone = always({"zoneName": STRING, "zoneState": always({"available": FLAG}), "hosts": hosts})
    return always({"availabilityZoneInfo": array(zone)})


# In detail by host, and there by binary.
ZONES, ZONES_IN_DETAIL = _zones(NULL), _zones(mapped(mapped(_STATE)))
# Hosts are grouped by zones alone.
AGGREGATES = always({"aggregates": array({}, maxItems=0)})

STATUS: Shape = {"enum": ["enabled", "disabled"]}
UP: Shape = {"enum": ["up", "down"]}
_SERVICE = always({
    "id": STRING, "binary": STRING, "host": STRING, "zone": STRING, "status": STATUS, "state": UP, "updated_at": OPTIONAL_STRING,
    "disabled_reason": OPTIONAL_STRING,
})  # fmt: skip
SERVICES = always({"services": array(_SERVICE)})
_SWITCHED: dict[str, Any] = {"host": STRING, "binary": STRING, "status": STATUS}
SWITCHED, SWITCHED_WITH_REASON = wrapped("service", always(_SWITCHED)), wrapped("service", always({**_SWITCHED, "disabled_reason": STRING}))

SIZES = (
    "current_workload", "disk_available_least", "free_disk_gb", "free_ram_mb", "local_gb", "local_gb_used", "memory_mb", "memory_mb_used",
    "running_vms", "vcpus", "vcpus_used",
)  # fmt: skip
_BRIEF: dict[str, Any] = {"id": STRING, "hypervisor_hostname": STRING, "state": UP, "status": STATUS}
_HYPERVISOR = always({
    **_BRIEF, **dict.fromkeys(SIZES, NUMBER), "host_ip": STRING, "hypervisor_type": STRING, "hypervisor_version": NUMBER,
    "cpu_info": STRING, "service": always({"id": STRING, "host": STRING, "disabled_reason": OPTIONAL_STRING}),
})  # fmt: skip
HYPERVISOR, HYPERVISORS = wrapped("hypervisor", _HYPERVISOR), always({"hypervisors": array(_HYPERVISOR)})
BRIEF_HYPERVISORS = always({"hypervisors": array(always(_BRIEF))})
UPTIME = wrapped("hypervisor", always({**_BRIEF, "uptime": STRING}))
WITH_SERVERS = always({"hypervisors": array(always({**_BRIEF, "servers": array(always({"uuid": STRING, "name": STRING}))}))})
STATISTICS = wrapped("hypervisor_statistics", always({"count": NUMBER, **dict.fromkeys(SIZES, NUMBER)}))
