"""Shapes of snapshots."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import NUMBER, OPTIONAL_STRING, STRING, TEXTS, always, page
from common.api.shapes import OPTIONAL_TEXT, OPTIONAL_UUID, obj, wrapped
from volume.api.shapes.metadata import META
from volume.service.status import SNAPSHOT_SHOWABLE

CREATE = wrapped(
    "snapshot",
    obj(
        {
            "volume_id": OPTIONAL_UUID, "name": OPTIONAL_TEXT, "description": OPTIONAL_TEXT, "display_name": OPTIONAL_TEXT,
            "display_description": OPTIONAL_TEXT, "force": {"type": ["boolean", "string", "null"]}, "metadata": META,
        },
        required=("volume_id",),
    ),
)  # fmt: skip

_PLAIN: dict[str, Any] = {
    "id": STRING, "name": OPTIONAL_STRING, "description": OPTIONAL_STRING, "volume_id": STRING, "status": {"enum": list(SNAPSHOT_SHOWABLE)},
    "size": NUMBER, "created_at": STRING, "updated_at": OPTIONAL_STRING, "metadata": TEXTS,
}  # fmt: skip
_EXTENDED = {"os-extended-snapshot-attributes:project_id": STRING, "os-extended-snapshot-attributes:progress": {"enum": ["0%", "100%"]}}
_SNAPSHOT = always({**_PLAIN, **_EXTENDED})

SNAPSHOT, PLAIN_SNAPSHOT = wrapped("snapshot", _SNAPSHOT), wrapped("snapshot", always(_PLAIN))
SNAPSHOTS, PLAIN_SNAPSHOTS = page("snapshots", _SNAPSHOT), page("snapshots", always(_PLAIN))
