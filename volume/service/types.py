"""The rules of volume types: one default that stays; the others are an admin's to make and remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select, true
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx, new_uuid
from common.errors import BadRequest, Conflict, NotFound
from volume.models import Volume, VolumeType


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL for: the actor may use the type."""
    return true() if actor.is_admin else VolumeType.is_public.is_(True)


def get(tx: Tx, actor: Actor, type_id: str) -> VolumeType:
    """A type by its id. Raises NotFound."""
    found = tx.execute(select(VolumeType).where(VolumeType.id == type_id, visible_to(actor))).scalar_one_or_none()
    if found is None:
        raise NotFound(f"Volume type {type_id} could not be found.")
    return found


def default(tx: Tx) -> VolumeType:
    """The type of volumes that name none."""
    return tx.execute(select(VolumeType).where(VolumeType.is_default)).scalar_one()


def chosen(tx: Tx, actor: Actor, name_or_id: str | None) -> VolumeType:
    """The type that a request for a volume names, or the default. Raises NotFound."""
    if not name_or_id:
        return default(tx)
    matching = or_(VolumeType.id == name_or_id, VolumeType.name == name_or_id)
    found = tx.execute(select(VolumeType).where(matching, visible_to(actor)).order_by(VolumeType.id != name_or_id)).scalars().first()
    if found is None:
        raise NotFound(f"Volume type with name {name_or_id} could not be found.")
    return found


def create(tx: Tx, *, name: str, description: str | None, is_public: bool, extra_specs: Mapping[str, Any]) -> VolumeType:
    """Make a type. Raises Conflict when the name is taken."""
    row = insert(VolumeType).values(id=new_uuid(), name=name, description=description, is_public=is_public, extra_specs=dict(extra_specs))
    made = tx.execute(row.on_conflict_do_nothing().returning(VolumeType)).scalar_one_or_none()
    if made is None:
        raise Conflict(f"Volume Type {name} already exists.")
    return made


def update(tx: Tx, type_id: str, values: Mapping[str, Any]) -> VolumeType:
    """Change name, description or visibility. Raises NotFound, Conflict, BadRequest."""
    found = _locked(tx, type_id)
    name = values.get("name")
    if name is not None and tx.execute(select(exists().where(VolumeType.name == name, VolumeType.id != type_id))).scalar():
        raise Conflict(f"Volume Type {name} already exists.")
    if found.is_default and values.get("is_public") is False:
        raise BadRequest("The default volume type must be public.")
    for key, value in values.items():
        if value is not None:
            setattr(found, key, value)
    return found


def set_extra_specs(tx: Tx, type_id: str, specs: Mapping[str, Any]) -> VolumeType:
    """Merge extra specs into the type's. Raises NotFound."""
    found = _locked(tx, type_id)
    found.extra_specs = {**found.extra_specs, **specs}
    return found


def extra_spec(tx: Tx, actor: Actor, type_id: str, key: str) -> str:
    """The value of one extra spec. Raises NotFound."""
    return _spec(get(tx, actor, type_id), key)


def remove_extra_spec(tx: Tx, type_id: str, key: str) -> None:
    """Take one extra spec from the type. Raises NotFound."""
    found = _locked(tx, type_id)
    _spec(found, key)
    found.extra_specs = {name: value for name, value in found.extra_specs.items() if name != key}


def delete(tx: Tx, type_id: str) -> None:
    """Remove a type. Raises NotFound, and BadRequest while it is the default or a volume is of it."""
    found = _locked(tx, type_id)
    if found.is_default:
        raise BadRequest(f"Volume type {type_id} is the default and cannot be deleted.")
    if tx.execute(select(exists().where(Volume.type_id == type_id))).scalar():
        raise BadRequest("Target volume type is still in use.")
    tx.delete(found)


def _locked(tx: Tx, type_id: str) -> VolumeType:
    statement = select(VolumeType).where(VolumeType.id == type_id).with_for_update().execution_options(populate_existing=True)
    found = tx.execute(statement).scalar_one_or_none()
    if found is None:
        raise NotFound(f"Volume type {type_id} could not be found.")
    return found


def _spec(found: VolumeType, key: str) -> str:
    if key not in found.extra_specs:
        raise NotFound(f"Volume Type {found.id} has no extra specs with key {key}.")
    return str(found.extra_specs[key])
