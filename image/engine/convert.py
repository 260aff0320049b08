"""Starts the children that convert qcow2 to raw, and writes down in the block store what came of each.

Whether a conversion runs is asked of the store (its target is open), so that any worker can follow one that another began.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import threading

from common.rbd import Ceph, StoreError
from image.engine.store import ImageStore

LOG = logging.getLogger(__name__)
CONVERT_SECONDS = 4 * 3600.0


class Converter:
    """Runs up to `at_once` conversions of this process, for `seconds` each; they die with it."""

    def __init__(self, store: ImageStore, *, at_once: int = 2, seconds: float = CONVERT_SECONDS) -> None:
        self.store, self.seconds = store, seconds
        self._slots = threading.Semaphore(at_once)

    def begin(self, source: str, target: str) -> bool:
        """Begin to convert the qcow2 data `source` into the empty RBD image `target`; False when as many run as may.

        The target is open when this returns, and to the conversion's end: by that others know that it runs.
        """
        if not self._slots.acquire(blocking=False):
            return False
        held = contextlib.ExitStack()
        held.callback(self._slots.release)
        try:
            held.enter_context(self.store.writer(target))
        except BaseException:
            held.close()
            raise
        # The child dies with the thread that starts it, so that thread must live as long as the child.
        threading.Thread(target=self._run, args=(held, source, target), name=f"convert-{target}", daemon=True).start()
        return True

    def _run(self, held: contextlib.ExitStack, source: str, target: str) -> None:
        with held:
            try:
                status, words = self._convert(source, target)
                LOG.info("conversion of %s ended with %s %s", source, status, words)
                if status == 0:
                    self.store.finish_twin(target)
                elif status > 0:
                    # Killed by a signal is no verdict on the image: who looks finds it neither running nor whole, and begins again.
                    self.store.blocks.note(self.store.pool, target, f"qemu-img ended with {status}: {words}"[:1000])
            except (StoreError, OSError):
                LOG.warning("conversion of %s was cut short", source, exc_info=True)

    def _convert(self, source: str, target: str) -> tuple[int, str]:
        if not isinstance(self.store.blocks, Ceph):
            raise StoreError("only images in Ceph can be converted")
        conf, user = self.store.blocks.identity
        arguments = [sys.executable, "-P", "-m", "image.engine.qemu_img", conf, user, self.store.pool, source, target]
        environment = {**os.environ, "WOLKE_PARENT": str(os.getpid())}
        with tempfile.TemporaryFile() as errors:
            try:
                done = subprocess.run(
                    arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment, check=False,
                    timeout=self.seconds,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return 1, f"it was not done after {self.seconds:g} s"
            errors.seek(0)
            return done.returncode, errors.read()[-500:].decode(errors="replace").strip()
