"""What the services above may ask of identity. Nothing here signs, hashes or reads a secret."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from common.auth import Actor
from common.db import Database, Tx
from identity.models import Project
from identity.service import standing


def token_checker(db: Database) -> Callable[[str], Actor]:
    """The check of a token, for `common.auth.Authenticator`: its signature, then one query.

    The check raises Unauthorized when the token is malformed, expired or revoked, or when its user, scope or last role is gone.
    """

    def check(raw: str) -> Actor:
        return standing.actor(*standing.validate(db, raw))

    return check


def project_exists(tx: Tx, project_id: str) -> bool:
    """Whether there is such a project (a domain is none)."""
    return tx.scalar(select(Project.id).where(Project.id == project_id, Project.is_domain.is_(False))) is not None
