"""Text that a list is narrowed by may be a part of what is sought, in every list that Keystone narrows so."""

from __future__ import annotations

import pytest


@pytest.fixture
def lists(cloud):
    """Path, collection and filter of lists that have two rows each, `alpha` and `beta`."""
    admin = cloud.admin
    user, project = cloud.make("user", name="ann")["id"], cloud.make("project", name="p")["id"]
    service = cloud.make("service", type="t")["id"]
    limits = [{"service_id": service, "resource_name": name, "default_limit": 1} for name in ("alpha", "beta")]
    for name in ("alpha", "beta"):
        admin.post("/v3/policies", {"policy": {"blob": "x", "type": name}}, ok=201)
        admin.post("/v3/credentials", {"credential": {"blob": "x", "type": name, "user_id": user}}, ok=201)
    admin.post("/v3/registered_limits", {"registered_limits": limits}, ok=201)
    system = cloud.login("admin", "secretadmin", {"system": {"all": True}})
    mine = [{"service_id": service, "resource_name": name, "resource_limit": 1, "project_id": project} for name in ("alpha", "beta")]
    system.post("/v3/limits", {"limits": mine}, ok=201)
    return {
        "policies": ("type", admin), "credentials": ("type", admin), "registered_limits": ("resource_name", admin), "limits": ("resource_name", system),
    }  # fmt: skip


@pytest.mark.parametrize("noun", ["policies", "credentials", "registered_limits", "limits"])
@pytest.mark.parametrize(("asked", "found"), [
    ("=alpha", ["alpha"]), ("__contains=lph", ["alpha"]), ("__startswith=b", ["beta"]), ("__iendswith=TA", ["beta"]), ("__contains=a", ["alpha", "beta"]),
    ("__contains=nothing", []), ("__contains=%25", []),
])  # fmt: skip
def test_a_part_is_enough(lists, noun, asked, found):
    name, client = lists[noun]
    assert sorted(row[name] for row in client.get(f"/v3/{noun}?{name}{asked}")[noun]) == found
