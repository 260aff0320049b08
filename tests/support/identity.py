"""A bootstrapped identity service in-process, with real tokens."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from falcon import testing
from sqlalchemy import select

from common.api import app as kit
from common.api import check
from common.auth import Authenticator
from common.config import CONF
from common.db import Database
from identity import manage, public
from identity.api import SERVICE
from identity.models import Project, User
from identity.service import crypt
from identity.service.attempt import Who
from identity.service.auth import issue_for
from tests.support.api import Client
from tests.support.postgres import Postgres

ADMIN_PASSWORD = "secretadmin"
ROUNDS = 4


def admin_scope() -> dict[str, Any]:
    """The scope of the project admin."""
    return {"project": {"name": "admin", "domain": {"id": "default"}}}


def by_password(name: str, password: str, scope: Any = None, *, domain: str = "default") -> dict[str, Any]:
    """The body of a log-in."""
    who = {"user": {"name": name, "domain": {"id": domain}, "password": password}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": who}}
    return {"auth": auth if scope is None else {**auth, "scope": scope}}


def by_token(token: str, scope: Any = None) -> dict[str, Any]:
    """The body of a log-in by token."""
    auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
    return {"auth": auth if scope is None else {**auth, "scope": scope}}


_MEANT: list[dict[str, Any]] = []


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """bcrypt at its least cost, and keys for credentials in a folder that goes again; after it all is as before, also inside another."""
    with tempfile.TemporaryDirectory() as folder:
        _MEANT.append({"password_hash_rounds": ROUNDS, "credential_key_file": f"{folder}/credential-keys"})
        _override()
        try:
            yield
        finally:
            for option in _MEANT.pop():
                CONF.clear_override(option, "identity")
            _override()


def _override() -> None:
    """Set what the innermost `cheap_hashes` means; nothing outside of all."""
    for option, value in _MEANT[-1].items() if _MEANT else ():
        CONF.set_override(option, value, "identity")


def bootstrapped_template(postgres: Postgres) -> str:
    """The name of a database to copy in which identity is bootstrapped; nobody is connected to it."""
    name = postgres.fresh()
    db = Database(postgres.url(name), pool_size=1)
    with cheap_hashes():
        manage.bootstrap(db, admin_password=ADMIN_PASSWORD)
    db.close()
    return name


@dataclass(frozen=True)
class House:
    """A domain with one of each in it, and who works there: ids of domain, project, user, group and role; clients scoped to the domain."""

    ids: dict[str, str]
    reader: Client
    manager: Client

    @property
    def id(self) -> str:
        """The domain's."""
        return self.ids["domain"]


class Cloud:
    """The service, its clients and shortcuts for what most stories begin with."""

    def __init__(self, db: Database, *, bootstrapped: bool = False) -> None:
        """`bootstrapped`: the database is a copy of one that was; this process still lacks the keys of credentials."""
        if bootstrapped:
            crypt.make_keys()
        else:
            manage.bootstrap(db, admin_password=ADMIN_PASSWORD)
        check.ANSWERS = True
        SERVICE.connect(db, Authenticator(public.token_checker(db), seconds=0))
        self.db = db
        self.app = kit.build(SERVICE)
        self.nobody = Client(testing.TestClient(self.app), token=None)
        self.admin = self.nobody.as_(self.token("admin", ADMIN_PASSWORD, admin_scope()))

    def token(self, name: str, password: str, scope: Any = None, **more: Any) -> str:
        """A token by password."""
        return self.nobody("POST", "/v3/auth/tokens", by_password(name, password, scope, **more), ok=201).headers["X-Subject-Token"]

    def login(self, name: str, password: str, scope: Any = None, **more: Any) -> Client:
        """A client with a token by password."""
        return self.nobody.as_(self.token(name, password, scope, **more))

    def make(self, noun: str, **values: Any) -> dict[str, Any]:
        """Create one as admin."""
        return self.admin.post(f"/v3/{noun}s", {noun: values}, ok=201)[noun]

    def role(self, name: str) -> str:
        """The id of the role called `name`."""
        return self.admin.get(f"/v3/roles?name={name}")["roles"][0]["id"]

    def grant(self, role: str, *, user: str, project: str | None = None, domain: str | None = None) -> None:
        """Give a role by name to a user on a project, a domain or the system."""
        where = f"projects/{project}" if project else f"domains/{domain}" if domain else "system"
        self.admin("PUT", f"/v3/{where}/users/{user}/roles/{self.role(role)}", ok=204)

    def member(self, name: str, role: str = "member") -> tuple[Client, dict[str, Any], dict[str, Any]]:
        """A user with a role on a project of the same name: (client, user, project)."""
        project = self.make("project", name=name)
        user = self.make("user", name=name, password="pw-" + name)
        self.grant(role, user=user["id"], project=project["id"])
        return self.login(name, "pw-" + name, {"project": {"id": project["id"]}}), user, project

    def house(self, name: str) -> House:
        """A domain called `name`; what is in it is called `name` with the noun after it."""
        domain = self.make("domain", name=name)["id"]
        nouns = ("project", "user", "group", "role")
        ids = {"domain": domain, **{noun: self.make(noun, name=f"{name}-{noun}", domain_id=domain)["id"] for noun in nouns}}
        workers = {}
        for role in ("reader", "manager"):
            user = self.make("user", name=f"{name}-{role}", password="pw", domain_id=domain)["id"]
            self.grant(role, user=user, domain=domain)
            workers[role] = self.login(f"{name}-{role}", "pw", {"domain": {"id": domain}}, domain=domain)
        return House(ids, **workers)


def issue(db: Database) -> str:
    """A token of the bootstrapped admin for the project admin, without a log-in."""
    admin, project = db.run(lambda tx: (tx.scalars(select(User)).one(), tx.scalars(select(Project).where(~Project.is_domain)).one()))
    who = Who(admin.id, admin.epoch, ("password",))
    return issue_for(db, who, {"project": {"id": project.id}}, 3600).raw
