"""Shapes of the bodies of the compute API at 2.1, and how a request for servers is read into the core's words."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Any

from common.api import shapes
from common.api.request import Request
from common.api.shapes import array, integer, obj, truth
from common.errors import BadRequest
from compute.service.wishes import BlockDevice, NewServer, Nic

Json = dict[str, Any]
MOST_SERVERS = 1000
ADDRESS = {"type": "string", "maxLength": 64}
NULLABLE_ID = {"type": ["string", "null"], "maxLength": 255}
DISK_CONFIG = {"enum": ["AUTO", "MANUAL"]}
NIC = obj({"uuid": shapes.UUID, "port": {**shapes.OPTIONAL_UUID}, "fixed_ip": shapes.IP})
BLOCK_DEVICE = obj({
    "boot_index": {"anyOf": [{"type": "null"}, integer(-1)]}, "uuid": {"type": ["string", "null"], "format": "uuid"},
    "source_type": {"enum": ["image", "volume", "snapshot", "blank"]}, "destination_type": {"enum": ["local", "volume"]},
    "volume_size": {"anyOf": [{"type": "null"}, {"enum": [""]}, integer(1)]}, "delete_on_termination": shapes.LOOSE_BOOLEAN,
    "device_name": shapes.OPTIONAL_TEXT, "device_type": shapes.OPTIONAL_TEXT, "disk_bus": shapes.OPTIONAL_TEXT,
    "guest_format": shapes.OPTIONAL_TEXT, "no_device": {}, "volume_id": shapes.OPTIONAL_UUID,
})  # fmt: skip
SERVER = obj(
    {
        "name": shapes.NAME, "imageRef": {"anyOf": [{"enum": [""]}, shapes.UUID]}, "flavorRef": {"type": ["string", "integer"]},
        "adminPass": {"type": "string", "maxLength": 255}, "metadata": shapes.METADATA,
        "networks": {"anyOf": [{"enum": ["auto", "none"]}, {"type": "null"}, array(NIC)]}, "key_name": shapes.NAME,
        "OS-DCF:diskConfig": DISK_CONFIG, "accessIPv4": ADDRESS, "accessIPv6": ADDRESS, "personality": array(obj({}, extra=True)),
        "availability_zone": shapes.TEXT, "block_device_mapping_v2": array(BLOCK_DEVICE), "config_drive": {}, "min_count": integer(1, MOST_SERVERS),
        "max_count": integer(1, MOST_SERVERS), "return_reservation_id": shapes.LOOSE_BOOLEAN,
        "security_groups": array(obj({"name": shapes.TEXT}, required=("name",))),
        "user_data": {"type": ["string", "null"], "format": "base64", "maxLength": 65535},
        "tags": array({}, maxItems=0),  # of 2.52, but Ansible sends none at every version
    },
    required=("name", "flavorRef"),
)  # fmt: skip
REFUSED_HINTS = {"group", "same_host", "different_host", "query", "build_near_host_ip", "target_cell"}
HINTS = obj({}, extra=True)
CREATE = obj({"server": SERVER, "os:scheduler_hints": HINTS, "OS-SCH-HNT:scheduler_hints": HINTS}, required=("server",))
UPDATE = shapes.wrapped(
    "server", obj({"name": shapes.NAME, "accessIPv4": ADDRESS, "accessIPv6": ADDRESS, "OS-DCF:diskConfig": DISK_CONFIG})
)


def new_server(request: Request) -> NewServer:
    """The request for servers. Raises BadRequest for what this cloud does not offer or two fields that contradict each other."""
    body: Json = request.body["server"]
    _refuse(request.body)
    least = int(body.get("min_count", 1))
    most = int(body.get("max_count", max(least, 1)))
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    zone, host = _zone(request, body.get("availability_zone"))
    groups = body.get("security_groups")
    return NewServer(
        name=body["name"].strip(), flavor_id=str(body["flavorRef"]), image_id=body.get("imageRef") or None,
        nics=_nics(body.get("networks")), security_groups=[item["name"] for item in groups] if groups else None,
        block_devices=[_device(item) for item in body.get("block_device_mapping_v2", ())], key_name=body.get("key_name"),
        user_data=_user_data(body.get("user_data")), metadata=body.get("metadata", {}), availability_zone=zone, forced_host=host,
        minimum=least, maximum=most, disk_config=body.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=address(body, "accessIPv4", 4), access_ip_v6=address(body, "accessIPv6", 6),
    )  # fmt: skip


def _refuse(body: Json) -> None:
    server = body["server"]
    drive = server.get("config_drive")
    if drive not in (None, "", "0") and str(drive).lower() not in ("false", "no", "off"):
        raise BadRequest(f"Invalid input for field/attribute config_drive. Value: {drive}. This cloud offers the metadata service instead.")
    if server.get("personality"):
        raise BadRequest("Invalid input for field/attribute personality. Files are not injected; use user_data.")
    hints = {**body.get("os:scheduler_hints", {}), **body.get("OS-SCH-HNT:scheduler_hints", {})}
    unknown = sorted(REFUSED_HINTS & hints.keys())
    if unknown:
        raise BadRequest(f"The scheduler hint {unknown[0]} ({hints[unknown[0]]}) is not offered; choose an availability zone instead.")


def _nics(given: Any) -> list[Nic] | None:
    if given == "none":
        return []
    if not given or given == "auto":
        return None
    return [Nic(network_id=item.get("uuid"), port_id=item.get("port"), fixed_ip=item.get("fixed_ip")) for item in given]


def _device(item: Json) -> BlockDevice:
    source = item.get("source_type", "blank")
    size, index = item.get("volume_size"), item.get("boot_index")
    return BlockDevice(
        source=source, destination=item.get("destination_type") or ("local" if source in ("image", "blank") else "volume"),
        id=item.get("uuid") or item.get("volume_id"), size_gib=int(size) if size else None,
        boot_index=int(index) if index is not None else None, device=item.get("device_name"),
        delete_on_termination=truth(item.get("delete_on_termination", False)),
    )  # fmt: skip


def _user_data(text: str | None) -> str | None:
    if not text:
        return None
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise BadRequest("Invalid input for field/attribute user_data. Value: ***. It is not base64.") from None
    return text


def _zone(request: Request, given: str | None) -> tuple[str | None, str | None]:
    """`zone`, or `zone:host` for those who may choose hosts."""
    zone, _, rest = (given or "").partition(":")
    host = rest.partition(":")[0]
    if host:
        request.must("compute:server:create:forced_host", field="availability_zone")
    return zone or None, host or None


def address(body: Json, name: str, version: int) -> str | None:
    """An access address of this IP version; empty is none. Raises BadRequest."""
    value = body.get(name)
    if not value:
        return None
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. It is not an IPv{version} address.")
    return str(found)
