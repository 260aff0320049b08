"""What an exception means to the client: each kind of fault, of ours or of the database, is told in one place.

For `common.api.app` only.
"""

from __future__ import annotations

import logging

import falcon
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from common import errors

LOG = logging.getLogger(__name__)
# SQLSTATE of class 23 (PostgreSQL's manual, appendix A): what broke, and so what another request did first.
MEANWHILE = {
    "23505": "the same was made",
    "23503": "something that this refers to, or that refers to it, was made or removed",
}
IMPOSSIBLE = ("23514", "23502")


def refusal_of(error: Exception) -> errors.ApiError:
    """The refusal that `error` is, or stands for; what stands for none is logged, and a 500."""
    if isinstance(error, errors.ApiError):
        return error
    if isinstance(error, falcon.HTTPError):
        return _of_http(error)
    found = _of_database(error) if isinstance(error, SQLAlchemyError) else None
    if found is None:
        LOG.error("unhandled error", exc_info=error)
        found = errors.ApiError("Unexpected API Error. The request's id leads to the log of it.")
    return found


def _of_http(error: falcon.HTTPError) -> errors.ApiError:
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return errors.MethodNotAllowed(headers=dict(error.headers or {}))
    known = {cls.status: cls for cls in errors.ApiError.__subclasses__()}
    return known.get(error.status_code, errors.BadRequest)(error.description or error.title or "")


def _of_database(error: SQLAlchemyError) -> errors.ApiError | None:
    if isinstance(error, DataError):
        return errors.BadRequest("A value is too long, or out of the range that is kept.")
    if isinstance(error, OperationalError | PoolTimeout):
        LOG.error("the database does not answer: %s", error)
        return errors.ServiceUnavailable("The database does not answer. Try again.", headers={"Retry-After": "2"})
    return _of_constraint(error) if isinstance(error, IntegrityError) else None


def _of_constraint(error: IntegrityError) -> errors.ApiError | None:
    """A constraint that no rule of ours asked about before: two requests at once, or a value that cannot be."""
    state, where = getattr(error.orig, "sqlstate", ""), getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    LOG.warning("a constraint refused the change: %s (%s)", where, state)
    if state in MEANWHILE:
        return errors.Conflict(f"Another request came first: {MEANWHILE[state]}. Look again.")
    return errors.BadRequest("A value is missing, or is none that is kept.") if state in IMPOSSIBLE else None
