"""`Idempotency-Key`: a POST that is sent again does not happen again, and is answered as the first time.

The change, its audit row and the answer that is kept are ONE transaction, so that a process that dies leaves all of it or nothing.
Source: draft-ietf-httpapi-idempotency-key-header. See docs/design/0008-kit-requests.md.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import logging
import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Interval, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from common.api.answer import Rendered, render
from common.db import Tx, clock
from common.errors import ApiError, BadRequest, Conflict, UnprocessableContent
from common.models import IdempotencyKey

if TYPE_CHECKING:
    from common.api.request import Request

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Effect = Callable[[], None]
HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
KEPT = timedelta(hours=24)
SWEEP_SECONDS, SWEEP_ROWS = 600.0, 1000
_FORM = re.compile(r"[\x20-\x7e]{1,255}")
_NONCE = 12


class Kept(NamedTuple):
    """What is kept of a request."""

    fingerprint: str
    request_id: str
    answer: bytes


class Key:
    """The key of one request, and what is derived from it. Neither the key nor anything that it hides can be read in the database.

    id: names the request by user, what his token stands on, scope, route and key: who may do less than the user is not answered as the user
    was. fingerprint: tells another request under the same key.
    """

    def __init__(self, request: Request, text: str) -> None:
        actor, http = request.actor, request.http
        scope = actor.project_id or actor.domain_id or ("system" if actor.system else "")
        stands = [actor.delegation.kind, actor.delegation.id] if actor.delegation is not None else []
        self._secret = text.encode()
        self.id = hashlib.sha256(_canonical([actor.user_id, stands, scope, request.service.name, http.method, http.path, text])).hexdigest()
        self.fingerprint = self._derived(b"request", _canonical([request.body, http.query_string, list(request.version)])).hex()
        self._cipher = AESGCM(self._derived(b"answer", self.id.encode()))

    def _derived(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.new(self._secret, purpose + b"\0" + data, hashlib.sha256).digest()

    def seal(self, rendered: Rendered) -> bytes:
        """The answer as it is kept."""
        data = None if rendered.data is None else base64.b64encode(rendered.data).decode()
        plain = _canonical([rendered.status, rendered.headers, rendered.media, data])
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def replay(self, row: Kept) -> Rendered:
        """The answer that was kept. Raises UnprocessableContent where it was another request's."""
        if not hmac.compare_digest(row.fingerprint, self.fingerprint):
            raise UnprocessableContent(f"The {HEADER} was used for another request: its body, query or microversion was not this one.")
        try:
            plain = self._cipher.decrypt(row.answer[:_NONCE], row.answer[_NONCE:], None)
        except InvalidTag:
            raise RuntimeError(f"the answer kept of {row.request_id} is damaged") from None
        status, headers, media, data = json.loads(plain)
        LOG.info("answered as %s was", row.request_id)
        return Rendered(
            status, {**headers, REPLAYED: "true"}, media, None if data is None else base64.b64decode(data), request_id=row.request_id,
        )  # fmt: skip


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def key_of(request: Request) -> Key | None:
    """The key that the request brings, where its operation hears one. Raises BadRequest for one that is no key."""
    given = request.header(HEADER) if request.operation.idempotent else None
    if given is None:
        return None
    text = given.strip()
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _FORM.fullmatch(text):
        raise BadRequest(f"Invalid header {HEADER}: it must be of 1 to 255 printable ASCII characters, and has {len(text)}.")
    return Key(request, text)


def respond(request: Request, key: Key) -> Rendered:
    """Call the handler in one transaction, or give the answer again that it gave.

    While the first is still running: Conflict with `Retry-After`. A refusal is not kept: the key is free again.
    """
    service, body = request.service, request.body
    kept = service.db.run(lambda tx: _kept(tx, key))
    if kept is not None:
        return key.replay(kept)

    def whole(tx: Tx) -> tuple[Rendered, list[Effect]]:
        request.body = copy.deepcopy(body)
        request.together = together = _Together(request, key, tx)
        rendered = render(request, request.operation.handler(request))
        return together.finish(rendered)

    try:
        with service.authenticate.forgetting_later():
            rendered, effects = service.db.run(whole, request_id=request.id)
        for effect in effects:
            effect()
        return rendered
    except _KeptError as found:
        return key.replay(found.row)
    finally:
        request.together = None


class _KeptError(Exception):
    """Another request with this key was answered while this one began."""

    def __init__(self, row: Kept) -> None:
        self.row = row


class _Together:
    """One transaction for all reads and changes of a request; it takes no connection before the first of them."""

    def __init__(self, request: Request, key: Key, tx: Tx) -> None:
        self._request, self._key, self._tx = request, key, tx
        self._begun = self._changed = False
        self._failed: Exception | None = None
        self._effects: list[Effect] = []

    def call(self, fn: Callable[[Tx], T], *, changes: bool) -> T:
        """Call `fn` in the transaction."""
        if not self._begun:
            self._begin()
        self._changed = self._changed or changes
        try:
            result = fn(self._tx)
            self._tx.flush()
        except Exception as error:
            if changes or not isinstance(error, ApiError):
                self._failed = error
            raise
        return result

    def _begin(self) -> None:
        """Hold the key; then see whether its holder before this one left an answer."""
        held = self._tx.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended("idempotency:" + self._key.id, 0))))
        if not held:
            raise Conflict(f"A request with this {HEADER} is still running. Send it again.", headers={"Retry-After": "1"})
        row = _kept(self._tx, self._key)
        if row is not None:
            raise _KeptError(row)
        self._tx.info["request_id"] = self._request.id
        self._begun = True

    def afterwards(self, fn: Effect) -> None:
        """Call `fn` behind the COMMIT."""
        self._effects.append(fn)

    def finish(self, rendered: Rendered) -> tuple[Rendered, list[Effect]]:
        """Write audit row and answer; the answer, and what is to be called behind the COMMIT.

        What changed nothing leaves nothing, and a handler cannot make good of a change that failed.
        """
        if self._failed is not None:
            raise self._failed
        if self._changed:
            self._request.audit(self._tx)
            if rendered.status < 400 and rendered.stream is None:
                self._keep(rendered)
        return rendered, self._effects

    def _keep(self, rendered: Rendered) -> None:
        values = {
            "id": self._key.id, "fingerprint": self._key.fingerprint, "request_id": self._request.id,
            "answer": self._key.seal(rendered), "created_at": clock(),
        }  # fmt: skip
        statement = insert(IdempotencyKey).values(values)
        self._tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={**values}))


def _over() -> Any:
    return IdempotencyKey.created_at <= clock() - literal(KEPT, Interval())


def _kept(tx: Tx, key: Key) -> Kept | None:
    columns = (IdempotencyKey.fingerprint, IdempotencyKey.request_id, IdempotencyKey.answer)
    row = tx.execute(select(*columns).where(IdempotencyKey.id == key.id, ~_over())).one_or_none()
    return Kept(*row) if row is not None else None


def forget(tx: Tx) -> int:
    """Delete keys that are over, SWEEP_ROWS at the most; how many there were."""
    oldest = (
        select(IdempotencyKey.id).where(_over()).order_by(IdempotencyKey.created_at).limit(SWEEP_ROWS).with_for_update(skip_locked=True)
    )
    return len(tx.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(oldest)).returning(IdempotencyKey.id)).all())


def sweep(run: Callable[[Callable[[Tx], int]], int]) -> None:
    """Delete all keys that are over, in transactions of a bounded size. `run` is `Database.run`."""
    while run(forget) == SWEEP_ROWS:
        pass
