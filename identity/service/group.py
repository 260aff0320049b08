"""Groups of users, and who is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, NotFound
from identity.models import Group, GroupMember, User
from identity.service.project import get_domain, home_domain
from identity.service.rows import Values, assign, described, filtered, find, flush, listed, put, store

COLUMNS = ("name", "description")
KNOWN = (*COLUMNS, "id", "domain_id", "links")
FILTERS = {"name": Group.name, "domain_id": Group.domain_id}


def create_group(tx: Tx, actor: Actor, values: Values) -> Group:
    """A new group; its domain is the actor's where the body names none. Raises NotFound (domain), Conflict (name)."""
    domain_id = get_domain(tx, values.get("domain_id") or home_domain(actor)).id
    group = Group(domain_id=domain_id, extra={}, description="")
    assign(group, described(values), COLUMNS, KNOWN)
    store(tx, group, "group", group.name)
    return group


def get_group(tx: Tx, actor: Actor, group_id: str, *, lock: bool = False) -> Group:
    """The group. Raises NotFound, Forbidden."""
    return find(tx, Group, group_id, "group", actor, lock=lock)


def list_groups(actor: Actor, filters: Values) -> Select[Any]:
    """The groups that the actor sees."""
    return listed(Group, actor, filters, FILTERS)


def groups_of(user_id: str, filters: Values) -> Select[Any]:
    """The groups that the user is in."""
    mine = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    return filtered(select(Group).where(Group.id.in_(mine)), filters, FILTERS)


def update_group(tx: Tx, actor: Actor, group_id: str, values: Values) -> Group:
    """Change a group."""
    group = get_group(tx, actor, group_id, lock=True)
    if "domain_id" in values and values["domain_id"] != group.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    assign(group, described(values), COLUMNS, KNOWN)
    flush(tx, "group", group.name)
    return group


def delete_group(tx: Tx, actor: Actor, group_id: str) -> None:
    """Delete a group; its members lose what it gave them."""
    tx.delete(get_group(tx, actor, group_id, lock=True))
    tx.flush()


def add_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Put a user into a group; harmless when repeated."""
    find(tx, User, user_id, "user", actor)
    get_group(tx, actor, group_id)
    put(tx, insert(GroupMember).values(user_id=user_id, group_id=group_id), "member", user_id)


def remove_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Take a user out of a group. Raises NotFound where he is not in it."""
    get_group(tx, actor, group_id)
    here = GroupMember.user_id == user_id, GroupMember.group_id == group_id
    if tx.scalar(delete(GroupMember).where(*here).returning(GroupMember.user_id)) is None:
        raise NotFound(f"User {user_id!r} not found in group {group_id!r}.")


def check_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Raise NotFound unless the user is in the group."""
    get_group(tx, actor, group_id)
    if tx.get(GroupMember, (user_id, group_id)) is None:
        raise NotFound(f"User {user_id!r} not found in group {group_id!r}.")
