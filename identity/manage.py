"""`wolke-manage identity …`: what an operator does with identity by hand. Each command can be repeated without harm."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from contextlib import closing
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.config import CONF
from common.db import Database, Tx, lock_name
from identity import manage_directory, manage_federation, manage_keys, manage_tokens
from identity.models import DEFAULT_DOMAIN, Endpoint, Password, Project, Region, Role, Service, SigningKey, User
from identity.service import crypt, endpoint, grant, keys, project, role, service, user
from identity.service.grant import Place
from identity.service.password import hash_password, verify_password

OPERATOR = Actor(user_id="", user_name="wolke-manage", system=True, roles=frozenset({"admin"}))
PASSWORD_VARIABLE = "WOLKE_ADMIN_PASSWORD"
ROLES = ("admin", "manager", "member", "reader", "service")
IMPLIES = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
# (type, name, option with its port, path)
SERVICES = (
    ("identity", "keystone", "identity_port", "/v3"),
    ("compute", "nova", "compute_port", "/v2.1"),
    ("network", "neutron", "network_port", ""),
    ("block-storage", "cinder", "volume_port", "/v3"),
    ("volumev3", "cinderv3", "volume_port", "/v3"),
    ("image", "glance", "image_port", ""),
)
INTERFACES = ("public", "internal", "admin")


def bootstrap(db: Database, *, admin_password: str, region: str = "RegionOne", public_url_base: str = "http://127.0.0.1") -> None:
    """What a new cloud needs: the default domain, the admin with his project and roles, the catalogue, the keys.

    Repeated, it makes what is missing, enables the admin with domain and project, and sets the password and the endpoints' URLs to what is given.
    """
    crypt.make_keys()
    known = db.run(_hash_of_admin)
    secret = None if verify_password(admin_password, known) else hash_password(admin_password, CONF.identity.password_hash_rounds)

    def everything(tx: Tx) -> None:
        lock_name(tx, "identity.bootstrap")
        _people(tx, secret)
        tx.execute(insert(Region).values(id=region).on_conflict_do_nothing())
        for kind, name, port, path in SERVICES:
            _service(tx, kind, name, f"{public_url_base}:{CONF.api[port]}{path}", region)
        if tx.scalar(select(SigningKey.kid).limit(1)) is None:
            keys.rotate(tx, _ttl())

    db.run(everything)


def rotate_keys(db: Database) -> str:
    """The staged key signs from now on, a new one is staged; tokens that the old one signed hold to their end. Gives the kid."""
    return db.run(lambda tx: keys.rotate(tx, _ttl()))


def _ttl() -> timedelta:
    return timedelta(seconds=CONF.identity.token_ttl)


def _admin(tx: Tx) -> User | None:
    return tx.scalar(select(User).where(User.name == "admin", User.domain_id == DEFAULT_DOMAIN))


def _hash_of_admin(tx: Tx) -> str | None:
    admin = _admin(tx)
    newest = select(Password.hash).where(Password.user_id == (admin.id if admin else None)).order_by(Password.id.desc())
    return tx.scalar(newest.limit(1))


def _people(tx: Tx, secret: str | None) -> None:
    domain = tx.get(Project, DEFAULT_DOMAIN)
    if domain is None:
        domain = project.create_domain(tx, {"name": "Default", "description": "The default domain"}, domain_id=DEFAULT_DOMAIN)
    home = tx.scalar(select(Project).where(Project.name == "admin", Project.domain_id == DEFAULT_DOMAIN))
    if home is None:
        home = project.create_project(tx, OPERATOR, {"name": "admin", "description": "Project of the cloud's administrators"})
    roles = {name: _role(tx, name) for name in ROLES}
    for prior, implied in IMPLIES:
        role.imply(tx, roles[prior].id, roles[implied].id)
    admin = _admin(tx)
    if admin is None:
        admin = user.create_user(tx, OPERATOR, {"name": "admin"}, secret)
    else:
        user.update_user(tx, OPERATOR, admin.id, {}, secret)
    domain.enabled = home.enabled = admin.enabled = True
    for place in (Place("project", home.id, admin.id), Place("system", None, admin.id)):
        grant.give(tx, OPERATOR, place, roles["admin"].id)


def _role(tx: Tx, name: str) -> Role:
    found = tx.scalar(select(Role).where(Role.name == name, Role.domain_id.is_(None)))
    return found or role.create_role(tx, {"name": name, "options": {"immutable": True}})


def _service(tx: Tx, kind: str, name: str, url: str, region: str) -> None:
    row = tx.scalar(select(Service).where(Service.type == kind).order_by(Service.id).limit(1))
    if row is None:
        row = service.create_service(tx, {"type": kind, "name": name})
    for interface in INTERFACES:
        here: Any = (Endpoint.service_id == row.id, Endpoint.interface == interface, Endpoint.region_id == region)
        if tx.scalar(update(Endpoint).where(*here).values(url=url).returning(Endpoint.id)) is None:
            endpoint.create_endpoint(tx, {"service_id": row.id, "interface": interface, "region_id": region, "url": url})


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `identity bootstrap`, `identity rotate-keys`, and those of keys, tokens and directories."""
    mine = commands.add_parser("identity", help="users, catalogue and keys").add_subparsers(metavar="COMMAND", required=True)
    first = mine.add_parser("bootstrap", help="make what a new cloud needs")
    first.add_argument("--admin-password", help=f"better in the environment as {PASSWORD_VARIABLE}, or typed when asked")
    first.add_argument("--region", default="RegionOne")
    first.add_argument("--public-url-base", default="http://127.0.0.1", help="scheme and host of every endpoint")
    first.set_defaults(func=_bootstrap)
    rotate = mine.add_parser("rotate-keys", help="sign tokens with the next key")
    rotate.set_defaults(func=_rotate)
    manage_directory.add_command(mine, _database)
    manage_federation.add_command(mine, _database)
    manage_keys.add_commands(mine, _database)
    manage_tokens.add_commands(mine, _database)


def _database() -> Database:
    url = CONF.database.owner_connection or CONF.database.connection
    if not url:
        sys.exit("[database] owner_connection is not set in the configuration")
    return Database(url, pool_size=2)


def _bootstrap(asked: argparse.Namespace) -> int:
    password = asked.admin_password or os.environ.get(PASSWORD_VARIABLE) or getpass.getpass("Password for admin: ")
    with closing(_database()) as db:
        bootstrap(db, admin_password=password, region=asked.region, public_url_base=asked.public_url_base.rstrip("/"))
    return 0


def _rotate(_asked: argparse.Namespace) -> int:
    with closing(_database()) as db:
        print(rotate_keys(db))
    return 0
