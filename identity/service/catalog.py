"""The catalogue that a token's bearer is given: one query, remembered as briefly as a token's check is.

A project has the endpoints that were given to it, one by one or by a group; where there are none, all of them.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from common.clock import boottime
from common.config import CONF
from common.db import Database
from identity.service.endpoint import PLACEHOLDER
from identity.service.token import Scope

Found = dict[str, Any]
SIZE = 1024
CATALOGUE = text("""
WITH own AS (
    SELECT a.endpoint_id AS id FROM identity.project_endpoint a WHERE a.project_id = :project_id
    UNION
    SELECT e.id FROM identity.project_endpoint_group a JOIN identity.endpoint_group g ON g.id = a.endpoint_group_id
    JOIN identity.endpoint e
      ON jsonb_build_object('service_id', e.service_id, 'region_id', e.region_id, 'interface', e.interface) @> g.filters
    WHERE a.project_id = :project_id
)
SELECT (
    SELECT coalesce(json_agg(json_build_object('id', s.id, 'type', s.type, 'name', coalesce(s.name, ''), 'endpoints', (
        SELECT coalesce(json_agg(json_build_object(
            'id', e.id, 'interface', e.interface, 'region_id', e.region_id, 'region', e.region_id, 'url', e.url
        ) ORDER BY e.region_id, e.interface DESC, e.id), '[]')
        FROM identity.endpoint e
        WHERE e.service_id = s.id AND e.enabled AND (NOT EXISTS (SELECT FROM own) OR e.id IN (SELECT id FROM own))
    )) ORDER BY s.type, s.name, s.id), '[]')
    FROM identity.service s WHERE s.enabled
) AS services,
(
    SELECT coalesce(json_agg(json_build_object('id', p.id, 'auth_url', p.auth_url, 'sp_url', p.sp_url) ORDER BY p.id), '[]')
    FROM identity.service_provider p WHERE p.enabled
) AS providers,
EXISTS (SELECT FROM own) AS narrowed,
EXISTS (SELECT FROM identity.project_endpoint) OR EXISTS (SELECT FROM identity.project_endpoint_group) AS differs
""")


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """Services, each with its endpoints and the names that their URLs need; service providers. `differs`: some project has endpoints of its own."""

    services: tuple[tuple[Found, tuple[tuple[Found, frozenset[str]], ...]], ...]
    providers: tuple[Found, ...]
    narrowed: bool
    differs: bool


class Catalogues:
    """What a process knows of the catalogue, for [identity] check_cache_seconds: the whole, and each project's where projects differ."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[str | None, tuple[float, _Catalogue]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, project_id: str | None) -> _Catalogue:
        """The project's; the whole one for None. One query at the most."""
        before = boottime()
        whole = self._remembered(None, before)
        if whole is not None and (project_id is None or not whole.differs):
            return whole
        own = self._remembered(project_id, before)
        if own is not None:
            return own
        found = self._ask(project_id)
        with self._lock:
            key = project_id if found.differs else None
            self._known[key] = (before + CONF.identity.check_cache_seconds, found)
            self._known.move_to_end(key)
            while len(self._known) > SIZE:
                self._known.popitem(last=False)
        return found

    def _remembered(self, key: str | None, now: float) -> _Catalogue | None:
        with self._lock:
            known = self._known.get(key)
        return known[1] if known is not None and known[0] > now else None

    def _ask(self, project_id: str | None) -> _Catalogue:
        row = self._db.first(CATALOGUE, {"project_id": project_id})
        if row is None:
            raise AssertionError("a SELECT without FROM gives a row")
        services = tuple((service, tuple((one, _needed(one)) for one in service.pop("endpoints"))) for service in row["services"])
        return _Catalogue(services, tuple(row["providers"]), row["narrowed"], row["differs"])

    def forget(self) -> None:
        """Forget all of it: this process itself changed something."""
        with self._lock:
            self._known.clear()


def _needed(endpoint: Found) -> frozenset[str]:
    return frozenset(found[1] for found in PLACEHOLDER.finditer(endpoint["url"]))


@functools.lru_cache(maxsize=4)
def catalogues_of(db: Database) -> Catalogues:
    """What this process knows of the catalogue in `db`."""
    return Catalogues(db)


def catalogue(db: Database, user_id: str, scope: Scope) -> list[Found]:
    """The enabled services with their endpoints, for reading only; a URL that needs a project is left out where the scope is none.

    Where the project has endpoints of its own, a service without any is left out. One query at the most.
    """
    project_id = scope.id if scope.kind == "project" else None
    known = {"user_id": user_id}
    if project_id is not None:
        known |= {"project_id": project_id, "tenant_id": project_id}
    found = catalogues_of(db).of(project_id)
    services = []
    for service, endpoints in found.services:
        filled = [_fill(one, known) if needed else one for one, needed in endpoints if needed <= known.keys()]
        if filled or not found.narrowed:
            services.append({**service, "endpoints": filled})
    return services


def service_providers(db: Database, scope: Scope) -> list[Found]:
    """The enabled clouds that take our users, for reading only. It is remembered with the scope's catalogue: together one query at the most."""
    return list(catalogues_of(db).of(scope.id if scope.kind == "project" else None).providers)


def _fill(endpoint: Found, known: dict[str, str]) -> Found:
    return {**endpoint, "url": PLACEHOLDER.sub(lambda found: known[found[1]], endpoint["url"])}


def forget(db: Database) -> None:
    """After a change to what the catalogue shows; other processes see it within check_cache_seconds."""
    catalogues_of(db).forget()
