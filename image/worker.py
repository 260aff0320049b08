"""What the image service does in a worker: its flows, its engines, and the sweep of its trash."""

from __future__ import annotations

from common import trash
from common.cmd.worker import Parts
from common.rbd import BlockStore
from image.engine import engine
from image.engine.convert import Converter
from image.flows import image_data, image_delete


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for images."""
    store = engine()
    parts.flows += [image_data.FLOW, image_delete.FLOW]
    parts.engines.add(BlockStore, store.blocks)
    parts.engines.add(Converter, Converter(store))
    trash.sweep(parts, store.blocks, store.pool)
