"""Shapes of servers as they are shown."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import LINK, LINKS, NULL, NUMBER, OPTIONAL_STRING, STRING, TEXTS, always, mapped, page
from common.api.shapes import Shape, array, wrapped
from compute.api.bodies import DISK_CONFIG
from compute.status import CRASHED, NOSTATE, PAUSED, RUNNING, SHUTDOWN

STATUS: Shape = {"enum": ["ACTIVE", "BUILD", "ERROR", "HARD_REBOOT", "PAUSED", "REBOOT", "SHUTOFF"]}
VM_STATE: Shape = {"enum": ["active", "building", "error", "paused", "stopped"]}
TASK_STATE: Shape = {
    "enum": [
        None, "block_device_mapping", "deleting", "powering-off", "powering-on", "rebooting", "rebooting_hard", "scheduling", "spawning",
    ]
}  # fmt: skip
ELSEWHERE = always({"id": STRING, "links": array(LINK)})
NAMES = array(always({"name": STRING}))

BARE_ADDRESS: dict[str, Any] = {"version": {"enum": [4, 6]}, "addr": STRING}
ADDRESS = always({**BARE_ADDRESS, "OS-EXT-IPS:type": {"enum": ["fixed", "floating"]}, "OS-EXT-IPS-MAC:mac_addr": STRING})
FAULT = always({"code": NUMBER, "message": STRING, "created": STRING}, {"details": STRING})

_BRIEF: dict[str, Any] = {"id": STRING, "name": STRING, "links": LINKS}
_CORE: dict[str, Any] = {
    **_BRIEF, "status": STATUS, "tenant_id": STRING, "user_id": STRING, "metadata": TEXTS, "hostId": STRING,
    "image": {"anyOf": [ELSEWHERE, {"enum": [""]}]}, "flavor": ELSEWHERE, "created": STRING, "updated": STRING,
    "addresses": mapped(array(ADDRESS)), "accessIPv4": STRING, "accessIPv6": STRING, "OS-DCF:diskConfig": DISK_CONFIG,
}  # fmt: skip
# By the status.
_SOMETIMES: dict[str, Any] = {"progress": {"enum": [0, 100]}, "fault": FAULT}
_EXTENSIONS: dict[str, Any] = {
    "OS-EXT-AZ:availability_zone": STRING, "config_drive": STRING, "key_name": OPTIONAL_STRING, "OS-SRV-USG:launched_at": OPTIONAL_STRING,
    "OS-SRV-USG:terminated_at": NULL, "OS-EXT-STS:task_state": TASK_STATE, "OS-EXT-STS:vm_state": VM_STATE,
    "OS-EXT-STS:power_state": {"enum": [NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED]},
    "os-extended-volumes:volumes_attached": array(always({"id": STRING})), "security_groups": NAMES,
}  # fmt: skip
# For whom policy lets see it.
_HOST: dict[str, Any] = {
    "OS-EXT-SRV-ATTR:host": OPTIONAL_STRING, "OS-EXT-SRV-ATTR:hypervisor_hostname": OPTIONAL_STRING, "OS-EXT-SRV-ATTR:instance_name": STRING,
}  # fmt: skip
_SERVER = always({**_CORE, **_EXTENSIONS}, {**_SOMETIMES, **_HOST})
_NEW = always({"id": STRING, "links": LINKS, "OS-DCF:diskConfig": DISK_CONFIG, "security_groups": NAMES, "adminPass": STRING})

SERVER, CHANGED = wrapped("server", _SERVER), wrapped("server", always(_CORE, _SOMETIMES))
SERVERS, BRIEF_SERVERS = page("servers", _SERVER), page("servers", always(_BRIEF))
CREATED: Shape = {"oneOf": [wrapped("server", _NEW), always({"reservation_id": STRING})]}
