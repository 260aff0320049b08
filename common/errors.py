"""What a request can be refused with; raised by every service, rendered by `common.api` in the shape of the API that answers.

The sentence is for a person: what is wrong, with which value, what to do.
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal with an HTTP status.

    `message` is shown to the client. `type` is the error's name where an API has names (Neutron), `headers` are added to the answer.
    """

    status = 500
    title = "Internal Server Error"
    default_type = "InternalServerError"

    def __init__(self, message: str = "", *, type: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.type = type or self.default_type
        self.headers = headers or {}


class BadRequest(ApiError):
    """400: the request cannot be understood, or names a value that cannot be."""

    status, title, default_type = 400, "Bad Request", "BadRequest"


class Unauthorized(ApiError):
    """401: no token, or one that does not hold."""

    status, title, default_type = 401, "Unauthorized", "Unauthorized"

    def __init__(self, message: str = "The request you have made requires authentication.", **kwargs: object) -> None:
        super().__init__(message, **kwargs)  # type: ignore[arg-type]


class Forbidden(ApiError):
    """403: known, visible, and not allowed."""

    status, title, default_type = 403, "Forbidden", "Forbidden"


class OverQuota(ApiError):
    """403 (Nova, Keystone), 409 (Neutron), 413 (Cinder): the project's quota does not hold it. The status is the API's choice."""

    status, title, default_type = 403, "Forbidden", "OverQuota"


class NotFound(ApiError):
    """404: not there, or not visible to the actor; the two are not told apart."""

    status, title, default_type = 404, "Not Found", "NotFound"


class MethodNotAllowed(ApiError):
    """405."""

    status, title, default_type = 405, "Method Not Allowed", "MethodNotAllowed"


class NotAcceptable(ApiError):
    """406: a microversion that is not offered."""

    status, title, default_type = 406, "Not Acceptable", "NotAcceptable"


class Conflict(ApiError):
    """409: the resource's state does not allow it now."""

    status, title, default_type = 409, "Conflict", "Conflict"


class Gone(ApiError):
    """410: it was there a moment ago."""

    status, title, default_type = 410, "Gone", "Gone"


class PreconditionFailed(ApiError):
    """412: a version or revision that the client named is not the current one."""

    status, title, default_type = 412, "Precondition Failed", "PreconditionFailed"


class TooLarge(ApiError):
    """413: the body is larger than this operation takes."""

    status, title, default_type = 413, "Request Entity Too Large", "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """415."""

    status, title, default_type = 415, "Unsupported Media Type", "UnsupportedMediaType"


class RangeNotSatisfiable(ApiError):
    """416."""

    status, title, default_type = 416, "Requested Range Not Satisfiable", "RangeNotSatisfiable"


class UnprocessableContent(ApiError):
    """422: well-formed, and not what it says it is."""

    status, title, default_type = 422, "Unprocessable Content", "UnprocessableContent"


class TooManyRequests(ApiError):
    """429: come again after `Retry-After`."""

    status, title, default_type = 429, "Too Many Requests", "TooManyRequests"


class ServiceUnavailable(ApiError):
    """503: an engine or a host that the answer needs does not answer now."""

    status, title, default_type = 503, "Service Unavailable", "ServiceUnavailable"
