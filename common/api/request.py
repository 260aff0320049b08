"""What a handler sees of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, cast

from sqlalchemy import insert

from common.api.microversions import Version
from common.api.shapes import TRUTHS, is_whole_number, truth
from common.auth import Actor
from common.config import CONF
from common.db import Tx
from common.errors import BadRequest, Forbidden, Unauthorized

if TYPE_CHECKING:
    import falcon

    from common.api.operation import Operation
    from common.api.service import Service

T = TypeVar("T")


class Together(Protocol):
    """One transaction for all that a request reads and changes."""

    def call(self, fn: Callable[[Tx], T], *, changes: bool) -> T:
        """Call `fn` in it."""

    def afterwards(self, fn: Callable[[], None]) -> None:
        """Call `fn` behind its COMMIT."""


def base_url(http: falcon.Request) -> str:
    """Scheme and host by which the client reached the service: its proxy's word, where the option says that there is one."""
    if not CONF.api.enable_proxy_headers_parsing:
        return http.prefix
    told = (("Proto", http.scheme), ("Host", http.netloc), ("Prefix", ""))
    scheme, host, before = ((http.get_header(f"X-Forwarded-{name}") or own).split(",")[0].strip() for name, own in told)
    before = before.strip("/")
    return f"{scheme.lower()}://{host}{'/' if before else ''}{before}{http.root_path}"


class Query:
    """The query string: every parameter with all its values, checked against the operation's shapes."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self.values = values
        # The names that the handler asked for, there or not.
        self.heard: set[str] = set()

    def one(self, name: str, default: str | None = None) -> str | None:
        """The last value of `name`."""
        self.heard.add(name)
        return self.values[name][-1] if self.values.get(name) else default

    def all(self, name: str) -> list[str]:
        """Every value of `name`."""
        self.heard.add(name)
        return list(self.values.get(name, ()))

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        """The truth that `name` says; BadRequest when it says none. Present without a value is true, as in Keystone."""
        value = self.one(name)
        if value is None:
            return default
        if value == "":
            return True
        if value.lower() not in TRUTHS:
            raise BadRequest(f"Invalid query parameter {name}: {value!r} is not a boolean.")
        return truth(value)

    def integer(self, name: str, default: int | None = None, *, minimum: int = 0) -> int | None:
        """The whole number that `name` says; BadRequest when it says none, or one below `minimum`."""
        value = self.one(name)
        if value is None:
            return default
        if not is_whole_number(value) or int(value) < minimum:
            raise BadRequest(f"Invalid query parameter {name}: {value!r} is not an integer of at least {minimum}.")
        return int(value)

    def __contains__(self, name: object) -> bool:
        self.heard.add(str(name))
        return name in self.values


class Request:
    """One request, checked: token, microversion, body and query hold, and policy allows it."""

    def __init__(self, service: Service, operation: Operation, http: falcon.Request, path: dict[str, str], request_id: str) -> None:
        self.service, self.operation, self.http, self.path, self.id = service, operation, http, path, request_id
        self.body: Any = None
        self.version: Version = (0, 0)
        self._actor: Actor | None = None
        self.together: Together | None = None

    @property
    def actor(self) -> Actor:
        """Who asks. Raises Unauthorized where the operation takes no token and none came."""
        if self._actor is None:
            raise Unauthorized
        return self._actor

    @property
    def maybe_actor(self) -> Actor | None:
        """Who asks, or None where no token came."""
        return self._actor

    def set_actor(self, actor: Actor) -> None:
        """For the kit, and for log-in."""
        self._actor = actor

    @cached_property
    def query(self) -> Query:
        """The query string."""
        from urllib.parse import parse_qs

        try:
            found = parse_qs(self.http.query_string, keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError as error:
            raise BadRequest(f"Invalid query string: {error}.") from None
        if any("\x00" in value for name, values in found.items() for value in (name, *values)):
            raise BadRequest("Invalid query string: it holds a NUL character.")
        return Query(found)

    @property
    def stream(self) -> BinaryIO:
        """The raw body, for operations declared `raw`."""
        return cast(BinaryIO, self.http.stream)

    @property
    def source(self) -> str:
        """Whom the request comes from, as the socket or a trusted proxy knows: of the names in its header the last, which no client forges."""
        told = self.http.get_header("X-Forwarded-For") if CONF.api.enable_proxy_headers_parsing else None
        return (told or "").split(",")[-1].strip() or self.http.remote_addr

    def header(self, name: str) -> str | None:
        """A request header."""
        return self.http.get_header(name)

    def may(self, action: str) -> bool:
        """Whether policy allows `action` (a guarded field's) to the actor."""
        return self.service.policy.allows(action, self.actor)

    def must(self, action: str, *, field: str | None = None) -> None:
        """Raise Forbidden unless policy allows `action`."""
        if not self.may(action):
            what = f" of the attribute {field}" if field else ""
            raise Forbidden(f"Policy doesn't allow {action}{what} to be performed.")

    def url(self, path: str) -> str:
        """An absolute link to `path` of this service, by the name under which the client reached it."""
        return self._base + path

    @cached_property
    def _base(self) -> str:
        return base_url(self.http)

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Call `fn` in a transaction that writes nothing worth an audit row."""
        return self.together.call(fn, changes=False) if self.together else self.service.db.run(fn)

    def run(self, fn: Callable[[Tx], T]) -> T:
        """Call `fn` in a transaction that also writes this request's audit row; a lost COMMIT is looked up by it.

        Under an `Idempotency-Key` the COMMIT is that of the whole request, after the handler.
        """
        if self.together:
            return self.together.call(fn, changes=True)

        def audited(tx: Tx) -> T:
            tx.info["request_id"] = self.id
            result = fn(tx)
            self.audit(tx)
            return result

        return self.service.db.run(audited, request_id=self.id)

    def afterwards(self, fn: Callable[[], None]) -> None:
        """Call `fn` when what `run` changed is written: now, or under an `Idempotency-Key` behind the COMMIT. For what this process remembers."""
        if self.together:
            self.together.afterwards(fn)
        else:
            fn()

    def audit(self, tx: Tx) -> None:
        """Write this request's audit row. For the kit."""
        from common.models import Audit

        actor = self._actor
        tx.execute(
            insert(Audit).values(
                request_id=self.id, action=self.operation.action or self.operation.path, path=self.http.path[:1024],
                user_id=actor.user_id if actor else None, project_id=actor.project_id if actor else None,
            )
        )  # fmt: skip
