"""The rules of attachments: the one row that says which server has a volume. The server's host brings it about and reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import func, select, update

from common.auth import Actor
from common.db import Tx, clock
from common.errors import BadRequest
from volume.models import Attachment, Volume
from volume.service import volumes


def attach(
    tx: Tx, actor: Actor, volume_id: str, server_id: str, *, device: str, mountpoint: str, delete_on_termination: bool
) -> tuple[Attachment, Volume]:
    """Wish a volume at a server. Raises NotFound, and BadRequest unless it is intact or was made in this transaction."""
    found = volumes.get_locked(tx, actor, volume_id)
    fresh = volume_id in tx.info.get(volumes.MADE, ()) and found.status == "creating"
    if found.attachment is not None or (found.status not in volumes.INTACT and not fresh):
        raise BadRequest(f"Invalid volume: volume {volume_id} status must be available to attach, currently {found.status}.")
    attachment = Attachment(
        volume_id=volume_id, server_id=server_id, device=device, mountpoint=mountpoint, delete_on_termination=delete_on_termination
    )
    found.volume.label = None
    if found.volume.observed_gib:  # that it could not be grown is past
        found.volume.fault = None
    tx.add(attachment)
    tx.flush()
    tx.refresh(attachment)
    return attachment, found.volume


def detach(tx: Tx, attachment_id: str) -> None:
    """Wish it away; harmless when it is wished away, or gone."""
    attachment = _locked(tx, attachment_id)
    if attachment is None or attachment.desired == "absent":
        return
    attachment.desired, attachment.fault = "absent", None
    attachment.touch()
    _drop_label(tx, attachment.volume_id)


def attached(tx: Tx, attachment_id: str, generation: int) -> None:
    """The host has it in place as of `generation`; an older report than the last is ignored."""
    attachment = _locked(tx, attachment_id)
    if attachment is None or attachment.desired != "present" or generation < attachment.observed_generation:
        return
    attachment.observed_generation = generation
    if attachment.attached_at is None:
        attachment.attached_at = tx.execute(select(clock())).scalar_one()


def detached(tx: Tx, attachment_id: str) -> None:
    """The host has reported it gone."""
    attachment = _locked(tx, attachment_id)
    if attachment is not None:
        _drop_label(tx, attachment.volume_id)
        tx.delete(attachment)
        tx.flush()


def refused(tx: Tx, attachment_id: str, message: str) -> None:
    """The guest would not let it go in time: it stays, and the row says why."""
    attachment = _locked(tx, attachment_id)
    if attachment is None or attachment.desired != "absent":
        return
    created = tx.execute(select(func.to_char(clock(), 'YYYY-MM-DD"T"HH24:MI:SSOF'))).scalar_one()
    attachment.desired, attachment.fault = "present", {"code": 409, "message": message, "created": created}
    attachment.touch()


def of_servers(tx: Tx, server_ids: Iterable[str]) -> dict[str, list[tuple[Attachment, Volume]]]:
    """The attachments of servers with their volumes, oldest first, in one query."""
    statement = (
        select(Attachment, Volume)
        .join(Volume, Volume.id == Attachment.volume_id)
        .where(Attachment.server_id.in_(list(server_ids)))
        .order_by(Attachment.created_at, Attachment.id)
    )
    found: dict[str, list[tuple[Attachment, Volume]]] = defaultdict(list)
    for attachment, volume in tx.execute(statement.execution_options(populate_existing=True)):
        found[attachment.server_id].append((attachment, volume))
    return dict(found)


def _locked(tx: Tx, attachment_id: str) -> Attachment | None:
    statement = select(Attachment).where(Attachment.id == attachment_id).with_for_update()
    return tx.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()


def _drop_label(tx: Tx, volume_id: str) -> None:
    tx.execute(update(Volume).where(Volume.id == volume_id, Volume.label.is_not(None)).values(label=None))
