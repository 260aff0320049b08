"""Groups of users, and who is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx, clock
from common.errors import BadRequest, NotFound
from identity.models import Group, GroupMember, User, VouchedMember
from identity.service import directory, tree
from identity.service.project import domain_for
from identity.service.rows import Values, assign, described, filtered, find, flush, listed, own_domain, put, same_id, store

COLUMNS = ("name", "description")
KNOWN = (*COLUMNS, "id", "domain_id", "links")
FILTERS = {"name": Group.name, "domain_id": Group.domain_id}


def create_group(tx: Tx, actor: Actor, values: Values) -> Group:
    """A new group; its domain is the actor's where the body names none. Raises NotFound (domain), Conflict (name)."""
    domain_id = domain_for(tx, actor, values.get("domain_id"))
    directory.must_be_ours(tx, domain_id)
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


def groups_of(actor: Actor, user_id: str, filters: Values) -> Select[Any]:
    """The groups that the user is in, or that a provider vouches for now; of another, those that the actor sees."""
    statement = filtered(select(Group).where(Group.id.in_(tree.groups_of(user_id))), filters, FILTERS)
    domain = None if user_id == actor.user_id else own_domain(actor)
    return statement if domain is None else statement.where(Group.domain_id == domain)


def memberships_end(tx: Tx, user_id: str) -> dict[str, datetime]:
    """Until when a provider vouches for the user's groups, by their ids; a group that the user is in for good is not among them."""
    lasting = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    vouched = select(VouchedMember.group_id, VouchedMember.expires_at).where(
        VouchedMember.user_id == user_id, VouchedMember.expires_at > clock(), VouchedMember.group_id.not_in(lasting)
    )
    return {row.group_id: row.expires_at for row in tx.execute(vouched.order_by(VouchedMember.expires_at))}


def update_group(tx: Tx, actor: Actor, group_id: str, values: Values) -> Group:
    """Change a group. Raises NotFound, Forbidden, BadRequest (another id or domain), Conflict (name)."""
    group = get_group(tx, actor, group_id, lock=True)
    same_id(values, group_id, "group")
    if "domain_id" in values and values["domain_id"] != group.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    directory.must_be_changeable(tx, group, values)
    assign(group, described(values), COLUMNS, KNOWN)
    flush(tx, "group", group.name)
    return group


def delete_group(tx: Tx, actor: Actor, group_id: str) -> None:
    """Delete a group; its members lose what it gave them."""
    group = get_group(tx, actor, group_id, lock=True)
    directory.must_be_changeable(tx, group)
    tx.delete(group)
    tx.flush()


def add_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Put a user into a group; harmless when repeated."""
    find(tx, User, user_id, "user", actor)
    get_group(tx, actor, group_id)
    directory.must_not_be_members(tx, user_id, group_id)
    put(tx, insert(GroupMember).values(user_id=user_id, group_id=group_id), "member", user_id)


def remove_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Take a user out of a group. Raises NotFound where he is not in it."""
    find(tx, User, user_id, "user", actor)
    get_group(tx, actor, group_id)
    directory.must_not_be_members(tx, user_id, group_id)
    here = GroupMember.user_id == user_id, GroupMember.group_id == group_id
    if tx.scalar(delete(GroupMember).where(*here).returning(GroupMember.user_id)) is None:
        raise NotFound(f"User {user_id!r} not found in group {group_id!r}.")


def check_member(tx: Tx, actor: Actor, group_id: str, user_id: str) -> None:
    """Raise NotFound unless the user is in the group, for good or because a provider vouches for it now."""
    find(tx, User, user_id, "user", actor)
    get_group(tx, actor, group_id)
    if tx.scalar(select(Group.id).where(Group.id == group_id, Group.id.in_(tree.groups_of(user_id)))) is None:
        raise NotFound(f"User {user_id!r} not found in group {group_id!r}.")
