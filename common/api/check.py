"""In tests: what a service does is what its operations declare. A difference is a fault of ours, so that the API document cannot lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from common.api.body import dumps
from common.api.operation import FORM, JSON
from common.api.shapes import Checker
from common.errors import BadRequest

if TYPE_CHECKING:
    from common.api.operation import Answer
    from common.api.request import Request

# Set by tests.
ANSWERS = False


def answer(request: Request, status: int, given: Answer) -> None:
    """Raise AssertionError unless status, body and the query parameters that were heard are declared.

    A body without a shape, and a parameter without one, are let pass in a service that is not `documented`. A form is read, and put back.
    """
    if ANSWERS:
        _heard(request, status)
        _body(request, given)


def _heard(request: Request, status: int) -> None:
    operation, where = request.operation, f"{request.operation.method} {request.operation.path}"
    assert status in (operation.status, *operation.statuses), f"{where} answers {status}: declare it, as status= or in statuses=."
    if request.service.documented:
        unknown = sorted(request.query.heard - set(operation.query))
        assert not unknown, f"{where} hears the query parameters {', '.join(unknown)}: declare them in query=."


def _body(request: Request, given: Answer) -> None:
    operation, where = request.operation, f"{request.operation.method} {request.operation.path}"
    media = given.headers.get("Content-Type", JSON).partition(";")[0] if given.stream is not None else JSON
    if given.stream is not None and FORM in (media, operation.gives):
        assert media == operation.gives, f"{where} answers {media}: declare it as gives=."
        _shaped(request, _form(where, given))
    elif given.stream is None and given.body is not None:
        assert operation.gives != FORM, f"{where} answers {media}, and declares {FORM}."
        _shaped(request, json.loads(dumps(given.body)))


def _shaped(request: Request, body: object) -> None:
    operation, where = request.operation, f"{request.operation.method} {request.operation.path}"
    if operation.answer is None:
        assert not request.service.documented, f"{where} answers a body: declare its shape as answer=."
        return
    try:
        Checker(operation.answer)(body, what="answer")
    except BadRequest as error:
        raise AssertionError(f"{where}: {error.message}") from None


def _form(where: str, given: Answer) -> dict[str, str]:
    """The fields of the form that is sent, as an object; each comes once."""
    data = b"".join(given.stream or ())
    given.stream = iter([data])
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict") if data else []
    except ValueError as error:
        raise AssertionError(f"{where} answers no form: {error}") from None
    assert len(dict(pairs)) == len(pairs), f"{where} answers a form with a field that comes twice: {[name for name, _ in pairs]}."
    return dict(pairs)
