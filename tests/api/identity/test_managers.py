"""The manager of a domain runs what is in it, hands out nothing above himself, and learns nothing of other domains."""

from __future__ import annotations

import pytest


def names(body, key):
    return sorted(row["name"] for row in body[key])


@pytest.fixture
def mine(cloud):
    return cloud.house("mine")


@pytest.fixture
def theirs(cloud):
    return cloud.house("theirs")


def test_he_runs_his_users_groups_and_projects(mine):
    manager = mine.manager
    for noun, change in (("user", {"enabled": False}), ("group", {"description": "d"}), ("project", {"description": "d", "tags": ["t"]})):
        made = manager.post(f"/v3/{noun}s", {noun: {"name": "new"}}, ok=201)[noun]
        assert made["domain_id"] == mine.id
        path = f"/v3/{noun}s/{made['id']}"
        assert "new" in names(manager.get(f"/v3/{noun}s"), f"{noun}s")
        changed = manager.patch(path, {noun: change}, ok=200)[noun]
        assert {key: changed[key] for key in change} == change
        manager.delete(path)
        manager.get(path, ok=403)
    nested = manager.post("/v3/projects", {"project": {"name": "n", "parent_id": mine.ids["project"], "domain_id": mine.id}}, ok=201)[
        "project"
    ]
    shown = manager.get(f"/v3/projects/{mine.ids['project']}?subtree_as_ids&parents_as_ids")["project"]
    assert (shown["subtree"], shown["parents"]) == ({nested["id"]: None}, {mine.id: None})
    tags = f"/v3/projects/{nested['id']}/tags"
    manager("PUT", f"{tags}/x", ok=201)
    assert manager.put(tags, {"tags": ["y"]}, ok=200)["tags"] == manager.get(tags)["tags"] == ["y"]
    manager.delete(f"{tags}/y")
    manager.delete(tags)
    manager.patch(f"/v3/projects/{mine.ids['project']}/cascade", {"project": {"enabled": False}}, ok=200)
    manager.delete(f"/v3/projects/{mine.ids['project']}/cascade")


def test_he_puts_his_users_into_his_groups(mine, theirs):
    member = f"/v3/groups/{mine.ids['group']}/users/{mine.ids['user']}"
    mine.manager("PUT", member, ok=204)
    mine.manager("HEAD", member, ok=204)
    assert names(mine.manager.get(f"/v3/groups/{mine.ids['group']}/users"), "users") == ["mine-user"]
    mine.manager.delete(member)
    for group, user in ((mine, theirs), (theirs, mine), (theirs, theirs)):
        path = f"/v3/groups/{group.ids['group']}/users/{user.ids['user']}"
        for method in ("PUT", "HEAD", "GET", "DELETE"):
            mine.manager(method, path, ok=403)


def everywhere(house):
    """Every place of the house with every bearer, as given there and as inherited."""
    for where in (f"projects/{house.ids['project']}", f"domains/{house.id}"):
        for who in (f"users/{house.ids['user']}", f"groups/{house.ids['group']}"):
            yield f"/v3/{where}/{who}/roles/{{role}}"
            yield f"/v3/OS-INHERIT/{where}/{who}/roles/{{role}}/inherited_to_projects"


def test_he_hands_out_no_role_above_his_own(cloud, mine):
    other, own = cloud.make("role", name="other")["id"], cloud.make("role", name="manager", domain_id=mine.id)["id"]
    for path in everywhere(mine):
        for role in ("manager", "member", "reader"):
            one = path.format(role=cloud.role(role))
            mine.manager("PUT", one, ok=204)
            mine.manager("HEAD", one, ok=204)
            mine.manager.delete(one)
            mine.manager("HEAD", one, ok=404)
        for role in (cloud.role("admin"), cloud.role("service"), other, own, mine.ids["role"], "none"):
            one = path.format(role=role)
            mine.manager("PUT", one, ok=403)
            if role != "none":
                cloud.admin("PUT", one, ok=204)
            mine.manager("DELETE", one, ok=403)
        mine.reader("PUT", path.format(role=cloud.role("reader")), ok=403)


def test_he_grants_nothing_across_domains(cloud, mine, theirs):
    reader = cloud.role("reader")
    for there, who in ((mine, theirs), (theirs, mine), (theirs, theirs)):
        for where in (f"projects/{there.ids['project']}", f"domains/{there.id}"):
            for bearer in (f"users/{who.ids['user']}", f"groups/{who.ids['group']}"):
                for path in (
                    f"/v3/{where}/{bearer}/roles/{reader}",
                    f"/v3/OS-INHERIT/{where}/{bearer}/roles/{reader}/inherited_to_projects",
                ):
                    for method in ("PUT", "HEAD", "GET", "DELETE"):
                        mine.manager(method, path, ok=403)
    for path in (f"/v3/system/users/{mine.ids['user']}/roles/{reader}", f"/v3/system/groups/{mine.ids['group']}/roles/{reader}"):
        for method in ("PUT", "HEAD", "DELETE"):
            mine.manager(method, path, ok=403)


def test_he_makes_nothing_elsewhere(mine, theirs):
    manager = mine.manager
    for foreign in (theirs.id, "default", "none"):
        for noun in ("user", "group", "project"):
            manager.post(f"/v3/{noun}s", {noun: {"name": "x", "domain_id": foreign}}, ok=403)
        manager.post("/v3/projects", {"project": {"name": "x", "parent_id": foreign}}, ok=403)
    for parent in (theirs.ids["project"], "none"):
        for domain in ({}, {"domain_id": mine.id}, {"domain_id": theirs.id}):
            manager.post("/v3/projects", {"project": {"name": "x", "parent_id": parent, **domain}}, ok=403)
    manager.post("/v3/projects", {"project": {"name": "x", "parent_id": mine.ids["project"], "domain_id": theirs.id}}, ok=403)
    manager.post("/v3/projects", {"project": {"name": "x", "is_domain": True}}, ok=403)
    manager.post("/v3/domains", {"domain": {"name": "x"}}, ok=403)
    for change in ({"name": "x"}, {"enabled": False}):
        manager("PATCH", f"/v3/domains/{mine.id}", {"domain": change}, ok=403)
        manager("PATCH", f"/v3/projects/{mine.id}", {"project": change}, ok=403)


def test_a_default_project_tells_him_nothing(mine, theirs):
    """A foreign project and a foreign domain are taken like one that is not there."""
    manager = mine.manager
    answers = [
        manager("PATCH", f"/v3/users/{mine.ids['user']}", {"user": {"default_project_id": wish}}).status_code
        for wish in (theirs.ids["project"], theirs.id, "none")
    ]
    assert answers == [200] * 3
    manager("PATCH", f"/v3/users/{mine.ids['user']}", {"user": {"default_project_id": mine.id}}, ok=400)


def test_names_of_other_domains_are_ids_to_him(cloud, mine, theirs):
    cloud.grant("reader", user=theirs.ids["user"], project=mine.ids["project"])
    cloud.admin("PUT", f"/v3/domains/{mine.id}/groups/{theirs.ids['group']}/roles/{cloud.role('reader')}", ok=204)
    cloud.grant("reader", user=mine.ids["user"], project=theirs.ids["project"])
    cloud.admin("PUT", f"/v3/groups/{theirs.ids['group']}/users/{mine.ids['user']}", ok=204)
    cloud.admin("PUT", f"/v3/groups/{theirs.ids['group']}/users/{theirs.ids['user']}", ok=204)
    for who in (mine.manager, mine.reader):
        for query in ("include_names", "include_names&effective", f"include_names&include_subtree&scope.project.id={mine.ids['project']}"):
            found = who.get(f"/v3/role_assignments?{query}")
            assert "theirs-" not in str(found)
            assert '"theirs"' not in str(found).replace("'", '"')
            assert theirs.ids["user"] in str(found)
        assert names(who.get(f"/v3/users/{mine.ids['user']}/projects"), "projects") == []
        assert names(who.get(f"/v3/users/{mine.ids['user']}/groups"), "groups") == []
        assert who.get(f"/v3/role_assignments?scope.project.id={theirs.ids['project']}")["role_assignments"] == []
        for project in (theirs.ids["project"], "none"):
            who.get(f"/v3/role_assignments?include_subtree&scope.project.id={project}", ok=403)
    (row,) = [row for row in mine.manager.get("/v3/role_assignments?include_names")["role_assignments"] if "group" in row]
    assert row["group"] == {"id": theirs.ids["group"], "name": theirs.ids["group"], "domain": {"id": theirs.id, "name": theirs.id}}
    assert names(theirs.manager.get(f"/v3/groups/{theirs.ids['group']}/users"), "users") == ["theirs-user"]


def test_he_sees_the_roles_that_he_gives(cloud, mine, theirs):
    manager = mine.manager
    assert "admin" in names(manager.get("/v3/roles"), "roles")
    for name in ("manager", "member", "reader"):
        assert manager.get(f"/v3/roles/{cloud.role(name)}")["role"]["name"] == name
    for role in (cloud.role("admin"), mine.ids["role"], theirs.ids["role"], "none"):
        manager.get(f"/v3/roles/{role}", ok=403)
    for domain in (mine.id, theirs.id, "none"):
        manager.get(f"/v3/roles?domain_id={domain}", ok=403)
        manager.get(f"/v3/roles?domain_id__contains={domain}", ok=403)
    mine.reader.get("/v3/roles", ok=403)


def test_a_manager_of_a_project_manages_no_users(cloud):
    boss, _, project = cloud.member("boss", "manager")
    boss.post("/v3/users", {"user": {"name": "x"}}, ok=403)
    boss.patch(f"/v3/projects/{project['id']}", {"project": {"name": "x"}}, ok=403)
    boss("PUT", f"/v3/projects/{project['id']}/tags/x", ok=403)
    assert boss.get(f"/v3/projects/{project['id']}/tags")["tags"] == []
    boss("GET", f"/v3/projects/{project['id']}/tags/x", ok=404)
    boss.get("/v3/projects/none/tags", ok=403)
    assert boss.get(f"/v3/roles/{cloud.role('reader')}")["role"]["name"] == "reader"
    boss.get(f"/v3/roles/{cloud.role('admin')}", ok=403)
    boss.get("/v3/roles", ok=403)


def test_a_reader_changes_nothing(mine):
    reader = mine.reader
    for noun in ("user", "group", "project"):
        reader.post(f"/v3/{noun}s", {noun: {"name": "x"}}, ok=403)
        reader("PATCH", f"/v3/{noun}s/{mine.ids[noun]}", {noun: {"name": "x"}}, ok=403)
        reader.delete(f"/v3/{noun}s/{mine.ids[noun]}", ok=403)
        assert reader.get(f"/v3/{noun}s/{mine.ids[noun]}")[noun]["name"] == f"mine-{noun}"
    for path in (f"/v3/projects/{mine.ids['project']}/tags", f"/v3/projects/{mine.ids['project']}/tags/x"):
        reader.delete(path, ok=403)
