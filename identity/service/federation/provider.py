"""Identity providers and their protocols."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import BadRequest, Conflict
from identity.models import DomainSecret, FederatedUser, FederationMapping, FederationProtocol, IdentityProvider, RemoteId, User, new_id
from identity.service import crypt
from identity.service.project import create_domain, get_domain
from identity.service.rows import Values, assign, filtered, find, flush, missing, store

COLUMNS = ("enabled", "description", "authorization_ttl")
KNOWN = (*COLUMNS, "id", "domain_id", "remote_ids", "links")
FILTERS = {"id": IdentityProvider.id, "enabled": IdentityProvider.enabled}
SECRET_GROUP = "openid"
PROTOCOL_COLUMNS = ("mapping_id", "remote_id_attribute")
# A token names the protocol as its method: none may pass for one that looks at a secret of the user's here.
METHODS = frozenset({"password", "token", "totp", "application_credential", "oauth1"})


def create_provider(tx: Tx, provider_id: str, values: Values) -> IdentityProvider:
    """A new identity provider; without `domain_id` it gets a domain of its own. Raises Conflict (its id, a remote id), NotFound (domain)."""
    if tx.get(IdentityProvider, provider_id) is not None:
        raise _taken(provider_id)
    domain_id = values.get("domain_id")
    domain_id = get_domain(tx, domain_id).id if domain_id else _own_domain(tx, provider_id)
    row = IdentityProvider(id=provider_id, domain_id=domain_id, enabled=False, extra={})
    _assign(row, values)
    store(tx, row, "identity_provider", provider_id)
    return _with_remote_ids(tx, row, values.get("remote_ids") or [])


def _assign(row: IdentityProvider, values: Values) -> None:
    """Set what the body names; an unknown attribute (`audiences`) that is null goes."""
    assign(row, values, COLUMNS, KNOWN)
    row.extra = {name: value for name, value in row.extra.items() if value is not None}


def _taken(provider_id: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store identity_provider - Duplicate entry found with ID {provider_id}.")


def _own_domain(tx: Tx, provider_id: str) -> str:
    name = new_id()
    described = f"Auto generated federated domain for Identity Provider: {provider_id}"
    return create_domain(tx, {"name": name, "description": described}, domain_id=name).id


def _with_remote_ids(tx: Tx, row: IdentityProvider, remote_ids: list[str]) -> IdentityProvider:
    """Let these, and no others, be the names of the provider. Raises Conflict where one is another's."""
    mine = RemoteId.identity_provider_id == row.id
    tx.execute(delete(RemoteId).where(mine, RemoteId.remote_id.not_in(remote_ids)))
    if remote_ids:
        rows = [{"remote_id": name, "identity_provider_id": row.id} for name in sorted(remote_ids)]
        tx.execute(insert(RemoteId).values(rows).on_conflict_do_nothing())
    tx.refresh(row)
    foreign = sorted(set(remote_ids) - set(row.remote_ids))
    if foreign:
        raise Conflict(f"Conflict occurred attempting to store identity_provider - Duplicate remote ID: {foreign[0]}.")
    return row


def get_provider(tx: Tx, provider_id: str, *, lock: bool = False) -> IdentityProvider:
    """The identity provider. Raises NotFound."""
    return find(tx, IdentityProvider, provider_id, "Identity Provider", lock=lock)


def list_providers(filters: Values) -> Select[Any]:
    """All identity providers that the filters let through."""
    return filtered(select(IdentityProvider), filters, FILTERS)


def update_provider(tx: Tx, provider_id: str, values: Values) -> IdentityProvider:
    """Change an identity provider; to disable it ends the tokens of its users. Raises Conflict (a remote id)."""
    row = get_provider(tx, provider_id, lock=True)
    was_enabled = row.enabled
    _assign(row, values)
    if was_enabled and not row.enabled:
        _end_tokens(tx, FederatedUser.identity_provider_id == provider_id)
    flush(tx, "identity_provider", provider_id)
    if "remote_ids" in values:
        return _with_remote_ids(tx, row, values["remote_ids"] or [])
    tx.refresh(row)
    return row


def client_secret(provider: IdentityProvider) -> tuple[str, str, str]:
    """The key of the row of DomainSecret that has the secret of our client there."""
    return provider.domain_id, SECRET_GROUP, f"client_secret:{provider.id}"


def set_client_secret(tx: Tx, provider_id: str, secret: str) -> None:
    """Keep the secret of our client at the provider, encrypted; an empty one goes. Raises NotFound."""
    row = get_provider(tx, provider_id, lock=True)
    if secret:
        domain_id, group, option = client_secret(row)
        tx.merge(DomainSecret(domain_id=domain_id, group=group, option=option, value=crypt.encrypt(secret)))
    else:
        _forget_client_secret(tx, row)
    tx.flush()


def _forget_client_secret(tx: Tx, row: IdentityProvider) -> None:
    tx.execute(delete(DomainSecret).where(tuple_(DomainSecret.domain_id, DomainSecret.group, DomainSecret.option) == client_secret(row)))


def delete_provider(tx: Tx, provider_id: str) -> None:
    """Delete an identity provider with its protocols, which ends the tokens of its users; they, and their domain, stay."""
    row = get_provider(tx, provider_id, lock=True)
    _end_tokens(tx, FederatedUser.identity_provider_id == provider_id)
    _forget_client_secret(tx, row)
    tx.delete(row)
    tx.flush()


def _end_tokens(tx: Tx, *whose: Any) -> None:
    users = select(FederatedUser.user_id).where(*whose)
    tx.execute(update(User).where(User.id.in_(users)).values(epoch=User.epoch + 1), execution_options={"synchronize_session": False})


def create_protocol(tx: Tx, provider_id: str, protocol_id: str, values: Values) -> FederationProtocol:
    """A new protocol of a provider. Raises NotFound (provider), BadRequest (mapping; the name of another method), Conflict."""
    if protocol_id in METHODS:
        raise BadRequest(f"Invalid input for field/attribute protocol_id. Value: {protocol_id}. It is a method of another kind.")
    get_provider(tx, provider_id)
    if tx.get(FederationProtocol, (provider_id, protocol_id)) is not None:
        raise Conflict(f"Conflict occurred attempting to store federation_protocol - Duplicate entry found with ID {protocol_id}.")
    _check_mapping(tx, values["mapping_id"])
    row = FederationProtocol(identity_provider_id=provider_id, id=protocol_id)
    assign(row, values, PROTOCOL_COLUMNS, values)
    store(tx, row, "federation_protocol", protocol_id)
    return row


def _check_mapping(tx: Tx, mapping_id: str) -> None:
    if tx.get(FederationMapping, mapping_id) is None:
        raise BadRequest(f"Invalid mapping id: {mapping_id}")


def get_protocol(tx: Tx, provider_id: str, protocol_id: str, *, lock: bool = False) -> FederationProtocol:
    """The protocol. Raises NotFound."""
    row = tx.get(FederationProtocol, (provider_id, protocol_id), with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise missing(f"federated protocol {protocol_id} for Identity Provider", provider_id)
    return row


def list_protocols(provider_id: str) -> Select[Any]:
    """The protocols of a provider; none of an unknown one, as in Keystone."""
    return select(FederationProtocol).where(FederationProtocol.identity_provider_id == provider_id)


def update_protocol(tx: Tx, provider_id: str, protocol_id: str, values: Values) -> FederationProtocol:
    """Change a protocol. Raises BadRequest (mapping)."""
    row = get_protocol(tx, provider_id, protocol_id, lock=True)
    if "mapping_id" in values:
        _check_mapping(tx, values["mapping_id"])
    assign(row, values, PROTOCOL_COLUMNS, values)
    flush(tx, "federation_protocol", protocol_id)
    return row


def delete_protocol(tx: Tx, provider_id: str, protocol_id: str) -> None:
    """Delete a protocol, which ends the tokens of those who came by it."""
    row = get_protocol(tx, provider_id, protocol_id, lock=True)
    _end_tokens(tx, FederatedUser.identity_provider_id == provider_id, FederatedUser.protocol_id == protocol_id)
    tx.delete(row)
    tx.flush()
