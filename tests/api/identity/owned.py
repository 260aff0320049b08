"""What a domain has, for the tests that look whether another domain learns of it: add a noun here, and every operation on it is tried."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.identity import Cloud, House


def _limit(cloud: Cloud, house: House) -> str:
    service = cloud.make("service", type="limited")["id"]
    key = {"service_id": service, "resource_name": "cores"}
    cloud.admin.post("/v3/registered_limits", {"registered_limits": [{**key, "default_limit": 5}]}, ok=201)
    made = cloud.admin.post("/v3/limits", {"limits": [{**key, "project_id": house.ids["project"], "resource_limit": 1}]}, ok=201)
    return made["limits"][0]["id"]


# The part of a path before the id: how the id of the house's own one is had.
OWNED: dict[str, Callable[[Cloud, House], str]] = {
    "domains": lambda _, house: house.ids["domain"],
    "projects": lambda _, house: house.ids["project"],
    "users": lambda _, house: house.ids["user"],
    "groups": lambda _, house: house.ids["group"],
    "roles": lambda _, house: house.ids["role"],
    "limits": _limit,
}
# Operations that tell every bearer of a token the same of every domain, as Keystone's do.
OPEN_TO_ALL = ("/config/security_compliance",)


def owned(cloud: Cloud, house: House) -> dict[str, str]:
    """The id of one of each noun that the house owns, by the part of a path before it."""
    return {part: find(cloud, house) for part, find in OWNED.items()}
