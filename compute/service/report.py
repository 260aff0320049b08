"""What a host saw: observed state is written only where it changed, and what waited for it is made due."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from common import epoch, jobs
from common.api.shapes import Checker, array, obj
from common.db import Tx, clock
from common.models import Job
from compute.agent.report import MOST_UNKNOWN, NAME_LENGTH
from compute.models import Allocation, Host, Question, Server, ServerAction, ServerDisk
from compute.service import actions, limits
from volume import public as volume_public
from volume.public import AttachmentView

LOG = logging.getLogger(__name__)
Json = Mapping[str, Any]
STATES = ("running", "stopped", "crashed", "paused", "absent", "pending")
RESOURCES = ("vcpus", "memory_mib", "disk_gib", "hypervisor_type", "hypervisor_version", "cpu_info", "hostname")
MOST_COUNT = 2**31 - 1
NUMBER = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
FAULT = {"anyOf": [{"type": "null"}, obj({"code": NUMBER, "message": TEXT, "tries": NUMBER}, required=("message",), extra=True)]}
ATTACH_TRIES = 6  # a host fails for the sixth time after 62 s: more than a hiccup
DISK = obj(
    {"id": TEXT, "generation": NUMBER, "state": {"enum": ["present", "absent", "refused"]}, "fault": FAULT},
    required=("id", "generation", "state"),
    extra=True,
)
SERVER = obj(
    {
        "id": TEXT, "generation": NUMBER, "state": {"enum": list(STATES)}, "shutdown_by_guest": {"type": "boolean"}, "reboots": NUMBER,
        "fault": FAULT, "disks": array(DISK),
    },
    required=("id", "generation", "state"), extra=True,
)  # fmt: skip
SHAPE = obj(
    {
        "epoch": NUMBER, "resources": {"type": "object"}, "servers": array(SERVER), "unknown": array(TEXT), "unknown_count": NUMBER,
        "answers": array(obj({"id": TEXT}, required=("id",), extra=True)),
    },
    required=("epoch", "servers"), extra=True,
)  # fmt: skip
CHECK = Checker(SHAPE)


def take(tx: Tx, host: Host, body: Json) -> dict[str, Any]:
    """Write what the host's report says; the answer, which may ask it to pull again. Raises BadRequest for a body of another shape."""
    CHECK(body, what="report")
    _host(tx, host, body)
    _answers(tx, host.id, body.get("answers") or ())
    if body["epoch"] != epoch.current(tx).epoch:
        return {"pull": True}
    rows = _rows(tx, host.id)
    entries = {entry["id"]: entry for entry in body["servers"] if entry["id"] in rows}
    changed = sorted(key for key, entry in entries.items() if _differs(rows[key], entry))
    again = [_server(tx, row, entries[row.id]) for row in _locked(tx, changed)]
    given_up = _disks(tx, rows, entries)
    return {"pull": given_up or any(again)}


def _host(tx: Tx, host: Host, body: Json) -> None:
    resources = body.get("resources") or {}
    values = {name: resources[name] for name in RESOURCES if resources.get(name) is not None}
    values |= {"address": body.get("address"), "applied_digest": body.get("digest"), **_unknown(body)}
    new = {name: value for name, value in values.items() if getattr(host, name) != value}
    if not new:
        return
    tx.execute(update(Host).where(Host.id == host.id).values(**new))
    if new.keys() & {"unknown", "unknown_count"}:
        _tell(host.name, values["unknown"], values["unknown_count"])


def _unknown(body: Json) -> dict[str, Any]:
    """What the host left alone: its first lines, and how many there are."""
    lines = body.get("unknown") or ()
    shown = ["".join(c if c.isprintable() else "?" for c in line[:NAME_LENGTH]) for line in lines[:MOST_UNKNOWN]]
    return {"unknown": shown, "unknown_count": min(max(body.get("unknown_count", 0), len(lines)), MOST_COUNT)}


def _tell(name: str, lines: list[str], count: int) -> None:
    if not lines:
        LOG.warning("host %s: nothing is left there that no row knows", name)
        return
    rest = f" and {count - len(lines)} more" if count > len(lines) else ""
    LOG.warning("host %s holds what no row knows; it is left alone: %s%s", name, ", ".join(lines), rest)


def _answers(tx: Tx, host_id: str, answers: Any) -> None:
    for item in answers:
        mine = update(Question).where(Question.id == item["id"], Question.host_id == host_id, Question.answered_at.is_(None))
        tx.execute(mine.values(output=_clean(item.get("output")), error=_clean(item.get("error")), answered_at=clock()))


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "")  # PostgreSQL's text holds no NUL, a serial line may


def _rows(tx: Tx, host_id: str) -> dict[str, Server]:
    asked = select(Server).join(Allocation, Allocation.server_id == Server.id).where(Allocation.host_id == host_id)
    return {row.id: row for row in tx.execute(asked).scalars()}


def _locked(tx: Tx, ids: list[str]) -> list[Server]:
    if not ids:
        return []
    asked = select(Server).where(Server.id.in_(ids)).order_by(Server.id).with_for_update()
    return list(tx.execute(asked.execution_options(populate_existing=True)).scalars())


def _differs(row: Server, entry: Json) -> bool:
    new = _facts(entry)
    return (
        any(getattr(row, name) != value for name, value in new.items())
        or _message(row.fault) != _message(entry.get("fault"))
        or bool(entry.get("shutdown_by_guest") and row.desired == "running")
        or (row.launched_at is None and _has_run(entry))
    )


def _facts(entry: Json) -> dict[str, Any]:
    return {
        "observed_state": entry["state"], "reported_generation": entry["generation"], "observed_reboots": entry.get("reboots", 0),
        "pending_reason": entry.get("reason"),
    }  # fmt: skip


def _message(fault: Any) -> str | None:
    return fault["message"] if fault else None


def _has_run(entry: Json) -> bool:
    return entry["state"] == "running" or bool(entry.get("shutdown_by_guest"))


def _server(tx: Tx, row: Server, entry: Json) -> bool:
    """Write one entry into its locked row; whether the host should pull again."""
    due = entry["state"] == "absent" and (row.observed_state, row.reported_generation) != ("absent", entry["generation"])
    for name, value in _facts(entry).items():
        if getattr(row, name) != value:
            setattr(row, name, value)
    if row.launched_at is None and _has_run(entry):
        row.launched_at = _moment(entry.get("started_at")) or tx.execute(select(clock())).scalar()
        due = True
    due = _fault(row, entry) or due
    ended = _ended_by_guest(tx, row, entry)
    _finish(tx, row, entry)
    if due:
        _due(tx, row.id)
    return ended


def _due(tx: Tx, server_id: str) -> None:
    """What the server's job waits for may have happened; one that was parked (its host was away for long) goes on."""
    parked = select(Job.id).where(Job.subject_id == server_id, Job.due_at.is_(None))
    if tx.execute(parked).scalar() is not None:
        jobs.unpark(tx, server_id)
    else:
        jobs.hasten(tx, server_id)


def _fault(row: Server, entry: Json) -> bool:
    """Take over the host's fault, or clear one that the present state disproves; whether a fault came."""
    fault = entry.get("fault")
    if fault is not None and row.desired != "absent":
        if _message(row.fault) == fault["message"]:
            return False
        row.fault = {
            "code": int(fault.get("code") or 500), "message": fault["message"],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        return True
    arrived = {"running": "running", "stopped": "stopped"}.get(row.desired) == entry["state"]
    if row.fault is not None and row.prepared and arrived and entry["generation"] >= row.generation:
        row.fault = None
    return False


def _ended_by_guest(tx: Tx, row: Server, entry: Json) -> bool:
    """A clean shutdown from inside, of the generation that is wished now, becomes the wish."""
    current = entry["generation"] >= row.generation and entry.get("reboots", 0) >= row.reboots
    if not (entry.get("shutdown_by_guest") and row.desired == "running" and current):
        return False
    row.desired = "stopped"
    row.touch()
    tx.add(
        ServerAction(
            server_id=row.id, action="stop", request_id="", project_id=row.project_id, message="The guest shut itself down.",
            finished_at=clock(),
        )
    )  # fmt: skip
    return True


def _finish(tx: Tx, row: Server, entry: Json) -> None:
    """What was asked has come about where the present wish is reported as seen."""
    if entry["generation"] < row.generation:
        return
    if row.desired == "running" and entry["state"] == "running" and entry.get("reboots", 0) >= row.reboots:
        row.observed_generation = row.generation
        actions.finish(tx, row.id, "create", "start", "reboot")
    elif row.desired == "stopped" and entry["state"] in ("stopped", "crashed"):
        row.observed_generation = row.generation
        actions.finish(tx, row.id, "stop")


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _disks(tx: Tx, rows: Mapping[str, Server], entries: Mapping[str, Json]) -> bool:
    """Attachments that the host has brought about, or cannot, and limits that it read back; whether an attachment was given up."""
    ids = sorted(entries)
    known = {item.id: item for found in volume_public.attachments_of(tx, ids).values() for item in found}
    seen = {(row.server_id, row.disk_id): row for row in tx.execute(select(ServerDisk).where(ServerDisk.server_id.in_(ids))).scalars()}
    given_up = False
    for server_id, disk in _each_disk(entries):
        attachment = known.get(disk["id"])
        if attachment is not None:
            given_up = _attachment(tx, rows[server_id], attachment, disk) or given_up
        if attachment is not None or disk["id"] == limits.ROOT:
            _observed(tx, server_id, disk, seen.get((server_id, disk["id"])))
    return given_up


def _each_disk(entries: Mapping[str, Json]) -> list[tuple[str, Json]]:
    return [(server_id, disk) for server_id in sorted(entries) for disk in entries[server_id].get("disks") or ()]


def _attachment(tx: Tx, row: Server, item: AttachmentView, disk: Json) -> bool:
    """Take over what the host says of an attachment; whether it was given up."""
    if disk["generation"] != item.generation:
        return False
    if item.desired == "present":
        return _wished(tx, row, item, disk)
    if disk["state"] == "absent":
        volume_public.detached(tx, item.id)
        tx.execute(delete(ServerDisk).where(ServerDisk.disk_id == item.id))
    elif disk["state"] == "refused":
        volume_public.refused(tx, item.id, "The guest did not let go of the disk in time.")
    return False


def _wished(tx: Tx, row: Server, item: AttachmentView, disk: Json) -> bool:
    """An attachment that is in place, or was never and fails on the host again and again: then its volume is free for another."""
    if disk["state"] == "present" and item.observed_generation != item.generation:
        volume_public.attached(tx, item.id, item.generation)
    fault = disk.get("fault") or {}
    if disk["state"] != "absent" or item.attached_at is not None or fault.get("tries", 0) < ATTACH_TRIES:
        return False
    volume_public.detach(tx, item.id)
    message = f"Volume {item.volume_id} could not be attached: {fault['message']}"
    tx.add(
        ServerAction(
            server_id=row.id, action="attach_volume", request_id="", project_id=row.project_id, message=message, finished_at=clock()
        )
    )  # fmt: skip
    return True


def _observed(tx: Tx, server_id: str, disk: Json, row: ServerDisk | None) -> None:
    if disk["state"] != "present" or not isinstance(disk.get("limits"), dict):
        return
    values = {"observed": {name: int(disk["limits"].get(name) or 0) for name in limits.NAMES}, "device": disk.get("device")}
    if row is not None and row.observed == values["observed"] and row.device == values["device"]:
        return
    statement = insert(ServerDisk).values(server_id=server_id, disk_id=disk["id"], **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["server_id", "disk_id"], set_=values))
