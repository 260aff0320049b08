"""Consumers: the programs that ask users for access by OAuth 1.0a. Their secret is ours, kept encrypted, and shown once."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from identity.models import Consumer, ConsumerSecret
from identity.service.crypt import encrypt
from identity.service.rows import Values, extras, find, same_id, store

KNOWN = ("id", "description", "secret", "links")


def normal(values: Values) -> dict[str, Any]:
    """The attributes with the names that Keystone gives them: `some:weird-field` is `some_weird_field`."""
    return {name.replace(":", "_").replace("-", "_"): value for name, value in values.items()}


def create_consumer(tx: Tx, values: Values) -> tuple[Consumer, str]:
    """A new consumer, and its secret."""
    given, secret = normal(values), secrets.token_hex(16)
    row = Consumer(description=given.get("description"), extra=extras(given, KNOWN))
    store(tx, row, "consumer", None)
    tx.add(ConsumerSecret(consumer_id=row.id, secret=encrypt(secret)))
    tx.flush()
    return row, secret


def list_consumers() -> Select[Any]:
    """All consumers."""
    return select(Consumer)


def get_consumer(tx: Tx, consumer_id: str, *, lock: bool = False) -> Consumer:
    """The consumer. Raises NotFound."""
    return find(tx, Consumer, consumer_id, "consumer", lock=lock)


def update_consumer(tx: Tx, consumer_id: str, values: Values) -> Consumer:
    """Change what is said of a consumer. Raises NotFound, BadRequest for another id."""
    row = get_consumer(tx, consumer_id, lock=True)
    same_id(values, consumer_id, "consumer")
    given = normal(values)
    if "description" in given:
        row.description = given["description"]
    row.extra = {**row.extra, **extras(given, KNOWN)}
    tx.flush()
    return row


def delete_consumer(tx: Tx, consumer_id: str) -> None:
    """Delete a consumer; its request and access tokens go with it, and so do the tokens that it got. Raises NotFound."""
    tx.delete(get_consumer(tx, consumer_id, lock=True))
    tx.flush()
