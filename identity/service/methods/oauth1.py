"""By a request that a consumer signed with an access token of OAuth 1.0a, for the project and the roles that its user gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from common.db import Tx, clock
from common.errors import BadRequest, Unauthorized
from identity.models import AccessToken, AccessTokenSecret, User
from identity.service.attempt import Attempt, Who
from identity.service.crypt import decrypt
from identity.service.oauth1_signature import Signed, Signer, an_id, check_login
from identity.service.oauth1_token import secret_of
from identity.service.token import Delegation

KIND = "access_token"
METHOD = "oauth1"


def identify(attempt: Attempt, given: Mapping[str, Any]) -> Who:
    """The user who gave the access. Raises Unauthorized, BadRequest for a header that is none of OAuth's."""
    signed = Signed(attempt.url, attempt.header("Authorization") or "")
    if not signed.authorization:
        raise BadRequest("The method oauth1 needs the header Authorization.")
    consumer_id, token_id = signed.named("oauth_consumer_key"), signed.named("oauth_token")
    return attempt.db.run(lambda tx: _identify(tx, signed, consumer_id, token_id))


def _identify(tx: Tx, signed: Signed, consumer_id: str, token_id: str) -> Who:
    """One transaction: the request is noted as answered with the answer."""
    found = tx.execute(
        select(AccessToken, AccessTokenSecret.secret, User.epoch)
        .join(AccessTokenSecret, AccessTokenSecret.access_token_id == AccessToken.id)
        .join(User, User.id == AccessToken.authorizing_user_id)
        .where(AccessToken.id == an_id(token_id), AccessToken.consumer_id == an_id(consumer_id), AccessToken.expires_at > clock())
    ).first()
    if found is None:
        check_login(tx, signed, Signer(None, None))
        raise Unauthorized
    row, secret, epoch = found
    check_login(tx, signed, Signer(row.consumer_id, secret_of(tx, row.consumer_id), row.id, decrypt(secret)))
    return Who(row.authorizing_user_id, epoch, (METHOD,), delegation=Delegation(KIND, row.id), expires_at=row.expires_at)
