"""Shapes of volumes and of what a volume knows of its image."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import FLAG, LINKS, NULL, NUMBER, OPTIONAL_STRING, STRING, TEXTS, always, mapped, page
from common.api.shapes import OPTIONAL_TEXT, OPTIONAL_UUID, Shape, array, integer, obj, wrapped
from volume.api.shapes.metadata import META
from volume.service.status import SHOWABLE

NAME: Shape = OPTIONAL_TEXT
SIZE: Shape = {"anyOf": [integer(1), {"type": "null"}]}
IGNORED: Shape = {}

CREATE = obj(
    {
        "volume": obj(
            {
                "size": SIZE, "name": NAME, "description": NAME, "display_name": NAME, "display_description": NAME, "metadata": META,
                "volume_type": OPTIONAL_TEXT, "imageRef": OPTIONAL_TEXT, "image_id": OPTIONAL_TEXT, "snapshot_id": OPTIONAL_UUID,
                "source_volid": OPTIONAL_UUID, "source_replica": IGNORED, "consistencygroup_id": IGNORED, "multiattach": IGNORED,
                "availability_zone": OPTIONAL_TEXT, "scheduler_hints": IGNORED, "user_id": IGNORED, "project_id": IGNORED,
                "status": IGNORED, "attach_status": IGNORED,
            },
            extra={"type": "null"},  # what a later microversion names, and a client leaves out by null
        ),
        "OS-SCH-HNT:scheduler_hints": IGNORED,
    },
    required=("volume",),
)  # fmt: skip
UPDATE: Shape = obj({"name": NAME, "description": NAME, "display_name": NAME, "display_description": NAME, "metadata": META})

# What an image tells of itself, kept with the volume.
IMAGE_METADATA = mapped(OPTIONAL_STRING)
_ATTACHMENT = always({
    "id": STRING, "attachment_id": STRING, "volume_id": STRING, "server_id": STRING, "device": STRING, "host_name": NULL,
    "attached_at": OPTIONAL_STRING,
})  # fmt: skip
_BRIEF: dict[str, Any] = {"id": STRING, "name": OPTIONAL_STRING, "links": LINKS}
_PLAIN: dict[str, Any] = {
    **_BRIEF, "description": OPTIONAL_STRING, "status": {"enum": [*SHOWABLE, "extending"]}, "size": NUMBER, "volume_type": STRING,
    "availability_zone": STRING, "bootable": {"enum": ["true", "false"]}, "metadata": TEXTS, "snapshot_id": OPTIONAL_STRING,
    "source_volid": NULL, "user_id": STRING, "attachments": array(_ATTACHMENT), "created_at": STRING, "updated_at": OPTIONAL_STRING,
    "encrypted": FLAG, "multiattach": FLAG, "replication_status": NULL, "consistencygroup_id": NULL, "migration_status": NULL,
}  # fmt: skip
_HOST: dict[str, Any] = {"os-vol-host-attr:host": STRING, "os-vol-mig-status-attr:migstat": NULL, "os-vol-mig-status-attr:name_id": NULL}
_VOLUME = always({**_PLAIN, "os-vol-tenant-attr:tenant_id": STRING}, {"volume_image_metadata": IMAGE_METADATA, **_HOST})

VOLUME, PLAIN_VOLUME = wrapped("volume", _VOLUME), wrapped("volume", always(_PLAIN))
VOLUMES, BRIEF_VOLUMES = page("volumes", _VOLUME), page("volumes", always(_BRIEF))
KNOWN_OF_IMAGE = always({"metadata": IMAGE_METADATA})
