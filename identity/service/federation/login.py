"""A log-in by another provider's word: the access token, the mapping, and what it comes to here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import select

from common.db import Database, Tx
from common.errors import BadRequest, Forbidden
from identity.models import FederationMapping, FederationProtocol, IdentityProvider
from identity.service.attempt import Who
from identity.service.federation import bearer, rules, shadow
from identity.service.federation.claims import assertion
from identity.service.federation.provider import get_protocol, get_provider
from identity.service.federation.rules import Assertion

T = TypeVar("T")


class Run(Protocol):
    """Calls `fn` in one transaction; `Database.run` or `Request.run`."""

    def __call__(self, fn: Callable[[Tx], T], /) -> T:
        """What `fn` returned."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a log-in needs to know of the provider, read before the access token is looked at."""

    provider: IdentityProvider
    protocol: FederationProtocol
    mapping: FederationMapping

    @property
    def audiences(self) -> list[str]:
        found: list[str] = self.provider.extra.get("audiences") or []
        return found


def identify(db: Database, provider_id: str, protocol_id: str, authorization: str | None, *, run: Run | None = None) -> Who:
    """Who the bearer of the access token in the header Authorization is here; made, with groups and projects, if that is what the rules say.

    run: how the one writing transaction is run; else by `db`. Raises Unauthorized (token, no rule applies), Forbidden (disabled provider),
    NotFound (provider, protocol, or what a rule names), BadRequest, ServiceUnavailable. Waits for the network with no transaction open.
    """
    raw = bearer.token_of(authorization)
    asked = db.run(lambda tx: asked_of(tx, provider_id, protocol_id))
    return arrive(asked, bearer.verify(raw, asked.provider.remote_ids, asked.audiences), run or db.run)


def arrive(asked: Asked, claims: Mapping[str, Any], run: Run) -> Who:
    """Who is here of whom the provider says `claims`, which were verified. run: how the one writing transaction is run. Raises as `identify`."""
    said = assertion(claims)
    _must_be_its(asked, said)
    mapped = rules.evaluate(asked.mapping.rules, said, asked.mapping.schema_version)
    provider_id, protocol_id = asked.provider.id, asked.protocol.id
    user_id, epoch = run(lambda tx: shadow.provide(tx, provider_id, protocol_id, mapped))
    federation = (provider_id, protocol_id) if mapped.user.type != "local" else None
    return Who(user_id, epoch, (protocol_id,), federation=federation)


def asked_of(tx: Tx, provider_id: str, protocol_id: str) -> Asked:
    """One query where all is well. Raises NotFound, Forbidden."""
    found = tx.execute(
        select(IdentityProvider, FederationProtocol, FederationMapping)
        .join(FederationProtocol, FederationProtocol.identity_provider_id == IdentityProvider.id)
        .join(FederationMapping, FederationMapping.id == FederationProtocol.mapping_id)
        .where(IdentityProvider.id == provider_id, FederationProtocol.id == protocol_id)
    ).first()
    if found is None or not found[0].enabled:
        must_be_enabled(get_provider(tx, provider_id))
        get_protocol(tx, provider_id, protocol_id)
    assert found is not None
    return Asked(*found)


def must_be_enabled(provider: IdentityProvider) -> None:
    """Raise Forbidden."""
    if not provider.enabled:
        raise Forbidden(f"Identity Provider {provider.id} is disabled.")


def _must_be_its(asked: Asked, said: Assertion) -> None:
    """The attribute that the protocol names must be one of the provider's remote ids, as in Keystone."""
    name = asked.protocol.remote_id_attribute
    if not name:
        return
    if name not in said:
        raise BadRequest("Could not find Identity Provider identifier in environment.")
    if ";".join(said[name]) not in asked.provider.remote_ids:
        raise Forbidden("Incoming identity provider identifier not included among the accepted identifiers.")
