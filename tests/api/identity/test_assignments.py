"""`/v3/role_assignments`: as given and as it counts, with inherited and implied roles; told through the API on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.support.api import counted


@pytest.fixture
def world(cloud):
    """top > middle > leaf in a domain d, ann in group g, and ids of it all by name."""
    domain = cloud.make("domain", name="d")["id"]
    top = cloud.make("project", name="top", domain_id=domain)["id"]
    middle = cloud.make("project", name="middle", parent_id=top)["id"]
    leaf = cloud.make("project", name="leaf", parent_id=middle)["id"]
    ann, group = cloud.make("user", name="ann", domain_id=domain)["id"], cloud.make("group", name="g", domain_id=domain)["id"]
    cloud.admin("PUT", f"/v3/groups/{group}/users/{ann}", ok=204)
    roles = {name: cloud.role(name) for name in ("reader", "member", "manager")}
    return {"d": domain, "top": top, "middle": middle, "leaf": leaf, "ann": ann, "g": group, **roles}


def give(cloud, where, who, role):
    cloud.admin("PUT", f"/v3/{where}/{who}/roles/{role}", ok=204)


def give_below(cloud, where, who, role):
    cloud.admin("PUT", f"/v3/OS-INHERIT/{where}/{who}/roles/{role}/inherited_to_projects", ok=204)


def rows(cloud, query, who=None):
    return (who or cloud.admin).get(f"/v3/role_assignments?{query}")["role_assignments"]


def brief(found):
    return sorted((*(part["id"] for key in ("user", "group") if (part := row.get(key))), *_scope(row), row["role"]["id"]) for row in found)


def _scope(row):
    kind = next(key for key in row["scope"] if not key.startswith("OS-INHERIT"))
    return kind, row["scope"][kind].get("id"), row["scope"].get("OS-INHERIT:inherited_to")


def test_inherited_ones_are_shown_as_given(cloud, world):
    give_below(cloud, f"projects/{world['top']}", f"users/{world['ann']}", world["reader"])
    give(cloud, f"projects/{world['top']}", f"users/{world['ann']}", world["member"])
    (inherited,) = rows(cloud, f"user.id={world['ann']}&scope.OS-INHERIT:inherited_to=projects")
    assert inherited["scope"] == {"project": {"id": world["top"]}, "OS-INHERIT:inherited_to": "projects"}
    path = f"/v3/OS-INHERIT/projects/{world['top']}/users/{world['ann']}/roles/{world['reader']}/inherited_to_projects"
    assert inherited["links"]["assignment"].endswith(path)
    (direct,) = rows(cloud, f"user.id={world['ann']}&scope.OS-INHERIT:inherited_to=nothing")
    assert direct["role"]["id"] == world["member"]
    assert len(rows(cloud, f"user.id={world['ann']}")) == 2


def test_what_counts_is_spelled_out_below(cloud, world):
    ann = world["ann"]
    give_below(cloud, f"projects/{world['top']}", f"users/{ann}", world["reader"])
    found = rows(cloud, f"effective&user.id={ann}")
    assert brief(found) == sorted((ann, "project", world[name], "projects", world["reader"]) for name in ("middle", "leaf"))
    path = f"/v3/OS-INHERIT/projects/{world['top']}/users/{ann}/roles/{world['reader']}/inherited_to_projects"
    assert all(row["links"]["assignment"].endswith(path) for row in found)
    cloud.admin("HEAD", path, ok=204)
    assert rows(cloud, f"effective&scope.project.id={world['top']}&user.id={ann}") == []
    for query in (f"scope.project.id={world['leaf']}", f"scope.project.id={world['leaf']}&scope.OS-INHERIT:inherited_to=projects"):
        assert brief(rows(cloud, f"effective&user.id={ann}&{query}")) == [(ann, "project", world["leaf"], "projects", world["reader"])]
    assert rows(cloud, f"effective&scope.project.id={world['leaf']}&scope.OS-INHERIT:inherited_to=x&user.id={ann}") == []
    assert rows(cloud, f"scope.project.id={world['leaf']}&user.id={ann}") == []


def test_a_domains_roles_reach_all_its_projects_and_not_itself(cloud, world):
    ann, group = world["ann"], world["g"]
    give_below(cloud, f"domains/{world['d']}", f"groups/{group}", world["manager"])
    found = rows(cloud, f"effective&user.id={ann}&include_names")
    assert {row["scope"]["project"]["name"] for row in found} == {"top", "middle", "leaf"}
    assert {row["role"]["name"] for row in found} == {"manager", "member", "reader"}
    assert len(found) == 9
    for row in found:
        assert row["links"]["membership"].endswith(f"/v3/groups/{group}/users/{ann}")
        granted = f"/v3/OS-INHERIT/domains/{world['d']}/groups/{group}/roles/{world['manager']}/inherited_to_projects"
        assert row["links"]["assignment"].endswith(granted)
        assert ("prior_role" in row["links"]) == (row["role"]["name"] != "manager")
    assert rows(cloud, f"effective&scope.domain.id={world['d']}") == []
    assert len(rows(cloud, f"effective&scope.project.id={world['middle']}&user.id={ann}")) == 3
    assert len(rows(cloud, f"effective&scope.project.id={world['middle']}&role.id={world['reader']}")) == 1
    assert len(rows(cloud, f"effective&scope.project.id={world['middle']}&include_subtree&user.id={ann}")) == 6
    assert len(rows(cloud, f"effective&scope.project.id={world['top']}&include_subtree&role.id={world['member']}")) == 3
    prior = next(row["links"]["prior_role"] for row in found if row["role"]["name"] == "reader")
    cloud.admin("HEAD", "/v3/" + prior.split("/v3/")[1], ok=204)


def test_a_tree(cloud, world):
    ann = world["ann"]
    give(cloud, f"projects/{world['middle']}", f"users/{ann}", world["reader"])
    give_below(cloud, f"projects/{world['leaf']}", f"users/{ann}", world["reader"])
    give(cloud, f"domains/{world['d']}", f"users/{ann}", world["reader"])
    found = rows(cloud, f"scope.project.id={world['top']}&include_subtree=true")
    assert {_scope(row) for row in found} == {("project", world["middle"], None), ("project", world["leaf"], "projects")}
    assert [row["scope"]["project"]["id"] for row in rows(cloud, f"scope.project.id={world['leaf']}&include_subtree=1")] == [world["leaf"]]
    cloud.admin.get("/v3/role_assignments?include_subtree", ok=400)
    cloud.admin.get("/v3/role_assignments?include_subtree&scope.project.id=none", ok=404)


def test_names_are_there_or_not(cloud, world):
    give_below(cloud, f"domains/{world['d']}", f"groups/{world['g']}", world["reader"])
    (row,) = rows(cloud, f"group.id={world['g']}&include_names")
    assert row["group"] == {"id": world["g"], "name": "g", "domain": {"id": world["d"], "name": "d"}}
    assert row["scope"] == {"domain": {"id": world["d"], "name": "d"}, "OS-INHERIT:inherited_to": "projects"}
    (row,) = rows(cloud, f"group.id={world['g']}&include_names=0")
    assert (row["group"], row["scope"]["domain"]) == ({"id": world["g"]}, {"id": world["d"]})
    (row,) = rows(cloud, "scope.system=all&effective&include_names&role.id=" + cloud.role("admin"))
    assert row["scope"] == {"system": {"all": True}}


@pytest.mark.parametrize("query", [
    "user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "scope.system=all&scope.domain.id=b", "scope.system=all&scope.project.id=b",
    "effective&group.id=a", "effective&scope.domain.id=a&scope.OS-INHERIT:inherited_to=projects", "include_subtree", "include_subtree&scope.domain.id=a",
    "scope.system=x", "effective=maybe", "include_names=perhaps", "user.id=%00",
])  # fmt: skip
def test_what_cannot_be_asked_together(cloud, query):
    cloud.admin.get(f"/v3/role_assignments?{query}", ok=400)


def test_one_statement_whatever_the_number_of_rows(cloud, world):
    queries = (
        "",
        "effective",
        "effective&include_names",
        f"effective&scope.project.id={world['top']}&include_subtree",
        f"effective&user.id={world['ann']}",
    )

    def count(query):
        with counted(cloud.db) as sent:
            rows(cloud, query)
        return len(sent)

    def counts():
        """Of two tries the less: one may also look which key signs now."""
        return [min(count(query), count(query)) for query in queries]

    give_below(cloud, f"domains/{world['d']}", f"groups/{world['g']}", world["manager"])
    few, shown = counts(), len(rows(cloud, "effective"))
    for index in range(10):
        cloud.make("project", name=f"p{index}", parent_id=world["top"])
        user = cloud.make("user", name=f"u{index}")["id"]
        cloud.admin("PUT", f"/v3/groups/{world['g']}/users/{user}", ok=204)
    assert counts() == few
    assert len(rows(cloud, "effective")) == shown + 9 * 10 + 10 * 3 * 11


def test_a_project_manager_sees_no_tree(cloud, world):
    boss = cloud.make("user", name="boss", password="pw", domain_id=world["d"])["id"]
    give(cloud, f"projects/{world['middle']}", f"users/{boss}", world["manager"])
    manager = cloud.login("boss", "pw", {"project": {"id": world["middle"]}}, domain=world["d"])
    for place in (world["middle"], world["leaf"], world["top"], "none"):
        manager.get(f"/v3/role_assignments?scope.project.id={place}&include_subtree", ok=403)
    manager.get("/v3/role_assignments", ok=403)
