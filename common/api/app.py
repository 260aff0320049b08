"""The WSGI application of one service: routes to operations, checks before them, errors behind them.

`serve_request` is the one way of a request (ARCHITECTURE §3).
"""

from __future__ import annotations

import functools
import re
import time
import uuid
from collections import defaultdict
from typing import Any

import falcon
from falcon.responders import create_method_not_allowed
from falcon.routing import CompiledRouter
from sqlalchemy.exc import OperationalError

from common import errors, log, metrics
from common.api import access, idempotency, openapi
from common.api.answer import Rendered, render, send
from common.api.body import dumps, read_json
from common.api.operation import Operation
from common.api.refusal import refusal_of
from common.api.request import Request, base_url
from common.api.service import Service, VersionDocument
from common.config import CONF


class _Router(CompiledRouter):
    """Refuses OPTIONS like any method that a path does not have; falcon would answer it to everybody."""

    def map_http_methods(self, resource: object, **kwargs: Any) -> Any:
        """The responders of a resource by method, for all methods that there are."""
        found = super().map_http_methods(resource, **kwargs)
        return {**dict.fromkeys(falcon.COMBINED_METHODS, create_method_not_allowed(sorted(found))), **found}


def build(service: Service) -> falcon.App[falcon.Request, falcon.Response]:
    """The WSGI application of `service`."""
    app = falcon.App(cors_enable=False, router=_Router())
    app.req_options.strip_url_path_trailing_slash = service.trailing_slash
    app.req_options.keep_blank_qs_values = True
    app.resp_options.default_media_type = "application/json"
    _add_versions(app, service)
    by_path: dict[str, list[Operation]] = defaultdict(list)
    for item in service.operations:
        for prefix in service.prefixes:
            by_path[(prefix + item.path).rstrip("/") or "/"].append(item)
    for path, operations in by_path.items():
        if path in service.versions:
            raise ValueError(f"{path} is both a version document and an operation")
        app.add_route(path, _resource(service, path, operations))
    app.add_error_handler((Exception, falcon.HTTPError), lambda http, response, error, params: _refuse(service, http, response, error))
    app.add_sink(_Missing(service).sink, "/")
    return app


def _add_versions(app: falcon.App[falcon.Request, falcon.Response], service: Service) -> None:
    """Version documents, the API document, health and figures: what needs no token."""
    for path, document in service.versions.items():
        for spelling in {path or "/"} if service.trailing_slash else {path or "/", path + "/"}:
            app.add_route(spelling, _Versions(service, document))
    if service.document:
        app.add_route(service.document, _Document(service))
    app.add_route("/healthcheck", _Health(service))
    app.add_route("/metrics", metrics.Resource())


def _resource(service: Service, path: str, operations: list[Operation]) -> object:
    """A falcon resource with one responder per method."""
    by_method: dict[str, list[Operation]] = defaultdict(list)
    for item in operations:
        by_method[item.method].append(item)
    if "GET" in by_method and "HEAD" not in by_method:
        by_method["HEAD"] = by_method["GET"]

    def responder(method: str) -> Any:
        def respond(_self: object, http: falcon.Request, response: falcon.Response, **parts: str) -> None:
            serve_request(service, by_method[method], http, response, parts)

        return respond

    members: dict[str, Any] = {f"on_{method.lower()}": responder(method) for method in by_method}
    return type("Resource", (), members)()


def serve_request(
    service: Service, operations: list[Operation], http: falcon.Request, response: falcon.Response, parts: dict[str, str]
) -> None:
    """Check, call, answer; every refusal and fault goes through `fail`."""
    started = time.perf_counter()
    request_id = "req-" + str(uuid.uuid4())
    http.context.request_id = request_id
    name = operations[0].path
    with log.context(request_id=request_id, global_request_id=_global_id(http)):
        try:
            request = _checked(service, operations, http, request_id, parts)
            name = request.operation.action or request.operation.path
            with log.context(project_id=request.maybe_actor.project_id if request.maybe_actor else None):
                rendered = _answered(request)
            request_id = rendered.request_id or request_id
            send(rendered, response)
        except Exception as error:  # the outermost frame: whatever it is becomes an answer in the API's shape
            fail(service, http, response, error)
        finally:
            metrics.REQUESTS.labels(service.name, name, http.method, str(response.status)[:3]).observe(time.perf_counter() - started)
    _common_headers(service, http, response, request_id)


def _answered(request: Request) -> Rendered:
    """Call the handler, once for all requests that bring the same key."""
    key = idempotency.key_of(request)
    return render(request, request.operation.handler(request)) if key is None else idempotency.respond(request, key)


def _checked(service: Service, operations: list[Operation], http: falcon.Request, request_id: str, parts: dict[str, str]) -> Request:
    version = service.microversions.negotiate(http.get_header) if service.microversions else None
    http.context.version = version
    possible = [item for item in operations if item.covers(version)]
    if not possible or any("\x00" in part for part in parts.values()):
        raise errors.NotFound("The resource could not be found.")
    request = Request(service, possible[0], http, parts, request_id)
    request.version = version or request.version
    _authenticate(service, possible[0], request)
    request.body = None if possible[0].raw else read_json(http, service.max_body)
    if possible[0].body_key is not None:
        request.operation = _by_key(possible, request.body)
    _allow(service, request)
    return request


def _authenticate(service: Service, operation: Operation, request: Request) -> None:
    """Set the actor, where a token came or is needed."""
    token = request.header("X-Auth-Token")
    try:
        if not token:
            raise errors.Unauthorized
        actor = service.authenticate(token)
        access.check(service.name, request.http, actor)
        request.set_actor(actor)
    except errors.Unauthorized:
        if operation.token:
            raise
    project_id = request.path.get("project_id")
    if operation.token and project_id is not None and "{project_id}" in service.prefixes[0]:
        actor = request.actor
        if project_id != actor.project_id and not actor.is_admin:
            raise errors.BadRequest(f"Malformed request URL: project_id {project_id!r} is not the token's project.")


def _allow(service: Service, request: Request) -> None:
    """Policy, query and body hold, in this order: who may not is not told what would be well-formed."""
    operation = request.operation
    if operation.action is not None and not service.policy.allows(operation.action, request.actor):
        raise errors.Forbidden(f"Policy doesn't allow {operation.action} to be performed.")
    operation.check_query(request.query.values)
    if operation.body is not None:
        if request.body is None:
            raise errors.BadRequest("The request needs a JSON body.")
        operation.body(request.body)


def _by_key(possible: list[Operation], body: object) -> Operation:
    """The operation that the single key of the body picks."""
    if not isinstance(body, dict) or len(body) != 1:
        raise errors.BadRequest("Malformed request body: exactly one action is expected.")
    key = next(iter(body))
    for item in possible:
        if item.body_key == key:
            return item
    raise errors.BadRequest(f"There is no such action: {key}")


def _refuse(service: Service, http: falcon.Request, response: falcon.Response, error: Exception) -> None:
    """Answer a request that came to no operation with a refusal."""
    request_id = "req-" + str(uuid.uuid4())
    with log.context(request_id=request_id, global_request_id=_global_id(http)):
        fail(service, http, response, error)
    _common_headers(service, http, response, request_id)


def fail(service: Service, http: falcon.Request, response: falcon.Response, error: Exception) -> None:
    """Answer with the refusal `error` in the API's own shape; what is not a refusal is logged and becomes a 500."""
    refusal = refusal_of(error)
    status = service.dialect.over_quota if isinstance(refusal, errors.OverQuota) else refusal.status
    body, media = service.dialect.error(status, refusal)
    response.status = falcon.code_to_http_status(status)
    response.content_type = media
    response.data = body.encode() if isinstance(body, str) else dumps(body)
    for name, value in refusal.headers.items():
        response.set_header(name, value)
    if status == 401:
        response.set_header("WWW-Authenticate", f'Keystone uri="{_identity_url(service, http)}"')


def _identity_url(service: Service, http: falcon.Request) -> str:
    """Where a token is had: identity under the name by which the client came here, on its own port."""
    base = base_url(http)
    if service.name == "identity":
        return base
    host = re.match(r"\w+://(?:\[[^\]/]*\]|[^:/]*)", base)
    return f"{host[0] if host else base}:{CONF.api.identity_port}"


def _global_id(http: falcon.Request) -> str | None:
    given = http.get_header("X-OpenStack-Request-ID")
    return given if given and len(given) == 40 and given.startswith("req-") else None


def _common_headers(service: Service, http: falcon.Request, response: falcon.Response, request_id: str) -> None:
    response.set_header("x-openstack-request-id", request_id)
    if service.name == "compute":
        response.set_header("x-compute-request-id", request_id)
    if service.microversions:
        for name, value in service.microversions.headers(getattr(http.context, "version", None)):
            response.append_header(name, value)
    else:
        response.append_header("Vary", "X-Auth-Token")


class _Versions:
    """A version document."""

    def __init__(self, service: Service, document: VersionDocument) -> None:
        self._service, self._document = service, document

    def on_get(self, http: falcon.Request, response: falcon.Response, **_parts: str) -> None:
        """Answer without asking for a token."""
        status, body = self._document(base_url(http))
        response.status = falcon.code_to_http_status(status)
        response.data = dumps(body)
        http.context.version = self._service.microversions.minimum if self._service.microversions else None
        _common_headers(self._service, http, response, "req-" + str(uuid.uuid4()))

    on_head = on_get


class _Document:
    """The API document, rendered once."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @functools.cached_property
    def _data(self) -> bytes:
        return openapi.rendered(self._service)

    def on_get(self, http: falcon.Request, response: falcon.Response) -> None:
        """Answer without asking for a token."""
        response.data = self._data
        _common_headers(self._service, http, response, "req-" + str(uuid.uuid4()))

    on_head = on_get


class _Health:
    """`/healthcheck`: OK while the database answers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def on_get(self, _http: falcon.Request, response: falcon.Response) -> None:
        """200 OK or 503."""
        from sqlalchemy import text

        response.content_type = "text/plain"
        try:
            with self._service.db.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            response.text = "OK"
        except OperationalError:
            response.status = falcon.HTTP_503
            response.text = "the database does not answer"

    on_head = on_get


class _Missing:
    """Whatever no route knows: 404, with a token and without."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def sink(self, req: falcon.Request, resp: falcon.Response, **_parts: str) -> None:
        """Refuse."""
        _refuse(self._service, req, resp, errors.NotFound("The resource could not be found."))
