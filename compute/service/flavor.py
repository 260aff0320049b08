"""Flavors: sizes that an operator offers, who may use one that is not public, and their extra specs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, true
from sqlalchemy.dialects.postgresql import insert

from common.api.paging import Page
from common.auth import Actor
from common.db import Tx, new_uuid
from common.errors import Conflict, NotFound
from compute.models import Flavor, FlavorAccess

KEYS = {
    "flavorid": Flavor.id, "name": Flavor.name, "memory_mb": Flavor.ram_mib, "vcpus": Flavor.vcpus, "root_gb": Flavor.disk_gib,
    "ephemeral_gb": Flavor.ephemeral_gib, "swap": Flavor.swap_mib, "rxtx_factor": Flavor.rxtx_factor, "created_at": Flavor.created_at,
    "is_public": Flavor.is_public, "id": Flavor.id,
}  # fmt: skip


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL: the flavors that `actor` may use."""
    if actor.is_admin:
        return true()
    granted = exists().where(FlavorAccess.flavor_id == Flavor.id, FlavorAccess.project_id == actor.project_id)
    return or_(Flavor.is_public, granted)


def get(tx: Tx, actor: Actor, flavor_id: str, *, lock: bool = False) -> Flavor:
    """The flavor. Raises NotFound."""
    asked = select(Flavor).where(Flavor.id == flavor_id, visible_to(actor))
    found = tx.execute(asked.with_for_update() if lock else asked).scalar()
    if found is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return found


def page(tx: Tx, actor: Actor, asked: Page, *, public: bool | None, least_ram: int, least_disk: int) -> list[Flavor]:
    """One page, and one more where there is more. `public` None is both; the actor's granted ones stand beside public ones. MiB, GiB."""
    granted = exists().where(FlavorAccess.flavor_id == Flavor.id, FlavorAccess.project_id == actor.project_id)
    statement = select(Flavor).where(visible_to(actor), Flavor.ram_mib >= least_ram, Flavor.disk_gib >= least_disk)
    if public is not None:
        statement = statement.where(or_(Flavor.is_public, granted) if public else ~Flavor.is_public)
    return asked.rows(tx, statement, KEYS, Flavor.id)


def spec(flavor: Flavor, key: str) -> str:
    """One extra spec. Raises NotFound."""
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.id} has no extra specs with key {key}.")
    return flavor.extra_specs[key]


def create(tx: Tx, values: dict[str, Any]) -> Flavor:
    """Make a flavor; `id` may be absent. Raises Conflict when its id or name is taken."""
    flavor_id = values.pop("id", None) or new_uuid()
    row = insert(Flavor).values(id=flavor_id, **values).on_conflict_do_nothing().returning(Flavor.id)
    if tx.execute(row).scalar() is None:
        if tx.execute(select(Flavor.id).where(Flavor.id == flavor_id)).scalar() is not None:
            raise Conflict(f"Flavor with ID {flavor_id} already exists.")
        raise Conflict(f"Flavor with name {values['name']} already exists.")
    return tx.execute(select(Flavor).where(Flavor.id == flavor_id)).scalar_one()


def remove(tx: Tx, flavor_id: str) -> None:
    """Remove a flavor; servers keep the figures that they were made with. Raises NotFound."""
    if tx.execute(delete(Flavor).where(Flavor.id == flavor_id).returning(Flavor.id)).scalar() is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")


def change_specs(tx: Tx, actor: Actor, flavor_id: str, specs: dict[str, str]) -> dict[str, str]:
    """Add or replace extra specs; all of them."""
    flavor = get(tx, actor, flavor_id, lock=True)
    flavor.extra_specs = {**flavor.extra_specs, **specs}
    return flavor.extra_specs


def remove_spec(tx: Tx, actor: Actor, flavor_id: str, key: str) -> None:
    """Remove one extra spec. Raises NotFound."""
    flavor = get(tx, actor, flavor_id, lock=True)
    spec(flavor, key)
    flavor.extra_specs = {name: value for name, value in flavor.extra_specs.items() if name != key}


def access(tx: Tx, actor: Actor, flavor_id: str) -> list[str]:
    """The projects that may use a flavor that is not public. Raises NotFound for a public one."""
    flavor = get(tx, actor, flavor_id)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _projects(tx, flavor_id)


def add_access(tx: Tx, actor: Actor, flavor_id: str, project_id: str) -> list[str]:
    """Let a project use the flavor; all that may. Raises Conflict when it is public or may already."""
    if get(tx, actor, flavor_id).is_public:
        raise Conflict("Can not add access to a public flavor.")
    row = insert(FlavorAccess).values(flavor_id=flavor_id, project_id=project_id).on_conflict_do_nothing()
    if tx.execute(row.returning(FlavorAccess.project_id)).scalar() is None:
        raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.")
    return _projects(tx, flavor_id)


def remove_access(tx: Tx, actor: Actor, flavor_id: str, project_id: str) -> list[str]:
    """Let a project use the flavor no more; all that still may. Raises NotFound."""
    get(tx, actor, flavor_id)
    gone = delete(FlavorAccess).where(FlavorAccess.flavor_id == flavor_id, FlavorAccess.project_id == project_id)
    if tx.execute(gone.returning(FlavorAccess.project_id)).scalar() is None:
        raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.")
    return _projects(tx, flavor_id)


def _projects(tx: Tx, flavor_id: str) -> list[str]:
    asked = select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == flavor_id).order_by(FlavorAccess.project_id)
    return list(tx.execute(asked).scalars())
