"""Shapes of what hangs on a server: metadata, addresses, volumes, ports, security groups."""

from __future__ import annotations

from common.api.answer_shapes import NUMBER, OPTIONAL_NUMBER, OPTIONAL_STRING, STRING, TEXTS, always, mapped
from common.api.shapes import Shape, array, wrapped
from compute.api.shapes.server import BARE_ADDRESS

METADATA = always({"metadata": TEXTS})
ITEM = always({"meta": {**TEXTS, "minProperties": 1, "maxProperties": 1}})

_ADDRESSES = array(always(BARE_ADDRESS))
ADDRESSES = always({"addresses": mapped(_ADDRESSES)})
# By the network's name.
ADDRESSES_OF_ONE: Shape = {**mapped(_ADDRESSES), "minProperties": 1, "maxProperties": 1}

_ATTACHMENT = always({"id": STRING, "volumeId": STRING, "serverId": STRING, "device": STRING})
ATTACHMENT, ATTACHMENTS = wrapped("volumeAttachment", _ATTACHMENT), always({"volumeAttachments": array(_ATTACHMENT)})

_INTERFACE = always({
    "port_id": STRING, "net_id": STRING, "mac_addr": STRING, "port_state": {"enum": ["ACTIVE", "DOWN"]},
    "fixed_ips": array(always({"subnet_id": STRING, "ip_address": STRING})),
})  # fmt: skip
INTERFACE, INTERFACES = wrapped("interfaceAttachment", _INTERFACE), always({"interfaceAttachments": array(_INTERFACE)})

# -1 is any type or code; a remote is a group or a range, the other is empty.
_RULE = always({
    "id": STRING, "parent_group_id": STRING, "ip_protocol": OPTIONAL_STRING, "from_port": OPTIONAL_NUMBER, "to_port": OPTIONAL_NUMBER,
    "group": always({}, {"name": STRING, "tenant_id": STRING}), "ip_range": always({}, {"cidr": STRING}),
})  # fmt: skip
_GROUP = always({"id": STRING, "name": STRING, "description": STRING, "tenant_id": STRING, "rules": array(_RULE)})
GROUPS = always({"security_groups": array(_GROUP)})

OUTPUT = always({"output": STRING})


def disk_limits(*names: str) -> Shape:
    """Each disk's limits, under `names`; `observed` has none before the host has reported it."""
    limits = dict.fromkeys(names, NUMBER)
    disk = always({"device": STRING, "volume_id": OPTIONAL_STRING, "desired": always(limits), "observed": always({}, limits)})
    return always({"disks": array(disk)})
