"""`wolke-manage identity rotate-credential-keys` and `re-encrypt`: the keys of what is kept encrypted, without a restart, on several nodes.

The file has the key that encrypts first, then the next one, which all nodes must have before it does, then the keys before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import inspect, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from common.db import Base, Database, Tx
from identity.models import AccessTokenSecret, ConsumerSecret, Credential, DomainSecret, RequestToken
from identity.service import crypt

# Everything that `crypt.encrypt` wrote.
ENCRYPTED: tuple[tuple[type[Base], InstrumentedAttribute[str]], ...] = (
    (Credential, Credential.blob),
    (ConsumerSecret, ConsumerSecret.secret),
    (RequestToken, RequestToken.secret),
    (AccessTokenSecret, AccessTokenSecret.secret),
    (DomainSecret, DomainSecret.value),
)
# Keys before the present one that a node which has not got the newest file may still use.
KEPT = 2
BATCH = 500


def rotate(db: Database) -> bool:
    """Let the next key encrypt and make another next one; True. Where there is no next one yet, only make it; False.

    Raises SystemExit when a row is still under an older key, which would then be one rotation nearer to being forgotten.
    """
    keys = crypt.read_keys()
    fresh = Fernet.generate_key().decode()
    if len(keys) == 1:
        crypt.write_keys([*keys, fresh])
        return False
    behind = count_behind(db)
    if behind:
        raise SystemExit(f"{behind} rows are not under the present key. Run first: wolke-manage identity re-encrypt")
    present, following, *before = keys
    crypt.write_keys([following, fresh, present, *before[: KEPT - 1]])
    return True


def count_behind(db: Database) -> int:
    """How many rows another key than the present one encrypted."""
    present = Fernet(crypt.read_keys()[0])

    def every(tx: Tx) -> list[str]:
        return [value for _, column in ENCRYPTED for value in tx.scalars(select(column))]

    return sum(not _is_under(present, value) for value in db.run(every))


def re_encrypt(db: Database) -> int:
    """Put every row under the present key; says how many were not. Can be stopped at any time and repeated."""
    keys = [Fernet(key) for key in crypt.read_keys()]
    done = 0
    for model, column in ENCRYPTED:
        last: tuple[Any, ...] | None = ()
        while last is not None:
            count, last = db.run(partial(_batch, model=model, column=column, keys=keys, after=last))
            done += count
    return done


def _batch(
    tx: Tx, model: type[Base], column: InstrumentedAttribute[str], keys: list[Fernet], after: tuple[Any, ...]
) -> tuple[int, tuple[Any, ...] | None]:
    """Do the next rows in the order of their ids: how many were changed, and the last one's id (None: that was all)."""
    order = tuple(inspect(model).primary_key)
    statement = select(model).order_by(*order).limit(BATCH).with_for_update()
    if after:
        statement = statement.where(tuple_(*order) > tuple_(*after))
    rows, count = list(tx.scalars(statement)), 0
    for row in rows:
        value = getattr(row, column.key)
        if not _is_under(keys[0], value):
            setattr(row, column.key, MultiFernet(keys).rotate(value.encode()).decode())
            count += 1
    return count, inspect(model).primary_key_from_instance(rows[-1]) if len(rows) == BATCH else None


def _is_under(key: Fernet, value: str) -> bool:
    try:
        key.decrypt(value.encode())
    except InvalidToken:
        return False
    return True


def add_commands(commands: Any, database: Callable[[], Database]) -> None:
    """Add `identity rotate-credential-keys` and `identity re-encrypt`."""
    rotated = commands.add_parser("rotate-credential-keys", help="encrypt credentials with the next key")
    rotated.set_defaults(func=lambda asked: _rotate(asked, database))
    again = commands.add_parser("re-encrypt", help="put what is encrypted under the present key")
    again.set_defaults(func=lambda asked: _re_encrypt(asked, database))


def _rotate(_asked: argparse.Namespace, database: Callable[[], Database]) -> int:
    with closing(database()) as db:
        rotated = rotate(db)
    print("The next key encrypts from now on, and another was made." if rotated else "The next key was made; nothing encrypts with it yet.")
    print(f"Copy {crypt.path()} to every node that serves identity{', then run: wolke-manage identity re-encrypt' if rotated else ''}.")
    return 0


def _re_encrypt(_asked: argparse.Namespace, database: Callable[[], Database]) -> int:
    with closing(database()) as db:
        print(f"{re_encrypt(db)} rows were put under the present key.")
    return 0
