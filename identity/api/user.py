"""`/v3/users`. Passwords are hashed before the transaction opens."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.config import CONF
from common.db import Tx
from identity.api import bodies, views
from identity.api.shapes import user as shapes
from identity.models import User
from identity.service import directory, look, password, security, user
from identity.service.federation import links

Body = dict[str, Any]


def _hash(request: Request) -> str | None:
    """The hash of the body's password, if it has one."""
    secret = request.body["user"].get("password")
    if secret is None:
        return None
    security.must_fit(secret)
    return password.hashed((request.source, request.actor.user_id), secret)


def _linked(tx: Tx, row: User) -> tuple[User, list[Body]]:
    """A user, and whom providers call so."""
    return row, links.of_user(tx, row.id)


def _shown(request: Request, found: tuple[User, list[Body]]) -> Body:
    row, federated = found
    return {"user": {**views.user(request, row), **({"federated": federated} if federated else {})}}


@operation("POST", "/v3/users", action="identity:create_user", status=201, body=bodies.body("user", bodies.USER, "name"), answer=shapes.USER)  # fmt: skip
def create_user(request: Request) -> Body:
    """Create a user."""
    secret = _hash(request)
    return _shown(request, request.run(lambda tx: _linked(tx, user.create_user(tx, request.actor, request.body["user"], secret))))


@operation("GET", "/v3/users", action="identity:list_users", query=shapes.USERS_QUERY, answer=shapes.USERS)
def list_users(request: Request) -> Body:
    """List users."""
    wanted = views.filters(request, "name", "domain_id", *links.FILTERS, flags=("enabled",))
    if "marker" not in request.query:
        look.see_users(request.service.db, (request.source, request.actor.user_id), request.actor, wanted)
    return views.listing(
        request, "users", user.list_users(request.actor, wanted, request.query.all("password_expires_at")), User, views.each_user()
    )


@operation("GET", "/v3/users/{user_id}", action=None, guarded=("identity:get_user",), answer=shapes.USER)
def get_user(request: Request) -> Body:
    """Show a user; oneself needs no role."""
    user_id, actor = request.path["user_id"], request.actor
    if user_id != actor.user_id:
        request.must("identity:get_user")
    look.see_user(request.service.db, (request.source, actor.user_id), actor, user_id)
    return _shown(request, request.read(lambda tx: _linked(tx, user.get_user(tx, actor, user_id))))


@operation("PATCH", "/v3/users/{user_id}", action="identity:update_user", body=bodies.body("user", bodies.USER), answer=shapes.USER)
def update_user(request: Request) -> Body:
    """Change a user."""
    secret = _hash(request)
    user_id, values = request.path["user_id"], request.body["user"]
    found = request.run(lambda tx: _linked(tx, user.update_user(tx, request.actor, user_id, values, secret)))
    request.service.authenticate.forget()
    return _shown(request, found)


@operation("DELETE", "/v3/users/{user_id}", action="identity:delete_user", status=204)
def delete_user(request: Request) -> None:
    """Delete a user."""
    request.run(lambda tx: user.delete_user(tx, request.actor, request.path["user_id"]))
    request.service.authenticate.forget()


@operation("POST", "/v3/users/{user_id}/password", action=None, token=False, status=204, body=bodies.CHANGE)
def change_password(request: Request) -> None:
    """Change one's own password; the old one says who asks. All tokens of the user end."""
    user_id, given = request.path["user_id"], request.body["user"]
    directory.must_keep_password(request.service.db, request.source, user_id, given["original_password"])
    login = user.verified(request.service.db, request.source, {"id": user_id}, given["original_password"])
    user.may_change_password(login)
    security.must_fit(given["password"])
    source = (request.source, user_id)
    request.read(lambda tx: security.must_be_old_enough(tx, user_id))
    if CONF.identity.unique_last_password_count:
        for old in request.read(lambda tx: security.history(tx, user_id)):
            if password.repeats(source, given["password"], old):
                raise security.repeated()
    security.passed(request.service.db, user_id, login.options)
    secret = password.hashed(source, given["password"])
    request.run(lambda tx: user.change_password(tx, login, secret))
    request.service.authenticate.forget()
