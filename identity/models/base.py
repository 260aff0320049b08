"""What the tables of identity share."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

SCHEMA = "identity"
DEFAULT_DOMAIN = "default"


def new_id() -> str:
    """A random id as Keystone prints it: 32 hex digits."""
    return uuid.uuid4().hex


def ref(table: str, *, cascade: bool = True) -> ForeignKey:
    """A reference to the id of another table of identity; with `cascade`, the row goes with what it refers to."""
    return ForeignKey(f"{SCHEMA}.{table}.id", ondelete="CASCADE" if cascade else None)


class Named:
    """A resource of the API: its id, and the attributes that a client invented (`extra`)."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class Guarded(Named):
    """A resource that can be switched off.

    `epoch` rises with whatever ends the tokens given out before: a token carries the epoch that it was issued under.
    """

    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    epoch: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
