"""The writer's SQL: which rows are dirty, and what has come about. Records hold the lease's row, so an old writer records nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, String, and_, cast, column, exists, literal, select, union_all, update, values
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError

from common.db import Tx
from network.engine.desired import Unit
from network.models import ABSENT, PRESENT, Owned, Port
from network.writer.load import KINDS, Kind

LOG = logging.getLogger(__name__)
BATCH = 500


def dirty_kinds(tx: Tx) -> set[tuple[str, str]]:
    """(kind, desired) of which there are rows to bring about; one query, answered by the partial indexes."""
    parts = []
    for kind in KINDS:
        for desired in (PRESENT, ABSENT):
            model = kind.model
            found = exists().where(model.generation != model.observed_generation, model.desired == desired)
            parts.append(select(literal(kind.name), literal(desired)).where(found))
    return {(name, desired) for name, desired in tx.execute(union_all(*parts))}


def dirty(tx: Tx, kind: Kind, desired: str, skip: Collection[str], limit: int = BATCH) -> list[Any]:
    """Rows to bring about, but those in `skip`."""
    model = kind.model
    query = select(model).where(model.generation != model.observed_generation, model.desired == desired, model.id.not_in(list(skip)))
    return list(tx.scalars(query.order_by(model.id).limit(limit)))


def after(kind: Kind, last: str, tx: Tx, limit: int = BATCH) -> list[Any]:
    """Rows that shall be, dirty or not, by id from after `last`."""
    model = kind.model
    query = select(model).where(model.desired == PRESENT, model.id > last)
    return list(tx.scalars(query.order_by(model.id).limit(limit)))


def gateways(tx: Tx, owner: str) -> list[Any]:
    """Ports of routers on external networks."""
    return list(tx.scalars(select(Port).where(Port.device_owner == owner, Port.desired == PRESENT).order_by(Port.id)))


def known(tx: Tx) -> set[tuple[str, str]]:
    """(kind, id) of every row, whatever it wants."""
    found: set[tuple[str, str]] = set()
    for kind in KINDS:
        found |= {(kind.name, id) for id in tx.scalars(select(kind.model.id))}
    return found


def record(model: type[Owned], units: Sequence[Unit], tx: Tx) -> None:
    """These generations stand in OVN; what failed before has come about."""
    rows = [(unit.id, unit.generation) for unit in units]
    table = values(column("id", String), column("generation", BigInteger), name="applied").data(rows)
    query = (
        update(model)
        .where(model.id == cast(table.c.id, String), model.generation >= table.c.generation)
        .where((model.observed_generation != table.c.generation) | model.fault.is_not(None))
        .values(observed_generation=table.c.generation, fault=None, updated_at=model.updated_at)
    )
    tx.execute(query, execution_options={"synchronize_session": False})


def forget(model: type[Owned], units: Iterable[Unit], tx: Tx) -> None:
    """These are gone from OVN: their rows go, unless a row that is not gone yet still names one."""
    ids = [unit.id for unit in units]
    try:
        with tx.begin_nested():
            query = sql_delete(model).where(model.id.in_(ids), model.desired == ABSENT)
            tx.execute(query, execution_options={"synchronize_session": False})
    except IntegrityError as error:
        if len(ids) == 1:
            LOG.info("%s %s stays until what names it is gone: %s", model.__name__, ids[0], str(error.orig).splitlines()[0])
            return
        for unit in units:
            forget(model, [unit], tx)


def fail(model: type[Owned], unit: Unit, message: str, moment: str, tx: Tx) -> None:
    """OVN refuses this one: its tenant can read why; it stays dirty and is tried again."""
    fault: dict[str, Any] = {"code": 500, "message": message, "created": moment}
    query = update(model).where(model.id == unit.id).values(fault=fault, updated_at=model.updated_at)
    tx.execute(query, execution_options={"synchronize_session": False})


def set_wired(states: Mapping[str, bool], tx: Tx) -> None:
    """What the chassis have up. Names that are no port's are of the cloud's own."""
    for up in (True, False):
        ids = [name for name, state in states.items() if state is up]
        if ids:
            query = update(Port).where(and_(Port.id.in_(ids), Port.wired.is_(not up)))
            tx.execute(query.values(wired=up, updated_at=Port.updated_at), execution_options={"synchronize_session": False})
