"""How each OpenStack API says no, and how it links to the next page: the only differences between them that the kit knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import ApiError

Body = dict[str, Any]

NOVA_NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 406: "notAcceptable",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 416: "badRequest", 422: "unprocessableEntity", 429: "overLimit", 500: "computeFault",
    501: "notImplemented", 503: "serviceUnavailable",
}  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """One API's manners.

    `error(status, error)` gives the body and its media type; `over_quota` is the status of a refused quota; `next_page(collection, url,
    previous)` gives what a list adds to say that there is more.
    """

    name: str
    error: Callable[[int, ApiError], tuple[Body | str, str]]
    over_quota: int
    next_page: Callable[[str, str], Body]


def _keystone(status: int, error: ApiError) -> tuple[Body | str, str]:
    return {"error": {"code": status, "title": error.title, "message": error.message}}, "application/json"


def _nova(status: int, error: ApiError) -> tuple[Body | str, str]:
    return {NOVA_NAMES.get(status, "computeFault"): {"code": status, "message": error.message}}, "application/json"


def _neutron(status: int, error: ApiError) -> tuple[Body | str, str]:
    return {"NeutronError": {"type": error.type, "message": error.message, "detail": ""}}, "application/json"


def _glance(status: int, error: ApiError) -> tuple[Body | str, str]:
    text = error.message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    head = f"{status} {error.title}"
    return (
        f"<html>\n <head>\n  <title>{head}</title>\n </head>\n <body>\n  <h1>{head}</h1>\n  {text}<br /><br />\n </body>\n</html>",
        "text/html; charset=UTF-8",
    )


def _links(collection: str, url: str) -> Body:
    return {f"{collection}_links": [{"rel": "next", "href": url}]}


KEYSTONE = Dialect("keystone", _keystone, 403, lambda collection, url: {"next": url})
NOVA = Dialect("nova", _nova, 403, _links)
CINDER = Dialect("cinder", _nova, 413, _links)
NEUTRON = Dialect("neutron", _neutron, 409, _links)
GLANCE = Dialect("glance", _glance, 413, lambda collection, url: {"next": url})
