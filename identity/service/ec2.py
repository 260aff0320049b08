"""EC2 credentials, which a user makes for himself, and the token that a service is given for a request signed with one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Select, select, text

from common.auth import Actor
from common.db import Database, Tx
from common.errors import NotFound, Unauthorized
from identity.models import Credential
from identity.service import auth, crypt
from identity.service.attempt import Who
from identity.service.auth import Issued
from identity.service.credential import EC2, EC2_METHOD, access_id, create_credential, must_come_in_person, read_keys
from identity.service.token import Delegation

UNKNOWN = "EC2 access key not found."
LOGIN = text("""
SELECT c.blob, c.user_id, c.project_id, u.epoch FROM identity.credential c JOIN identity."user" u ON u.id = c.user_id
WHERE c.id = :id AND c.type = 'ec2'
""")
# Under impersonation the credential is the trustor's, and the token the trustee's to ask for.
TRUSTEE = text("""
SELECT u.id, u.epoch FROM identity.trust t JOIN identity."user" u ON u.id = t.trustee_user_id
WHERE t.id = :id AND :user_id = CASE WHEN t.impersonation THEN t.trustor_user_id ELSE t.trustee_user_id END
""")
DELEGATIONS = (("app_cred_id", "application_credential"), ("access_token_id", "access_token"))


def create_keys(tx: Tx, actor: Actor, user_id: str, project_id: str) -> Credential:
    """New keys of a user for a project. Raises NotFound (user, project), Forbidden."""
    must_come_in_person(actor)
    blob = json.dumps({"access": secrets.token_hex(16), "secret": secrets.token_hex(16), "trust_id": None})
    return create_credential(tx, {"user_id": user_id, "project_id": project_id, "type": EC2, "blob": blob})


def find_keys(tx: Tx, actor: Actor, user_id: str, access: str, *, lock: bool = False) -> Credential:
    """The user's credential with this access key. Raises NotFound, Forbidden."""
    must_come_in_person(actor)
    row = tx.get(Credential, access_id(access), with_for_update=lock or None)
    if row is None or row.user_id != user_id or row.type != EC2:
        raise NotFound(UNKNOWN)
    return row


def delete_keys(tx: Tx, actor: Actor, user_id: str, access: str) -> None:
    """Delete the user's credential with this access key. Raises NotFound, Forbidden."""
    tx.delete(find_keys(tx, actor, user_id, access, lock=True))
    tx.flush()


def list_keys(actor: Actor, user_id: str) -> Select[Any]:
    """The user's EC2 credentials."""
    must_come_in_person(actor)
    return select(Credential).where(Credential.user_id == user_id, Credential.type == EC2)


def exchange(db: Database, access: str, check: Callable[[str], None], ttl: int) -> Issued:
    """The token of the user whose keys signed a request, on their project, or of the delegation that they are bound to. ttl: seconds.

    check: raises unless the request was signed with the secret that it is called with. Three queries, four for a trust.
    Raises NotFound (access key), Unauthorized.
    """
    found = db.first(LOGIN, {"id": access_id(access)})
    if found is None:
        raise NotFound(UNKNOWN)
    keys = read_keys(crypt.decrypt(found["blob"]))
    check(keys["secret"])
    who = _who(db, found, keys)
    issued = auth.issue_for(db, who, None if who.delegation else {"project": {"id": found["project_id"]}}, ttl)
    if issued.token.scope.id != found["project_id"] and not keys.get("trust_id"):
        raise Unauthorized("The project of the EC2 credential is not that of what it is bound to.")
    return issued


def _who(db: Database, found: Mapping[str, Any], keys: Mapping[str, Any]) -> Who:
    """Whose token it will be, and what it will stand on."""
    user_id, epoch = found["user_id"], found["epoch"]
    if keys.get("trust_id"):
        trustee = db.first(TRUSTEE, {"id": str(keys["trust_id"]), "user_id": user_id})
        if trustee is None:
            raise Unauthorized
        return Who(trustee["id"], trustee["epoch"], (EC2_METHOD,), delegation=Delegation("trust", str(keys["trust_id"])))
    for name, kind in DELEGATIONS:
        if keys.get(name):
            return Who(user_id, epoch, (EC2_METHOD,), delegation=Delegation(kind, str(keys[name])))
    return Who(user_id, epoch, (EC2_METHOD,))
