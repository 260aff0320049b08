"""Service providers: other clouds that take our users."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from common.errors import Conflict
from identity.models import ServiceProvider
from identity.service.rows import Values, assign, filtered, find, flush, store

COLUMNS = ("enabled", "description", "auth_url", "sp_url", "relay_state_prefix")
FILTERS = {"id": ServiceProvider.id, "enabled": ServiceProvider.enabled}
RELAY_STATE_PREFIX = "ss:mem:"


def create_service_provider(tx: Tx, provider_id: str, values: Values) -> ServiceProvider:
    """A new service provider. Raises Conflict."""
    if tx.get(ServiceProvider, provider_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store service_provider - Duplicate entry found with ID {provider_id}.")
    row = ServiceProvider(id=provider_id, enabled=False, relay_state_prefix=RELAY_STATE_PREFIX)
    _assign(row, values)
    store(tx, row, "service_provider", provider_id)
    return row


def _assign(row: ServiceProvider, values: Values) -> None:
    """Set what the body names; a null prefix is the usual one."""
    assign(row, values, COLUMNS, values)
    row.relay_state_prefix = row.relay_state_prefix if row.relay_state_prefix is not None else RELAY_STATE_PREFIX


def get_service_provider(tx: Tx, provider_id: str, *, lock: bool = False) -> ServiceProvider:
    """The service provider. Raises NotFound."""
    return find(tx, ServiceProvider, provider_id, "Service Provider", lock=lock)


def list_service_providers(filters: Values) -> Select[Any]:
    """All service providers that the filters let through."""
    return filtered(select(ServiceProvider), filters, FILTERS)


def update_service_provider(tx: Tx, provider_id: str, values: Values) -> ServiceProvider:
    """Change a service provider."""
    row = get_service_provider(tx, provider_id, lock=True)
    _assign(row, values)
    flush(tx, "service_provider", provider_id)
    return row


def delete_service_provider(tx: Tx, provider_id: str) -> None:
    """Delete a service provider."""
    tx.delete(get_service_provider(tx, provider_id, lock=True))
    tx.flush()
