"""What a mapped log-in comes to in SQL: a user of the provider's domain, memberships that end, projects and roles. One transaction.

All of it may be repeated, and may race with itself: log-ins of one person take turns, and what others make at the same time is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from common.config import CONF
from common.db import Tx, clock, lock_name
from common.errors import BadRequest, Conflict, Forbidden, Unauthorized
from identity.models import FederatedUser, Group, IdentityProvider, Project, User, VouchedMember
from identity.service.federation import projects
from identity.service.federation.domains import Domains
from identity.service.federation.rules import Mapped, MappedGroup, MappedUser
from identity.service.rows import put, refusal

LONGEST_NAME = 255


def provide(tx: Tx, provider_id: str, protocol_id: str, mapped: Mapped) -> tuple[str, int]:
    """The user's (id, epoch), after everything that the rules say was made.

    Raises Unauthorized for a local user who is not there, Forbidden for a disabled provider or a group that is gone, NotFound for a domain or
    a role that is not there, BadRequest for a name that cannot be.
    """
    # Who disables or deletes the provider waits for us, or we for him; and then ends the tokens of all its users, this one too.
    provider = tx.get(IdentityProvider, provider_id, with_for_update={"read": True}, populate_existing=True)
    if provider is None or not provider.enabled:
        raise Forbidden(f"Identity Provider {provider_id} is disabled.")
    if mapped.user.type == "local":  # none of the provider's users: his tokens are like those by his password
        return _local(tx, mapped.user)
    lock_name(tx, f"federated:{provider_id}:{protocol_id}:{mapped.user.unique_id}")
    domains = Domains(tx, mapped)
    domain_id = domains.id_of(mapped.user.domain, provider.domain_id)
    user_id, epoch = _shadow(tx, provider_id, protocol_id, mapped.user, domain_id)
    _vouch(tx, user_id, provider, _groups(tx, mapped, domains))
    projects.provide(tx, user_id, mapped.projects, domains, provider.domain_id)
    return user_id, epoch


def _local(tx: Tx, user: MappedUser) -> tuple[str, int]:
    """The user who exists here already, whom the rules name by id, or by name and domain."""
    statement = select(User.id, User.epoch)
    if user.id:
        statement = statement.where(User.id == user.id)
    elif user.name and user.domain is not None:
        domain = Project.id == user.domain.id if user.domain.id else Project.name == user.domain.name
        statement = statement.join(Project, Project.id == User.domain_id).where(User.name == user.name, Project.is_domain, domain)
    else:
        raise BadRequest("Invalid rule: a user of type local needs an id, or a name and a domain.")
    found = tx.execute(statement).first()
    if found is None:
        raise Unauthorized
    return found.id, found.epoch


def _shadow(tx: Tx, provider_id: str, protocol_id: str, user: MappedUser, domain_id: str) -> tuple[str, int]:
    """The user who stands for the provider's, made at his first log-in; a new name or address of his is taken over."""
    name, unique_id = user.name or "", user.unique_id
    _must_fit("name", name)
    _must_fit("id", unique_id)
    his = {"identity_provider_id": provider_id, "protocol_id": protocol_id, "unique_id": unique_id}
    found = tx.execute(
        select(User.id, User.epoch, User.domain_id, User.extra, FederatedUser.id.label("link"), FederatedUser.display_name)
        .join(FederatedUser, FederatedUser.user_id == User.id)
        .where(*(getattr(FederatedUser, column) == value for column, value in his.items()))
    ).first()
    if found is None:
        user_id, epoch = _new(tx, name, domain_id, user, his)
        put(tx, insert(FederatedUser).values(user_id=user_id, display_name=name, **his), "federated user", name)
        return user_id, epoch
    if found.display_name != name:
        tx.execute(update(FederatedUser).where(FederatedUser.id == found.link).values(display_name=name))
        tx.execute(update(User).where(User.id == found.id).values(name=_free_name(tx, name, found.domain_id, his, found.id)))
    if user.email and found.extra.get("email") != user.email:
        tx.execute(update(User).where(User.id == found.id).values(extra={**found.extra, "email": user.email}))
    return found.id, found.epoch


def _must_fit(what: str, value: str) -> None:
    if not value.strip() or len(value) > LONGEST_NAME:
        raise BadRequest(f"The mapping gives the user a {what} of {len(value)} characters; it must have 1 to {LONGEST_NAME}.")


def _new(tx: Tx, name: str, domain_id: str, user: MappedUser, his: Mapping[str, str]) -> tuple[str, int]:
    values = {"domain_id": domain_id, "extra": {"email": user.email} if user.email else {}}
    for possible in (name, _qualified(name, his)):
        statement = insert(User).values(name=possible, **values).on_conflict_do_nothing(index_elements=["domain_id", "name"])
        made = _stored(tx, statement.returning(User.id, User.epoch)).first()
        if made is not None:
            return made.id, made.epoch
    raise Conflict(f"The user's name {name} is taken in the domain {domain_id}.")


def _free_name(tx: Tx, name: str, domain_id: str, his: Mapping[str, str], user_id: str) -> str:
    taken = tx.scalar(select(User.id).where(User.domain_id == domain_id, User.name == name, User.id != user_id))
    return name if taken is None else _qualified(name, his)


def _qualified(name: str, his: Mapping[str, str]) -> str:
    """Another name for who is called like somebody else of the domain: names are unique here, and nobody becomes another by his name."""
    mark = hashlib.sha256("\0".join(his.values()).encode()).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - 13]}#{mark}"


def _groups(tx: Tx, mapped: Mapped, domains: Domains) -> list[str]:
    """The ids of the mapped groups. One that is given by id must be there; one by name that is not there is left out, as in Keystone."""
    found = set(tx.scalars(select(Group.id).where(Group.id.in_(mapped.group_ids)))) if mapped.group_ids else set()
    missing = sorted(set(mapped.group_ids) - found)
    if missing:
        raise Forbidden(f"Group {missing[0]}, which the mapping returned, was not found.")
    return sorted(found | _named(tx, mapped.groups, domains))


def _named(tx: Tx, groups: Iterable[MappedGroup], domains: Domains) -> set[str]:
    pairs = [(group.name, domains.id_of(group.domain, "")) for group in groups]
    return set(tx.scalars(select(Group.id).where(tuple_(Group.name, Group.domain_id).in_(pairs)))) if pairs else set()


def _vouch(tx: Tx, user_id: str, provider: IdentityProvider, group_ids: list[str]) -> None:
    """Let the user be in these groups, and by this provider's word in no others, for as long as it holds; else for a token's life."""
    mine = VouchedMember.user_id == user_id, VouchedMember.identity_provider_id == provider.id
    tx.execute(delete(VouchedMember).where(*mine, VouchedMember.group_id.not_in(group_ids)))
    if not group_ids:
        return
    ttl = timedelta(minutes=provider.authorization_ttl) if provider.authorization_ttl else timedelta(seconds=CONF.identity.token_ttl)
    rows: list[dict[str, Any]] = [{"user_id": user_id, "group_id": group_id, "identity_provider_id": provider.id} for group_id in group_ids]
    statement = insert(VouchedMember).values([{**row, "expires_at": clock() + ttl} for row in rows])
    _stored(
        tx, statement.on_conflict_do_update(
            index_elements=["user_id", "group_id", "identity_provider_id"], set_={"expires_at": statement.excluded.expires_at},
        )
    )  # fmt: skip


def _stored(tx: Tx, statement: Any) -> Any:
    """Execute it. Raises NotFound where something that a row refers to went in the meantime."""
    try:
        return tx.execute(statement)
    except IntegrityError as error:
        raise refusal(error, "federated user", None) from None
