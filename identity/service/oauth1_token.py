"""Request tokens of OAuth 1.0a, and the access tokens that they are exchanged for once a user has authorized them.

A consumer asks (`create_request_token`), a user says yes for some of his roles (`authorize`), the consumer exchanges (`create_access_token`).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, select

from common.auth import Actor
from common.db import Database, Tx, clock
from common.errors import BadRequest, Forbidden, Unauthorized
from identity.models import (
    AccessToken,
    AccessTokenRole,
    AccessTokenSecret,
    ConsumerSecret,
    Project,
    RequestToken,
)
from identity.service import standing
from identity.service.credential import is_delegated
from identity.service.crypt import decrypt, encrypt
from identity.service.oauth1_signature import BAD_SIGNATURE, Signed, Signer, an_id, check_access_token, check_request_token
from identity.service.rows import Values, find, flush, missing, store
from identity.service.trust import named_roles

# Keystone's request_token_duration and access_token_duration.
REQUEST_TOKEN_LIFE = timedelta(hours=8)
ACCESS_TOKEN_LIFE = timedelta(hours=24)
VERIFIER = string.ascii_letters + string.digits
EXPIRED = "Request token is expired."


def must_be_the_user(actor: Actor) -> None:
    """Raise Forbidden for a token that stands on a delegation: what was given out of hand is not given on by its bearer."""
    if is_delegated(actor):
        raise Forbidden("A token that stands on a delegation cannot authorize, see or manage tokens of OAuth 1.0a.")


def secret_of(tx: Tx, consumer_id: str) -> str | None:
    """What the consumer signs with."""
    stored = tx.scalar(select(ConsumerSecret.secret).where(ConsumerSecret.consumer_id == an_id(consumer_id)))
    return decrypt(stored) if stored is not None else None


def create_request_token(tx: Tx, signed: Signed, project_id: str) -> tuple[RequestToken, str]:
    """A question of the consumer that signed, for a project, and its secret. Raises BadRequest, NotFound (consumer, project), Unauthorized."""
    consumer_id = signed.named("oauth_consumer_key")
    known = secret_of(tx, consumer_id)
    if known is None:
        raise missing("consumer", consumer_id[:64])
    check_request_token(tx, signed, Signer(consumer_id, known))
    find(tx, Project, an_id(project_id), "project")
    tx.execute(delete(RequestToken).where(RequestToken.expires_at < clock()))
    secret = secrets.token_hex(16)
    row = RequestToken(
        consumer_id=consumer_id, project_id=project_id, secret=encrypt(secret), expires_at=datetime.now(UTC) + REQUEST_TOKEN_LIFE,
    )  # fmt: skip
    store(tx, row, "request token", None)
    return row, secret


def get_request_token(tx: Tx, token_id: str, *, lock: bool = False) -> RequestToken:
    """The request token. Raises NotFound, Unauthorized for one that is expired."""
    row = find(tx, RequestToken, an_id(token_id), "request token", lock=lock)
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        raise Unauthorized(EXPIRED)
    return row


def authorize(db: Database, actor: Actor, project_id: str, wanted: Sequence[Values]) -> list[str]:
    """The ids of the roles that the user wants to give on the project. Raises NotFound, Unauthorized for one that the user has not there."""
    found = standing.ask(db, "project", "id", {"user_id": actor.user_id, "target_id": project_id})
    held = {role_id for role_id, _ in found.roles} if found is not None and found.scope_live else set()
    ids = [role.id for role in db.run(lambda tx: named_roles(tx, wanted))]
    if not ids:
        raise BadRequest("Invalid input for field/attribute roles. At least one role must be given.")
    if not held.issuperset(ids):
        raise Unauthorized("authorizing user does not have role required")
    return ids


def give_verifier(tx: Tx, actor: Actor, token_id: str, role_ids: list[str]) -> str:
    """Note the user's yes; what the consumer must be told. Raises NotFound, Unauthorized (expired), Forbidden if another user was before."""
    row = get_request_token(tx, token_id, lock=True)
    if row.authorizing_user_id not in (None, actor.user_id):
        raise Forbidden(f"Request token {row.id} was authorized by another user.")
    row.authorizing_user_id, row.role_ids = actor.user_id, role_ids
    row.verifier = "".join(secrets.choice(VERIFIER) for _ in range(8))
    flush(tx, "request token", row.id)
    return row.verifier


def create_access_token(tx: Tx, signed: Signed) -> tuple[AccessToken, str]:
    """An access token in exchange for the request token that is signed with, and its secret. Raises BadRequest, NotFound, Unauthorized."""
    consumer_id, token_id = signed.named("oauth_consumer_key"), signed.named("oauth_token")
    signed.named("oauth_verifier")
    asked = get_request_token(tx, token_id, lock=True)
    signer = Signer(asked.consumer_id, secret_of(tx, asked.consumer_id), asked.id, decrypt(asked.secret), asked.verifier)
    check_access_token(tx, signed, signer)
    if asked.authorizing_user_id is None or asked.consumer_id != consumer_id:
        raise Unauthorized(BAD_SIGNATURE)
    over = delete(AccessToken).where(AccessToken.authorizing_user_id == asked.authorizing_user_id, AccessToken.expires_at < clock())
    tx.execute(over)
    return _exchange(tx, asked, asked.authorizing_user_id)


def _exchange(tx: Tx, asked: RequestToken, user_id: str) -> tuple[AccessToken, str]:
    secret = secrets.token_hex(16)
    row = AccessToken(
        consumer_id=asked.consumer_id, authorizing_user_id=user_id, project_id=asked.project_id, expires_at=datetime.now(UTC) + ACCESS_TOKEN_LIFE,
    )  # fmt: skip
    store(tx, row, "access token", None)
    tx.add(AccessTokenSecret(access_token_id=row.id, secret=encrypt(secret)))
    tx.add_all(AccessTokenRole(access_token_id=row.id, role_id=role_id) for role_id in asked.role_ids or ())
    tx.delete(asked)
    flush(tx, "access token", row.id)
    return row, secret


def list_access_tokens(user_id: str) -> Select[Any]:
    """What the user has authorized, and still holds."""
    return select(AccessToken).where(AccessToken.authorizing_user_id == user_id, AccessToken.expires_at > clock())


def get_access_token(tx: Tx, user_id: str, token_id: str, *, lock: bool = False) -> AccessToken:
    """The user's access token. Raises NotFound."""
    statement = list_access_tokens(user_id).where(AccessToken.id == token_id)
    row: AccessToken | None = tx.scalar(statement.with_for_update() if lock else statement)
    if row is None:
        raise missing("access token", token_id)
    return row


def delete_access_token(tx: Tx, user_id: str, token_id: str) -> None:
    """Take the access back; its tokens end. Raises NotFound."""
    tx.delete(get_access_token(tx, user_id, token_id, lock=True))
    tx.flush()
