"""Credentials of users, encrypted. Who came by a delegation gets none of them: they would outlive it, or reach further than it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, false, select

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import Credential
from identity.service import crypt
from identity.service.rows import Values, extras, filtered, find, flush, same_id, store

EC2 = "ec2"
EC2_METHOD = "ec2credential"
KNOWN = ("id", "user_id", "project_id", "type", "blob", "links")
FILTERS = {"user_id": Credential.user_id, "type": Credential.type}
# What an EC2 credential is bound to, in its blob; a change of it would widen the credential.
BOUND = ("trust_id", "app_cred_id", "access_token_id", "access_id")
Otherwise = Callable[[], None]


def is_delegated(actor: Actor) -> bool:
    """Whether the token is one that the user gave out of hand, or that a signed request was given."""
    return actor.delegation is not None or EC2_METHOD in actor.methods


def must_come_in_person(actor: Actor) -> None:
    """Raise Forbidden for a token that stands on a delegation."""
    if is_delegated(actor):
        raise Forbidden("A token that stands on a delegation cannot manage credentials.")


def access_id(access: str) -> str:
    """The id of the EC2 credential with this access key. Raises BadRequest for what is no text."""
    try:
        return hashlib.sha256(access.encode()).hexdigest()
    except UnicodeEncodeError:
        raise BadRequest("Invalid input for field/attribute access: it is no text.") from None


def read_keys(blob: str) -> dict[str, Any]:
    """What the blob of an EC2 credential holds. Raises BadRequest unless it is JSON with access and secret."""
    try:
        keys: dict[str, Any] = json.loads(blob)
    except (ValueError, RecursionError):
        raise BadRequest("Invalid input for field/attribute blob: that of an ec2 credential must be JSON.") from None
    for name in ("access", "secret"):
        if not isinstance(keys, dict) or not keys.get(name) or not _is_text(keys[name]):
            raise BadRequest(f"Invalid input for field/attribute blob: that of an ec2 credential must be an object with the text {name}.")
    for name in BOUND:
        if keys.get(name) is not None and not _is_text(keys[name]):
            raise BadRequest(f"Invalid input for field/attribute blob: {name} in it is no text.")
    return keys


def _is_text(value: object) -> bool:
    """Whether it can be signed with, shown and asked for; the blob's own escapes can spell a NUL or half of a surrogate pair."""
    return isinstance(value, str) and not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value)


def create_credential(tx: Tx, values: Values) -> Credential:
    """A new credential. Raises BadRequest (blob), Conflict (access key), NotFound (user, project)."""
    row = Credential(**{name: values.get(name) for name in ("user_id", "project_id", "type")}, extra=extras(values, KNOWN))
    if row.type.lower() == EC2:
        if not row.project_id:
            raise BadRequest("Invalid input for field/attribute project_id: a credential of type ec2 needs it.")
        row.id = access_id(read_keys(values["blob"])["access"])
    row.blob = crypt.encrypt(values["blob"])
    store(tx, row, "credential", row.id)
    return row


def find_credential(tx: Tx, credential_id: str, actor: Actor, otherwise: Otherwise, *, lock: bool = False) -> Credential:
    """The credential; `otherwise` refuses an actor who may see only his own, as well for one that there is not. Raises NotFound, Forbidden."""
    must_come_in_person(actor)
    row = tx.get(Credential, credential_id, with_for_update=lock or None, populate_existing=lock)
    if row is None or row.user_id != actor.user_id:
        otherwise()
    return row or find(tx, Credential, credential_id, "credential")


def list_credentials(actor: Actor, filters: Values, *, everyones: bool) -> Select[Any]:
    """The actor's credentials, or everyone's."""
    statement = filtered(select(Credential), filters, FILTERS)
    if is_delegated(actor):
        return statement.where(false())
    return statement if everyones else statement.where(Credential.user_id == actor.user_id)


def update_credential(tx: Tx, credential_id: str, actor: Actor, otherwise: Otherwise, values: Values) -> Credential:
    """Change a credential: never whose it is, nor what an ec2 one is bound to. Raises BadRequest, NotFound (and project), Forbidden."""
    row = find_credential(tx, credential_id, actor, otherwise, lock=True)
    same_id(values, credential_id, "credential")
    if values.get("user_id", row.user_id) != row.user_id:
        raise BadRequest("Invalid input for field/attribute user_id: the user of a credential cannot be changed.")
    kind = values.get("type", row.type)
    if kind != row.type and EC2 in (kind.lower(), row.type.lower()):
        raise BadRequest(f"Invalid input for field/attribute type: {row.type} cannot become {kind}.")
    project_id = values.get("project_id", row.project_id)
    if kind.lower() == EC2:
        _must_stay_bound(row, values.get("blob"), project_id)
    row.type, row.project_id = kind, project_id
    if "blob" in values:
        row.blob = crypt.encrypt(values["blob"])
    row.extra = {**row.extra, **extras(values, KNOWN)}
    flush(tx, "credential", row.id)
    return row


def _must_stay_bound(row: Credential, blob: str | None, project_id: str | None) -> None:
    """An ec2 credential keeps what limits it."""
    old = read_keys(crypt.decrypt(row.blob))
    new = old if blob is None else read_keys(blob)
    for name in BOUND:
        if old.get(name) != new.get(name):
            raise BadRequest(f"Invalid input for field/attribute blob: {name} of a credential cannot be changed.")
    if not project_id or (project_id != row.project_id and any(old.get(name) for name in BOUND)):
        raise BadRequest("Invalid input for field/attribute project_id: the credential is bound to its project.")


def delete_credential(tx: Tx, credential_id: str, actor: Actor, otherwise: Otherwise) -> None:
    """Delete a credential. Raises NotFound, Forbidden."""
    tx.delete(find_credential(tx, credential_id, actor, otherwise, lock=True))
    tx.flush()
