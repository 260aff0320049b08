"""Looks at an image's bytes as they stream by: they must be what was declared, and must not lead a reader to any other file.

Source: oslo.utils' format inspectors; QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import io

from oslo_utils.imageutils.format_inspector import ImageFormatError, InspectWrapper, QcowInspector, SafetyCheckFailed

from common.config import CONF
from common.errors import BadRequest

# What the inspector may call the bytes of a declared format. A partition table does not make a raw disk anything else.
ACCEPTED = {"raw": ("raw", "gpt"), "qcow2": ("qcow2",)}
GIB = 1 << 30
QCOW2_CRYPT_METHOD = slice(32, 36)


class Guard:
    """Feed it every piece in order, then ask `finish`. Refuses as early as the bytes allow."""

    def __init__(self, disk_format: str) -> None:
        """`disk_format` is `raw` or `qcow2`."""
        self.disk_format = disk_format
        self._source = _Source()
        self._wrapper = InspectWrapper(self._source)
        self._decided = False
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """Look at the next piece. Raises BadRequest."""
        self.size += len(piece)
        if self._decided:
            return
        self._source.piece = piece
        self._wrapper.read(len(piece))
        self._decide()

    def finish(self) -> int:
        """The size in bytes of the disk inside. Raises BadRequest where the bytes are not a whole image of the format."""
        if not self.size:
            raise BadRequest("The image data is empty.")
        self._wrapper.close()
        if not self._decide():
            raise BadRequest(f"The image data is not recognised as {self.disk_format}.")
        return self._virtual_size or self.size

    _virtual_size = 0

    def _decide(self) -> bool:
        try:
            found = self._wrapper.format
        except ImageFormatError as error:
            raise BadRequest(f"The image data is refused: {error}.") from None
        if found is None:
            return False
        name = str(found)
        if name not in ACCEPTED[self.disk_format]:
            raise BadRequest(f"Image content is {name}; it does not match the declared disk_format {self.disk_format}.")
        if isinstance(found, QcowInspector):
            self._check_qcow2(found)
        self._decided = True
        return True

    def _check_qcow2(self, found: QcowInspector) -> None:
        try:
            found.safety_check()
        except SafetyCheckFailed as error:
            why = "; ".join(str(reason) for reason in error.failures.values())
            raise BadRequest(f"Image content is refused as unsafe: {why}.") from None
        except ImageFormatError as error:
            raise BadRequest(f"Image content is refused: {error}.") from None
        if any(found.region("header").data[QCOW2_CRYPT_METHOD]):
            raise BadRequest("Image content is refused: encrypted qcow2 images cannot be used.")
        self._virtual_size = found.virtual_size
        if not 0 < self._virtual_size <= most():
            raise BadRequest(f"Image content is refused: its disk of {self._virtual_size} bytes is not between 1 and {most()}.")


def most() -> int:
    """Bytes that an image's data, and the disk inside of it, have at the most."""
    return int(CONF.image.max_size) * GIB


class _Source(io.RawIOBase):
    piece = b""

    def read(self, _size: int = -1) -> bytes:
        return self.piece
