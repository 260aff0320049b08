"""The status of an image, once as Python and once as SQL; tests/unit/test_image_status.py runs both through one table."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case

from image.models import Image

QUEUED, SAVING, ACTIVE, DELETED = "queued", "saving", "active", "deleted"


def status_of(*, desired: str, has_data: bool, uploading: bool) -> str:
    """What clients see. `uploading`: an upload has moved its moment on and is not taken for dead."""
    if desired == "absent":
        return DELETED
    if has_data:
        return ACTIVE
    return SAVING if uploading else QUEUED


def status_of_image(image: Image) -> str:
    """The status of a row as it was read."""
    return status_of(desired=image.desired, has_data=image.data is not None, uploading=bool(image.uploading))


def status_sql() -> ColumnElement[str]:
    """`status_of` over the columns of `Image`, for filters and sorting."""
    return case((Image.desired == "absent", DELETED), (Image.data.is_not(None), ACTIVE), (Image.uploading, SAVING), else_=QUEUED)
