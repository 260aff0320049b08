"""Whom a provider's person is here, as an administrator says it beforehand, or as the first log-in made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Select, delete, select

from common.db import Tx
from common.errors import BadRequest
from identity.models import FederatedUser, FederationProtocol, IdentityProvider, User
from identity.service.rows import flush

FILTERS = {
    "idp_id": FederatedUser.identity_provider_id, "protocol_id": FederatedUser.protocol_id, "unique_id": FederatedUser.unique_id,
}  # fmt: skip


def of_user(tx: Tx, user_id: str) -> list[dict[str, Any]]:
    """`[{"idp_id", "protocols": [{"protocol_id", "unique_id"}, …]}, …]`, in the order of their names. One query."""
    order = (FederatedUser.identity_provider_id, FederatedUser.protocol_id, FederatedUser.unique_id)
    rows = tx.scalars(select(FederatedUser).where(FederatedUser.user_id == user_id).order_by(*order)).all()
    return [
        {"idp_id": provider, "protocols": [{"protocol_id": row.protocol_id, "unique_id": row.unique_id} for row in same]}
        for provider, same in groupby(rows, key=lambda row: row.identity_provider_id)
    ]


def replace(tx: Tx, user: User, federated: Sequence[Mapping[str, Any]], domain_id: str | None) -> None:
    """Make these the user's links, in place of those that there were.

    domain_id: the domain beyond which the actor sees nothing; the providers of others do not exist for him, or he could let their people
    in as his. Raises BadRequest for an unknown protocol, Conflict for somebody who is another user here.
    """
    wanted = {(one["idp_id"], protocol["protocol_id"], protocol["unique_id"]) for one in federated for protocol in one["protocols"]}
    for provider, protocol, _ in sorted(wanted):
        known = tx.get(IdentityProvider, provider) if tx.get(FederationProtocol, (provider, protocol)) is not None else None
        if known is None or domain_id not in (None, known.domain_id):
            raise BadRequest(
                f"Invalid input for field/attribute federated. Could not find protocol {protocol} of identity provider {provider}."
            )
    tx.execute(delete(FederatedUser).where(FederatedUser.user_id == user.id))
    for provider, protocol, unique in sorted(wanted):
        tx.add(
            FederatedUser(user_id=user.id, identity_provider_id=provider, protocol_id=protocol, unique_id=unique, display_name=user.name)
        )
    flush(tx, "federated user", user.name)


def users(wanted: Mapping[str, str]) -> Select[Any]:
    """The ids of the users whom these filters (`idp_id`, `protocol_id`, `unique_id`) name."""
    return select(FederatedUser.user_id).where(*(FILTERS[name] == value for name, value in wanted.items()))
