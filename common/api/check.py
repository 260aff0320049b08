"""In tests: what a service does is what its operations declare. A difference is a fault of ours, so that the API document cannot lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.api.body import dumps
from common.api.shapes import Checker
from common.errors import BadRequest

if TYPE_CHECKING:
    from common.api.operation import Answer
    from common.api.request import Request

# Set by tests.
ANSWERS = False


def answer(request: Request, status: int, given: Answer) -> None:
    """Raise AssertionError unless status, body and the query parameters that were heard are declared.

    A body without a shape, and a parameter without one, are let pass in a service that is not `documented`.
    """
    if not ANSWERS:
        return
    operation, where = request.operation, f"{request.operation.method} {request.operation.path}"
    assert status in (operation.status, *operation.statuses), f"{where} answers {status}: declare it, as status= or in statuses=."
    if request.service.documented:
        unknown = sorted(request.query.heard - set(operation.query))
        assert not unknown, f"{where} hears the query parameters {', '.join(unknown)}: declare them in query=."
    if given.body is None or given.stream is not None:
        return
    if operation.answer is None:
        assert not request.service.documented, f"{where} answers a body: declare its shape as answer=."
        return
    try:
        Checker(operation.answer)(json.loads(dumps(given.body)), what="answer")
    except BadRequest as error:
        raise AssertionError(f"{where}: {error.message}") from None
