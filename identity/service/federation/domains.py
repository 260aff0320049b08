"""The domains that a mapping's result names, found by one query."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import or_, select

from common.db import Tx
from identity.models import Project
from identity.service.federation.rules import DomainRef, Mapped
from identity.service.rows import missing


class Domains:
    """Those of the user, the groups and the projects of `mapped`."""

    def __init__(self, tx: Tx, mapped: Mapped) -> None:
        wanted = set(_named(mapped))
        self._ids: dict[DomainRef, str] = {}
        if not wanted:
            return
        ids, names = {ref.id for ref in wanted if ref.id}, {ref.name for ref in wanted if ref.name}
        statement = select(Project.id, Project.name).where(Project.is_domain, or_(Project.id.in_(ids), Project.name.in_(names)))
        for row in tx.execute(statement):
            self._ids |= {DomainRef(id=row.id): row.id, DomainRef(name=row.name): row.id}

    def id_of(self, ref: DomainRef | None, usual: str) -> str:
        """The id of the domain; `usual` where none is named. Raises NotFound."""
        if ref is None:
            return usual
        if ref not in self._ids:
            raise missing("domain", ref.id or ref.name)
        return self._ids[ref]


def _named(mapped: Mapped) -> Iterator[DomainRef]:
    yield from (group.domain for group in mapped.groups)
    for domain in (mapped.user.domain, *(project.domain for project in mapped.projects)):
        if domain is not None:
            yield domain
