"""What a host is to do: its whole desired state, assembled in a constant number of queries. The shape is docs/design/0001-rooms.md's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Interval, literal, select

from common import epoch
from common.db import Tx, clock
from compute.models import Allocation, Host, Question, Server, ServerDisk
from compute.names import POOL, disk_name
from compute.service import limits
from network import public as network_public
from network.public import PortView
from volume import public as volume_public
from volume.public import AttachmentView

DETACH_DEADLINE_S = 60
QUESTION_SECONDS = 30
SERIAL = 20
Json = dict[str, Any]


def answer(tx: Tx, host: Host, digest: str | None) -> Json:
    """`{"unchanged": true}` for who has it all, else the host's document."""
    made = document(tx, host)
    return {"unchanged": True} if made["digest"] == digest else made


def document(tx: Tx, host: Host) -> Json:
    """The desired state of `host`, with its digest."""
    rows = _servers(tx, host.id)
    ids = [row.id for row in rows]
    ports = network_public.ports_of(tx, ids)
    attachments = volume_public.attachments_of(tx, ids)
    overrides = _overrides(tx, ids)
    network_ids = sorted({port.network_id for found in ports.values() for port in found})
    rest: Json = {
        "epoch": epoch.current(tx).epoch,
        "host": {"id": host.id, "name": host.name, "chassis": host.chassis},
        "servers": [_server(row, host, ports.get(row.id, ()), attachments.get(row.id, ()), overrides) for row in rows],
        "networks": _networks(tx, network_ids),
        "questions": _questions(tx, host.id),
    }
    return {**rest, "digest": digest_of(rest)}


def digest_of(rest: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def _servers(tx: Tx, host_id: str) -> list[Server]:
    asked = select(Server).join(Allocation, Allocation.server_id == Server.id).where(Allocation.host_id == host_id)
    return list(tx.execute(asked.order_by(Server.id)).scalars())


def _overrides(tx: Tx, ids: Sequence[str]) -> dict[tuple[str, str], Json]:
    asked = select(ServerDisk.server_id, ServerDisk.disk_id, ServerDisk.limits)
    rows = tx.execute(asked.where(ServerDisk.server_id.in_(ids), ServerDisk.limits.is_not(None)))
    return {(row.server_id, row.disk_id): row.limits for row in rows}


def _server(
    row: Server, host: Host, ports: Sequence[PortView], attachments: Sequence[AttachmentView], overrides: Mapping[tuple[str, str], Json]
) -> Json:
    present = [item for item in attachments if item.desired == "present"]
    return {
        "id": row.id, "generation": row.generation, "name": row.name, "project_id": row.project_id, "user_id": row.user_id,
        "hostname": row.hostname, "desired": row.desired, "reboots": row.reboots, "reboot_type": row.reboot_type,
        "startable": row.prepared and all(item.ready for item in present),
        "vcpus": row.vcpus, "memory_mib": row.memory_mib, "machine": {"firmware": "bios"},
        "disks": _disks(row, attachments, overrides),
        "nics": [_nic(port) for port in ports],
        "metadata": _metadata(row, host, ports),
    }  # fmt: skip


def _disks(row: Server, attachments: Sequence[AttachmentView], overrides: Mapping[tuple[str, str], Json]) -> list[Json]:
    ordered = sorted(attachments, key=lambda item: (len(item.device), item.device))
    volumes = [_volume(row, item, overrides) for item in ordered]
    if row.image_id is None:
        return volumes
    root = {
        "id": limits.ROOT, "generation": row.generation, "serial": row.id[:SERIAL], "device": "vda", "boot": True,
        "desired": "present", "detach_deadline_s": DETACH_DEADLINE_S, "pool": POOL, "image": disk_name(row.id),
        "size_gib": row.root_gib, "limits": limits.effective(row, overrides.get((row.id, limits.ROOT))),
    }  # fmt: skip
    return [root, *volumes]


def _volume(row: Server, item: AttachmentView, overrides: Mapping[tuple[str, str], Json]) -> Json:
    return {
        "id": item.id, "generation": item.generation, "serial": item.volume_id[:SERIAL], "device": item.device,
        "boot": row.image_id is None and item.mountpoint == row.root_device, "desired": item.desired,
        "detach_deadline_s": DETACH_DEADLINE_S, "pool": item.pool, "image": item.rbd_image, "size_gib": item.size_gib,
        "limits": limits.effective(row, overrides.get((row.id, item.id))),
    }  # fmt: skip


def _nic(port: PortView) -> Json:
    own: Json = {
        "port_id": port.id, "generation": port.generation, "mac": port.mac, "tap": port.tap, "mtu": port.mtu, "network_id": port.network_id,
        "fixed_ips": [{"ip": ip.ip, "prefix": ip.prefix, "version": ip.version} for ip in port.fixed_ips],
    }  # fmt: skip
    return {**own, **_spoofs(port)}


def _spoofs(port: PortView) -> Json:
    """What the port may send as beside its own addresses; nothing for most."""
    pairs = [{"ip_address": pair["ip_address"], "mac_address": pair["mac_address"]} for pair in port.allowed_address_pairs]
    return ({"allowed_address_pairs": pairs} if pairs else {}) | ({} if port.port_security_enabled else {"port_security_enabled": False})


def _metadata(row: Server, host: Host, ports: Sequence[PortView]) -> Json:
    groups = [name for port in ports for name in port.security_group_names]
    return {
        "public_keys": {row.key_name: row.public_key} if row.key_name and row.public_key else {},
        "meta": row.meta, "user_data": row.user_data, "availability_zone": host.availability_zone, "launch_index": row.launch_index,
        "instance_type": row.flavor["name"], "security_groups": list(dict.fromkeys(groups)),
        "floating_ips": {fixed: floating for port in ports for fixed, floating in sorted(port.floating_by_fixed.items())},
        "reservation_id": row.reservation_id, "created": row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip


def _networks(tx: Tx, network_ids: list[str]) -> list[Json]:
    found = network_public.metadata_ports(tx, network_ids)
    return [
        {"id": key, "mtu": port.mtu, "metadata_port": {"id": port.id, "mac": port.mac, "ips": list(port.ips)}}
        for key, port in sorted(found.items())
    ]


def _questions(tx: Tx, host_id: str) -> list[Json]:
    fresh = Question.asked_at > clock() - literal(timedelta(seconds=QUESTION_SECONDS), Interval())
    asked = select(Question).where(Question.host_id == host_id, Question.answered_at.is_(None), fresh).order_by(Question.id)
    return [{"id": row.id, "kind": row.kind, "server_id": row.server_id, "length": row.length} for row in tx.execute(asked).scalars()]
