"""`@operation`: the one declaration of what an API can be asked.

From it come the route, the checks of body and query, the policy check, the microversion range, the authorization matrix and the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from common.api.microversions import Version
from common.api.shapes import Checker, Shape
from common.errors import BadRequest

if TYPE_CHECKING:
    from common.api.request import Request

Handler = Callable[["Request"], Any]
JSON, BYTES, FORM = "application/json", "application/octet-stream", "application/x-www-form-urlencoded"
FIRST: Version = (0, 0)
LAST: Version = (99, 999)


@dataclass
class Answer:
    """What a handler answers, where the body alone is not enough.

    `body` is rendered as JSON; `stream` (an iterable of bytes) is sent as it is, with `headers` naming its type and length.
    """

    body: Any = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | BinaryIO | None = None


@dataclass(frozen=True)
class Operation:
    """One thing that an API does; see `operation` for the fields."""

    method: str
    path: str
    action: str | None
    handler: Handler
    status: int
    body: Checker | None
    body_key: str | None
    query: Mapping[str, Checker]
    strict_query: bool
    answer: Shape | None
    statuses: tuple[int, ...]
    secret: bool
    minimum: Version
    maximum: Version
    token: bool
    raw: bool
    takes: Mapping[str, Shape]
    gives: str
    read_only: bool
    guarded: tuple[str, ...]
    summary: str

    @property
    def idempotent(self) -> bool:
        """Whether `Idempotency-Key` is heard: on a POST of somebody known that changes something, and whose answer may be kept."""
        return self.method == "POST" and self.token and not (self.raw or self.secret or self.read_only)

    def covers(self, version: Version | None) -> bool:
        """Whether it exists at this microversion."""
        return version is None or self.minimum <= version <= self.maximum

    def check_query(self, query: Mapping[str, list[str]]) -> None:
        """Raise BadRequest for a parameter with a bad value, or an unknown one where that is refused."""
        for name, values in query.items():
            checker = self.query.get(name)
            if checker is None:
                if self.strict_query:
                    raise BadRequest(f"Invalid query parameter {name}: it is not known here.")
                continue
            for value in values:
                checker(value, what=f"query parameter {name}")


def operation(
    method: str, path: str, *, action: str | None, status: int = 200, statuses: tuple[int, ...] = (), body: Shape | None = None,
    body_key: str | None = None, query: Mapping[str, Shape] | None = None, strict_query: bool = False, answer: Shape | None = None,
    secret: bool = False, minimum: Version = FIRST, maximum: Version = LAST, token: bool = True, raw: bool = False,
    takes: Mapping[str, Shape] | None = None, gives: str = JSON, read_only: bool | None = None, guarded: tuple[str, ...] = (),
    summary: str = "",
) -> Callable[[Handler], Handler]:  # fmt: skip
    """Declare that the decorated `fn(request) -> dict | Answer | None` answers `method path`.

    action: the policy that allows it; None where a token's presence (or, with `token=False`, nothing) is all it takes.
    body: shape of the JSON body; body_key: the single key that picks this one among several on the same path (`os-start`).
    query: shapes of the parameters; others are ignored, or refused with `strict_query`.
    answer: shape of the answer. status: that of an answer that names none; statuses: others that it may name. Both are checked in tests.
    secret: the answer holds a secret, or what another process says meanwhile: it is never kept, and `Idempotency-Key` is not heard. Of any
    other POST with a token it is: then all of the handler is one transaction (common/api/idempotency.py). minimum/maximum: microversions.
    raw: the body is a stream, read by the handler; takes: its media types and their shapes, for the document alone ({}: no body is read).
    gives: the answer's media type. guarded: policies of fields that the handler asks `request.may` about. May be repeated.
    summary: what the document says of it, in a sentence; else the handler's docstring does, which is one for all that it handles.
    """

    def declare(handler: Handler) -> Handler:
        made = Operation(
            method=method, path=path, action=action, handler=handler, status=status,
            body=Checker(body) if body is not None else None, body_key=body_key,
            query={name: Checker(shape) for name, shape in (query or {}).items()}, strict_query=strict_query,
            answer=answer, statuses=statuses, secret=secret, minimum=minimum, maximum=maximum, token=token, raw=raw,
            takes={BYTES: {}} if takes is None else takes, gives=gives,
            read_only=method in ("GET", "HEAD") if read_only is None else read_only, guarded=guarded, summary=summary,
        )  # fmt: skip
        handler.operations = [made, *getattr(handler, "operations", [])]  # type: ignore[attr-defined]
        return handler

    return declare


def declared_in(module: object) -> list[Operation]:
    """The operations that a module declares, in the order of its lines."""
    found: list[Operation] = []
    for value in vars(module).values():
        if getattr(value, "__module__", None) == getattr(module, "__name__", "") and hasattr(value, "operations"):
            found.extend(value.operations)
    return found
