"""A service as the outside sees it: its name, manners, versions, rules and operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.api.dialect import Dialect
from common.api.microversions import Microversions
from common.api.operation import Operation, declared_in
from common.api.policy import Policy, Rule
from common.auth import Authenticator
from common.db import Database

VersionDocument = Callable[[str], tuple[int, dict[str, Any]]]


@dataclass
class Service:
    """What `common.api.app` serves.

    prefixes: what stands before the path of each operation (`("/v3/{project_id}", "/v3")` in the volume API).
    versions: documents that need no token, by path; each is called with the base URL by which the client came and gives status and body.
    trailing_slash: whether `/things/` is `/things`; in the image API it is an image without a name. A `{project_id}` must be the token's.
    document: where the API document is had; without a token, as the version documents.
    documented: every answer has a declared shape, and every query parameter that is heard; tests see to it.
    waiting: how many requests may wait for something bounded (a hash) on top of the threads that serve all others.
    `db` and `authenticate` are handed in by the process that serves it.
    """

    name: str
    dialect: Dialect
    modules: Sequence[object]
    rules: Iterable[Rule]
    versions: dict[str, VersionDocument] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("",)
    microversions: Microversions | None = None
    max_body: int = 1 << 20
    trailing_slash: bool = True
    document: str = ""
    documented: bool = False
    waiting: Callable[[], int] = lambda: 0

    def __post_init__(self) -> None:
        self.operations: list[Operation] = [item for module in self.modules for item in declared_in(module)]
        self._policy: Policy | None = None
        self._db: Database | None = None
        self._authenticate: Authenticator | None = None

    def connect(self, db: Database, authenticate: Authenticator) -> None:
        """Hand in what a running process owns."""
        self._db, self._authenticate = db, authenticate

    @property
    def policy(self) -> Policy:
        """The rules in force; read once."""
        if self._policy is None:
            self._policy = Policy(list(self.rules))
        return self._policy

    @property
    def db(self) -> Database:
        """The database of the process that serves this."""
        if self._db is None:
            raise RuntimeError(f"service {self.name} is not connected")
        return self._db

    @property
    def authenticate(self) -> Authenticator:
        """The token check of the process that serves this."""
        if self._authenticate is None:
            raise RuntimeError(f"service {self.name} is not connected")
        return self._authenticate
