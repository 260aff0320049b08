"""Services of the catalogue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from identity.models import Service
from identity.service.rows import Values, assign, filtered, find, flush, same_id, store

COLUMNS = ("type", "name", "description", "enabled")
KNOWN = (*COLUMNS, "id", "links")
FILTERS = {"type": Service.type, "name": Service.name}


def create_service(tx: Tx, values: Values) -> Service:
    """A new service; two of a type may be."""
    service = Service(extra={}, enabled=True)
    assign(service, values, COLUMNS, KNOWN)
    store(tx, service, "service", service.name)
    return service


def list_services(filters: Values) -> Select[Any]:
    """All services that the filters let through."""
    return filtered(select(Service), filters, FILTERS)


def get_service(tx: Tx, service_id: str) -> Service:
    """The service. Raises NotFound."""
    return find(tx, Service, service_id, "service")


def update_service(tx: Tx, service_id: str, values: Values) -> Service:
    """Change a service. Raises NotFound, BadRequest (another id)."""
    same_id(values, service_id, "service")
    service = find(tx, Service, service_id, "service", lock=True)
    assign(service, values, COLUMNS, KNOWN)
    flush(tx, "service", service.name)
    return service


def delete_service(tx: Tx, service_id: str) -> None:
    """Delete a service with its endpoints. Raises NotFound."""
    tx.delete(find(tx, Service, service_id, "service", lock=True))
    tx.flush()
