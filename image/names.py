"""What an image's data is called in RBD; every name derives from the image's id, so that a leftover is recognised.

Each upload has a name of its own, so that a late writer harms nobody.
"""

from __future__ import annotations

POOL = "images"
SNAPSHOT = "snap"
SECTOR = 512


def data_name(image_id: str, upload: int) -> str:
    """The RBD image of upload number `upload`, from 1."""
    return image_id if upload <= 1 else f"{image_id}.{upload}"


def upload_of(image_id: str, name: str) -> int | None:
    """The number of the upload whose data the RBD image `name` holds; None where it is not data of the image."""
    number = name.removeprefix(f"{image_id}.")
    return 1 if name == image_id else int(number) if number != name and number.isdecimal() else None


def twin_name(image_id: str) -> str:
    """The RBD image that a boot clones when the data is not raw."""
    return f"{image_id}.raw"


def partial_twin_name(image_id: str, fence: int) -> str:
    """Where the conversion that claim `fence` started writes, until it is whole."""
    return f"{image_id}.raw.{fence}"


def sectors(size: int) -> int:
    """`size` bytes rounded up to what a disk can have."""
    return -(-size // SECTOR) * SECTOR
