"""The bytes of an image, in and out. They flow with no transaction open; rows say who holds the image meanwhile."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO, cast

from sqlalchemy import CursorResult, Interval, literal, select, update

from common import jobs
from common.auth import Actor
from common.clock import Deadline
from common.config import CONF
from common.db import Database, Tx, clock
from common.errors import BadRequest, Conflict, Gone, ServiceUnavailable, TooLarge
from common.rbd import MIB, StoreError, StoreFull, StoreUnavailable
from image.engine import engine
from image.flows import image_data
from image.models import Image
from image.names import data_name
from image.service import images
from image.service.guard import Guard, most

PIECE = 4 * MIB
KEEP_SECONDS = 10.0


@dataclass(frozen=True)
class Ticket:
    """The right to write the data of an image, as upload number `upload`, as long as bytes arrive."""

    image_id: str
    upload: int
    disk_format: str

    @property
    def data(self) -> str:
        """The RBD image to write."""
        return data_name(self.image_id, self.upload)


@dataclass(frozen=True)
class Received:
    """What arrived: sizes in bytes, hashes in hex."""

    size: int
    virtual_size: int
    md5: str
    sha512: str


def begin(tx: Tx, actor: Actor, image_id: str) -> Ticket:
    """Take the image for an upload. Raises NotFound, Forbidden, BadRequest without formats, Conflict when it has data or is taken."""
    image = images.get_own(tx, actor, image_id)
    if not image.disk_format or not image.container_format:
        raise BadRequest("The attributes disk_format and container_format must be set before the data can be uploaded.")
    if image.data is not None:
        raise Conflict(f"Image status transition from active to saving is not allowed: image {image_id} has its data.")
    if tx.execute(select(Image.uploading).where(Image.id == image_id)).scalar():
        raise Conflict(f"Image status transition from saving to saving is not allowed: another upload to image {image_id} is running.")
    image.upload += 1
    image.touch()
    tx.execute(update(Image).where(Image.id == image_id).values(upload_until=_end()).execution_options(synchronize_session=False))
    jobs.enqueue(tx, image_data.FLOW, image_id, actor=actor.user_id, project_id=image.owner, delay=image_data.LOOK_SECONDS)
    return Ticket(image_id, image.upload, image.disk_format)


def receive(db: Database, ticket: Ticket, stream: BinaryIO, expected: int | None) -> None:
    """Store what `stream` gives, of `expected` bytes if that is known, and make the image active.

    Raises BadRequest for bytes that are not the image that was declared, or too few; Gone when the image was deleted meanwhile.
    """
    try:
        _check_size(expected or 0)
        with _refusals():
            received = _store(ticket, _pieces(stream, expected, lambda: db.run(lambda tx: _keep(tx, ticket))), expected)
        db.run(lambda tx: _finish(tx, ticket, received))
    except BaseException:
        db.run(lambda tx: _abandon(tx, ticket))
        raise


def _store(ticket: Ticket, pieces: Iterator[bytes], expected: int | None) -> Received:
    guard, md5, sha512 = Guard(ticket.disk_format), hashlib.md5(usedforsecurity=False), hashlib.sha512()
    with engine().upload(ticket.data, expected) as upload:
        for piece in pieces:
            guard.feed(piece)
            md5.update(piece)
            sha512.update(piece)
            upload.append(piece)
        virtual_size = guard.finish()
    return Received(guard.size, virtual_size, md5.hexdigest(), sha512.hexdigest())


def _pieces(stream: BinaryIO, expected: int | None, keep: Callable[[], None]) -> Iterator[bytes]:
    """The body in pieces; every few seconds in which some of it came the image is kept. Raises BadRequest when it ends too early, TooLarge."""
    due, size = Deadline(KEEP_SECONDS), 0
    while True:
        try:
            piece = _piece(stream, due)
        except (OSError, ValueError) as error:
            raise BadRequest(f"The upload broke off after {size} bytes or more: {error}.") from None
        if not piece:
            break
        size += len(piece)
        _check_size(size)
        yield piece
        if due.passed:
            keep()
            due = Deadline(KEEP_SECONDS)
    if expected is not None and size < expected:
        raise BadRequest(f"The upload broke off after {size} of {expected} bytes.")


def _piece(stream: BinaryIO, due: Deadline) -> bytes:
    """The next PIECE bytes, or as many as came until `due`; none at the end."""
    # Our server's body gives what there is; WSGI does not promise it of others'.
    read, parts, left = getattr(stream, "read1", stream.read), [], PIECE
    while left and (part := read(left)):
        parts.append(part)
        left -= len(part)
        if due.passed:
            break
    return b"".join(parts)


def _check_size(size: int) -> None:
    if size > most():
        raise TooLarge(f"The image data has {size} bytes or more; the limit is {most()}.")


def _end() -> Any:
    return clock() + literal(timedelta(seconds=CONF.image.upload_timeout), Interval())


def _mine(ticket: Ticket) -> Any:
    return update(Image).where(Image.id == ticket.image_id, Image.upload == ticket.upload, Image.data.is_(None))


def _keep(tx: Tx, ticket: Ticket) -> None:
    # One that is taken for dead stays dead: its bytes may be swept by now.
    kept = _mine(ticket).where(Image.desired == "present", Image.upload_until > clock()).values(upload_until=_end())
    if not cast("CursorResult[Any]", tx.execute(kept)).rowcount:
        raise _gone(ticket)


def _gone(ticket: Ticket) -> Gone:
    return Gone(f"Image {ticket.image_id} was deleted, changed, or taken by another upload, or the upload stood still for too long.")


def _finish(tx: Tx, ticket: Ticket, received: Received) -> None:
    statement = select(Image).where(Image.id == ticket.image_id).with_for_update(of=Image).execution_options(populate_existing=True)
    image = tx.execute(statement).scalar_one_or_none()
    if image is None or image.desired != "present" or image.upload != ticket.upload or image.data is not None:
        raise _gone(ticket)
    alive = tx.execute(select(Image.uploading).where(Image.id == ticket.image_id)).scalar()
    if not alive or image.disk_format != ticket.disk_format:
        raise _gone(ticket)
    image.data, image.upload_until, image.fault = ticket.data, None, None
    image.size, image.virtual_size = received.size, received.virtual_size
    image.checksum, image.hash_value = received.md5, received.sha512
    image.touch()
    if image.disk_format == "raw":
        image.observed_generation = image.generation
    jobs.enqueue(tx, image_data.FLOW, image.id, project_id=image.owner)


def _abandon(tx: Tx, ticket: Ticket) -> None:
    """The upload is over without data; its job sweeps what arrived."""
    tx.execute(_mine(ticket).values(upload_until=None))
    jobs.hasten(tx, ticket.image_id)


def content(image: Image, offset: int, length: int) -> Iterator[bytes]:
    """`length` bytes of the image's data from `offset`, in pieces. The store has answered when this returns."""
    if image.data is None:
        raise BadRequest(f"Image {image.id} has no data.")
    with _refusals():
        pieces = engine().read(image.data, offset, length)
        first = next(pieces, b"")
    return itertools.chain([first], pieces)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except StoreFull:
        raise TooLarge("There is not enough room on the image store.") from None
    except StoreUnavailable as error:
        raise ServiceUnavailable(f"The image store does not answer: {error}.") from error
    except StoreError as error:
        raise ServiceUnavailable(f"The image store failed: {error}.") from error
