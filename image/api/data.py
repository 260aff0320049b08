"""/v2/images/{id}/file: the data of an image, streamed in and out."""

from __future__ import annotations

import re

from common.api.operation import BYTES, Answer, operation
from common.api.request import Request
from common.api.server import hold_stream
from common.errors import BadRequest, RangeNotSatisfiable, UnsupportedMediaType
from image.service import data, images

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


@operation("PUT", "/images/{image_id}/file", action="image:data:upload", status=204, raw=True)
def upload(request: Request) -> None:
    """Store the body as the image's data."""
    media = (request.header("Content-Type") or "").split(";")[0].strip().lower()
    if media != BYTES:
        raise UnsupportedMediaType(f"The media type {media!r} is not supported; use {BYTES}.")
    hold_stream(request.http.env)
    ticket = request.run(lambda tx: data.begin(tx, request.actor, request.path["image_id"]))
    data.receive(request.service.db, ticket, request.stream, request.http.content_length)


@operation("GET", "/images/{image_id}/file", action="image:data:download", statuses=(204, 206), gives=BYTES)
def download(request: Request) -> Answer:
    """The data, byte for byte as it came; 204 while there is none. `Range: bytes=a-b` gives a part."""
    image = request.read(lambda tx: images.get(tx, request.actor, request.path["image_id"]))
    if image.data is None or image.size is None:
        return Answer(status=204)
    headers = {"Content-Type": BYTES, "Accept-Ranges": "bytes"}
    first, last = asked_range(request.header("Range"), image.size)
    whole = last - first + 1 == image.size
    if not whole:
        headers["Content-Range"] = f"bytes {first}-{last}/{image.size}"
    elif image.checksum:
        headers["Content-MD5"] = image.checksum
    length = last - first + 1
    headers["Content-Length"] = str(length)
    if request.http.method == "HEAD":
        return Answer(status=200 if whole else 206, headers=headers)
    hold_stream(request.http.env)
    return Answer(status=200 if whole else 206, headers=headers, stream=data.content(image, first, length))


def asked_range(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte that a Range header (RFC 9110, one range) asks of `size`; all of them without one.

    Raises BadRequest when it is malformed, RangeNotSatisfiable when it starts behind the end.
    """
    if header is None:
        return 0, size - 1
    form = _RANGE.fullmatch(header.strip())
    if form is None or not (form[1] or form[2]) or len(header) > 64:
        raise BadRequest(f"Invalid Range header: {header!r}; one range of bytes is expected, as bytes=0-1023.")
    if not form[1]:
        first, last = max(0, size - int(form[2])), size - 1
    else:
        first, last = int(form[1]), min(int(form[2]) if form[2] else size - 1, size - 1)
    if first >= size or first > last:
        raise RangeNotSatisfiable(
            f"The range {header!r} is outside of the image's {size} bytes.", headers={"Content-Range": f"bytes */{size}"}
        )
    return first, last
