"""From what a handler answers to what goes on the wire. For `common.api` only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import falcon

from common.api import check
from common.api.body import dumps
from common.api.operation import Answer

if TYPE_CHECKING:
    from common.api.request import Request


@dataclass
class Rendered:
    """An answer as it is sent. `request_id` is that of an earlier request, whose answer is given again."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    media: str | None = None
    data: bytes | None = None
    stream: Iterator[bytes] | BinaryIO | None = None
    request_id: str | None = None


def render(request: Request, answer: Any) -> Rendered:
    """`answer` is what the handler returned: a body, an `Answer` or None."""
    if not isinstance(answer, Answer):
        answer = Answer(body=answer)
    status = answer.status or request.operation.status
    check.answer(request, status, answer)
    made = Rendered(status, dict(answer.headers), stream=answer.stream)
    if answer.stream is None and (answer.body is not None or made.status != 204):
        made.media = made.headers.pop("Content-Type", "application/json")
    if answer.stream is None and answer.body is not None:
        made.data = dumps(answer.body)
    return made


def send(rendered: Rendered, response: falcon.Response) -> None:
    """Fill the response."""
    response.status = falcon.code_to_http_status(rendered.status)
    for name, value in rendered.headers.items():
        # falcon has cookies appended, never set.
        (response.append_header if name == "Set-Cookie" else response.set_header)(name, value)
    if rendered.stream is not None:
        response.stream = rendered.stream
        return
    if rendered.media is not None:
        response.content_type = rendered.media
    if rendered.data is not None:
        response.data = rendered.data
