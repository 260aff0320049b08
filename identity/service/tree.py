"""The tree of projects below a domain: what is above and below one, and the roles that come down it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import CTE, Select, literal, or_, select, union

from common.db import Tx, clock
from identity.models import Assignment, GroupMember, Project, VouchedMember

Ids = dict[str, Any] | None


def above(project_id: str) -> CTE:
    """The ids (column `id`) of the project's parent, its parent, and so on to the domain; `level` counts from 1."""
    parent = select(Project.parent_id.label("id"), literal(1).label("level")).where(
        Project.id == project_id, Project.parent_id.is_not(None)
    )
    line = parent.cte(recursive=True)
    higher = select(Project.parent_id, line.c.level + 1).join(line, Project.id == line.c.id).where(Project.parent_id.is_not(None))
    return line.union_all(higher)


def below(roots: Select[Any]) -> CTE:
    """The ids (column `id`) of all projects below those whose ids `roots` gives; a root that is below none of the others is not among them."""
    children = select(Project.id.label("id")).where(Project.parent_id.in_(roots))
    line = children.cte(recursive=True)
    return line.union(select(Project.id).join(line, Project.parent_id == line.c.id))


def groups_of(user_id: str) -> Select[Any]:
    """The ids of the groups that the user is in, or that a provider vouches for at this moment."""
    member = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    vouched = select(VouchedMember.group_id).where(VouchedMember.user_id == user_id, VouchedMember.expires_at > clock())
    return select(union(member, vouched).subquery().c.group_id)


def granted(user_id: str, kind: str) -> Select[Any]:
    """The ids of the projects, or domains (`kind`), on which the user has a role: given there, or above and inherited; himself or by a group."""
    mine = or_(Assignment.user_id == user_id, Assignment.group_id.in_(groups_of(user_id)))
    direct = select(Assignment.target_id.label("id")).where(Assignment.target == kind, ~Assignment.inherited, mine)
    if kind != "project":
        return direct
    inherited = select(below(select(Assignment.target_id).where(Assignment.inherited, mine)).c.id)
    return select(union(direct, inherited).subquery().c.id)


def parents(tx: Tx, project_id: str, user_id: str | None) -> list[Project]:
    """The projects above, the nearest first; with `user_id`, those on which that user has a role."""
    line = above(project_id)
    return list(tx.scalars(_seen(select(Project).join(line, Project.id == line.c.id), user_id).order_by(line.c.level)))


def subtree(tx: Tx, project_id: str, user_id: str | None) -> list[Project]:
    """The projects below, in the order of their ids; with `user_id`, those on which that user has a role."""
    statement = select(Project).where(Project.id.in_(select(below(select(Project.id).where(Project.id == project_id)).c.id)))
    return list(tx.scalars(_seen(statement, user_id).order_by(Project.id)))


def _seen(statement: Select[Any], user_id: str | None) -> Select[Any]:
    return statement if user_id is None else statement.where(Project.id.in_(granted(user_id, "project")))


def parent_ids(tx: Tx, project: Project) -> Ids:
    """`{parent: {its parent: … None}}`; None for a domain."""
    tree: Ids = None
    for row in reversed(parents(tx, project.id, None)):
        tree = {row.id: tree}
    return tree


def subtree_ids(tx: Tx, project_id: str) -> Ids:
    """`{child: {its child: None, …}}`; None where there is nothing below."""
    line = below(select(Project.id).where(Project.id == project_id))
    children = defaultdict(list)
    for row in tx.execute(select(Project.id, Project.parent_id).join(line, Project.id == line.c.id).order_by(Project.id)):
        children[row.parent_id].append(row.id)

    def under(parent_id: str) -> Ids:
        return {child: under(child) for child in children.get(parent_id, ())} or None

    return under(project_id)
