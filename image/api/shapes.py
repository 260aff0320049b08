"""How an image and its members look on the wire, and the schemas that the API publishes of itself."""

from __future__ import annotations

from typing import Any

from common.api.shapes import BOOLEAN, NO_NUL, OPTIONAL_TEXT, TEXT, UUID, Shape, array, obj
from image.models import FORMATS, VISIBILITIES, Image, Member
from image.service.images import CONTAINERS, READ_ONLY
from image.service.status import status_of_image

COUNT: Shape = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
PROPERTY: Shape = {"type": ["string", "null"], "maxLength": 65535, "pattern": NO_NUL}
TAGS = array(TEXT, maxItems=1024)
SETTABLE: dict[str, Shape] = {
    "name": OPTIONAL_TEXT, "visibility": {"type": "string", "enum": list(VISIBILITIES)}, "protected": BOOLEAN, "os_hidden": BOOLEAN,
    "tags": TAGS, "container_format": {"type": ["string", "null"]}, "disk_format": {"type": ["string", "null"]}, "min_disk": COUNT,
    "min_ram": COUNT, "owner": {"type": ["string", "null"], "minLength": 1, "maxLength": 64, "pattern": NO_NUL},
}  # fmt: skip
CREATE = {
    **obj({**{key: {} for key in READ_ONLY}, "id": UUID, **SETTABLE}, extra=PROPERTY),
    "propertyNames": {"minLength": 1, "maxLength": 255, "pattern": NO_NUL},
}
IMAGE = obj(
    {
        "id": UUID, "status": {"enum": ["queued", "saving", "active"]}, "size": {"type": ["integer", "null"]},
        "virtual_size": {"type": ["integer", "null"]}, "checksum": OPTIONAL_TEXT, "os_hash_algo": OPTIONAL_TEXT,
        "os_hash_value": OPTIONAL_TEXT, "created_at": TEXT, "updated_at": TEXT, "self": TEXT, "file": TEXT, "schema": TEXT,
        **SETTABLE,
    },
    required=("id", "status", "name", "visibility", "size", "checksum", "tags", "created_at", "updated_at", "self", "file", "schema"),
    extra=PROPERTY,
)  # fmt: skip
MEMBER = obj(
    {"image_id": UUID, "member_id": TEXT, "status": TEXT, "created_at": TEXT, "updated_at": TEXT, "schema": TEXT},
    required=("image_id", "member_id", "status", "created_at", "updated_at", "schema"),
)


def image_view(image: Image) -> dict[str, Any]:
    """An image as the API shows it; properties stand beside the attributes."""
    hashed = image.hash_value is not None
    return {
        **image.properties,
        "id": image.id, "name": image.name, "status": status_of_image(image), "visibility": image.visibility, "owner": image.owner,
        "disk_format": image.disk_format, "container_format": image.container_format, "size": image.size,
        "virtual_size": image.virtual_size, "min_disk": image.min_disk, "min_ram": image.min_ram, "protected": image.protected,
        "os_hidden": image.hidden, "checksum": image.checksum, "os_hash_algo": "sha512" if hashed else None,
        "os_hash_value": image.hash_value, "tags": image.tags, "created_at": image.created_at,
        "updated_at": image.updated_at or image.created_at, "self": f"/v2/images/{image.id}", "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }  # fmt: skip


def member_view(member: Member) -> dict[str, Any]:
    """A member as the API shows it."""
    return {
        "image_id": member.image_id, "member_id": member.member_id, "status": member.status, "created_at": member.created_at,
        "updated_at": member.updated_at or member.created_at, "schema": "/v2/schemas/member",
    }  # fmt: skip


def _published(shape: Shape, name: str, description: str) -> dict[str, Any]:
    """A property in the API's schema documents."""
    enums = {"disk_format": [None, *FORMATS], "container_format": [None, *CONTAINERS], "os_hash_algo": [None, "sha512"]}
    described = {**shape, "description": description}
    if name in enums:
        described["enum"] = enums[name]
    if name in READ_ONLY:
        described["readOnly"] = True
    return described


_WORDS = {
    "id": "An identifier for the image", "name": "Descriptive name for the image", "status": "Status of the image",
    "visibility": "Scope of image accessibility", "protected": "If true, image will not be deletable.",
    "os_hidden": "If true, image will not appear in default image list response.", "tags": "List of strings related to the image",
    "container_format": "Format of the container", "disk_format": "Format of the disk",
    "min_disk": "Amount of disk space (in GB) required to boot image.", "min_ram": "Amount of ram (in MB) required to boot image.",
    "owner": "Owner of the image", "size": "Size of image file in bytes", "virtual_size": "Virtual size of image in bytes",
    "checksum": "md5 hash of image contents.", "os_hash_algo": "Algorithm to calculate the os_hash_value",
    "os_hash_value": "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
    "created_at": "Date and time of image registration", "updated_at": "Date and time of the last image modification",
    "self": "An image self url", "file": "An image file url", "schema": "An image schema url",
}  # fmt: skip
IMAGE_SCHEMA: dict[str, Any] = {
    "name": "image",
    "properties": {name: _published(shape, name, _WORDS[name]) for name, shape in IMAGE["properties"].items()},
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"},
    ],
}  # fmt: skip
MEMBER_SCHEMA: dict[str, Any] = {"name": "member", "properties": dict(MEMBER["properties"])}


def plural(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of what `schema` describes."""
    name = f"{schema['name']}s"
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}]
    properties = {name: {"type": "array", "items": schema}, **{key: {"type": "string"} for key in ("first", "next", "schema")}}
    return {"name": name, "properties": properties, "links": links}
