"""/os-keypairs at 2.1. Source: Nova's API reference, "Keypairs"."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import obj, wrapped
from compute.api.shapes import keypair as answers
from compute.models import Keypair
from compute.service import keypair, quota

Json = dict[str, Any]
OTHERS = "compute:keypair:others"
NAME = {**shapes.NAME, "pattern": r"^[a-zA-Z0-9_ @.-]+$"}
CREATE = wrapped("keypair", obj({"name": NAME, "public_key": {"type": ["string", "null"], "maxLength": 16384}}, required=("name",)))


def _user(request: Request) -> str:
    """Whose key pairs: one's own, or those of `user_id` for administrators."""
    given = request.query.one("user_id")
    if given and given != request.actor.user_id:
        request.must(OTHERS)
        return given
    return request.actor.user_id


@operation("GET", "/os-keypairs", action="compute:keypair:list", guarded=(OTHERS,), answer=answers.KEYPAIRS)
def list_keypairs(request: Request) -> Json:
    """All key pairs of a user."""
    rows = request.read(lambda tx: keypair.of_user(tx, _user(request)))
    return {"keypairs": [{"keypair": _brief(row)} for row in rows]}


@operation("POST", "/os-keypairs", action="compute:keypair:create", body=CREATE, secret=True, answer=answers.CREATED)
def create_keypair(request: Request) -> Json:
    """Import a public key, or make a pair: then the answer alone holds its private half."""
    body, actor = request.body["keypair"], request.actor

    def run(tx: Any) -> tuple[Keypair, str | None]:
        allowed = quota.limits(tx, actor.project_id or "")["key_pairs"]
        return keypair.create(tx, actor.user_id, body["name"], body.get("public_key"), allowed)

    row, private = request.run(run)
    found = {**_brief(row), "user_id": row.user_id}
    return {"keypair": {**found, "private_key": private} if private else found}


@operation("GET", "/os-keypairs/{name}", action="compute:keypair:show", guarded=(OTHERS,), answer=answers.KEYPAIR)
def show_keypair(request: Request) -> Json:
    """One key pair."""
    row = request.read(lambda tx: keypair.get(tx, _user(request), request.path["name"]))
    more = {
        "user_id": row.user_id, "id": row.id, "created_at": row.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"), "deleted": False,
        "deleted_at": None, "updated_at": None,
    }  # fmt: skip
    return {"keypair": {**_brief(row), **more}}


@operation("DELETE", "/os-keypairs/{name}", action="compute:keypair:delete", status=202, guarded=(OTHERS,))
def delete_keypair(request: Request) -> None:
    """Remove a key pair; servers keep the key."""
    request.run(lambda tx: keypair.remove(tx, _user(request), request.path["name"]))


def _brief(row: Keypair) -> Json:
    return {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint}
