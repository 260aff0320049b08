"""`/v3/OS-OAUTH1/consumers`. A consumer's secret is shown when it is made, and never again."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import LONG_TEXT
from identity.api import bodies, views
from identity.api.shapes.answers import OPTIONAL_STRING, PAGING, STRING, changed, listed, resource, shown
from identity.models import Consumer
from identity.service import oauth1_consumer as service

Body = dict[str, Any]
ALL = "/v3/OS-OAUTH1/consumers"
PATH = ALL + "/{consumer_id}"
GIVEN = {"description": LONG_TEXT}
# No value passes: a secret is never changed.
CHANGED = {**GIVEN, "secret": False}
ROW = resource({"description": OPTIONAL_STRING}, "description", extra=True)
CREATED = resource({"description": OPTIONAL_STRING, "secret": STRING}, "description", "secret", extra=True)


def _view(request: Request, row: Consumer) -> Body:
    return {**row.extra, "id": row.id, "description": row.description, "links": {"self": request.url(f"{ALL}/{row.id}")}}


@operation(
    "POST", ALL, action="identity:create_consumer", status=201, secret=True, body=bodies.body("consumer", GIVEN),
    answer=shown("consumer", CREATED),
)  # fmt: skip
def create_consumer(request: Request) -> Body:
    """Register a consumer."""
    row, secret = request.run(lambda tx: service.create_consumer(tx, request.body["consumer"]))
    return {"consumer": {**_view(request, row), "secret": secret}}


@operation("GET", ALL, action="identity:list_consumers", query=PAGING, answer=listed("consumers", ROW))
def list_consumers(request: Request) -> Body:
    """List consumers."""
    return views.listing(request, "consumers", service.list_consumers(), Consumer, _view)


@operation("GET", PATH, action="identity:get_consumer", answer=shown("consumer", ROW))
def get_consumer(request: Request) -> Body:
    """Show a consumer."""
    return {"consumer": _view(request, request.read(lambda tx: service.get_consumer(tx, request.path["consumer_id"])))}


@operation("PATCH", PATH, action="identity:update_consumer", body=changed("consumer", CHANGED, extra=True), answer=shown("consumer", ROW))
def update_consumer(request: Request) -> Body:
    """Change what is said of a consumer."""
    consumer_id, values = request.path["consumer_id"], request.body["consumer"]
    return {"consumer": _view(request, request.run(lambda tx: service.update_consumer(tx, consumer_id, values)))}


@operation("DELETE", PATH, action="identity:delete_consumer", status=204)
def delete_consumer(request: Request) -> None:
    """Delete a consumer; what it was given ends."""
    request.run(lambda tx: service.delete_consumer(tx, request.path["consumer_id"]))
    request.service.authenticate.forget()
