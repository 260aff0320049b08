"""Images for tests: a valid qcow2 without qemu-img, and a converter that only says it converted."""

from __future__ import annotations

import struct

from common.rbd_memory import Memory
from image.engine.convert import Converter
from image.engine.store import ImageStore


def tiny_qcow2(size: int) -> bytes:
    """A qcow2 (version 3) header of an empty disk of `size` bytes, padded to one cluster."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 16, size, 0, 1, 0x30000, 0x10000, 1, 0, 0)
    return (header + struct.pack(">QQQII", 0, 0, 0, 4, 104)).ljust(65536, b"\0")


class FakeConverter(Converter):
    """Finishes every conversion at once, or says that it failed; or, `slow`, when `finish` is called."""

    def __init__(self, store: ImageStore, *, failure: str = "", slow: bool = False) -> None:
        super().__init__(store)
        self.failure, self.slow, self.begun = failure, slow, 0
        self._running: list[str] = []

    def begin(self, source: str, target: str) -> bool:
        """Mark the target as whole, or note the failure."""
        self.begun += 1
        if self.slow:
            assert isinstance(self.store.blocks, Memory)
            self.store.blocks.hold(self.store.pool, target, opened=True)
            self._running.append(target)
        else:
            self._end(target)
        return True

    def finish(self) -> None:
        """End what runs."""
        assert isinstance(self.store.blocks, Memory)
        while self._running:
            target = self._running.pop()
            self.store.blocks.hold(self.store.pool, target, opened=False)
            self._end(target)

    def _end(self, target: str) -> None:
        if self.failure:
            self.store.blocks.note(self.store.pool, target, self.failure)
        else:
            self.store.finish_twin(target)
