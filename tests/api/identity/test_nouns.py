"""Domains, projects, users, groups, roles, grants and the catalogue, told as stories through the API on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.api import counted
from tests.support.identity import by_password


def names(body, key):
    return [row["name"] for row in body[key]]


def test_a_domain_lives_and_dies(cloud):
    domain = cloud.make("domain", name="acme", description="d", color="blue")
    assert domain["color"] == "blue"
    assert domain["enabled"] is True
    assert domain["links"]["self"].endswith(f"/v3/domains/{domain['id']}")
    assert len(domain["id"]) == 32
    path = f"/v3/domains/{domain['id']}"
    assert cloud.admin.get(path)["domain"] == domain
    cloud.admin.post("/v3/domains", {"domain": {"name": "acme"}}, ok=409)
    user = cloud.make("user", name="ann", domain_id=domain["id"])
    project = cloud.make("project", name="p", domain_id=domain["id"])
    child = cloud.make("project", name="c", parent_id=project["id"])
    group = cloud.make("group", name="g", domain_id=domain["id"])
    role = cloud.make("role", name="own", domain_id=domain["id"])
    cloud.admin.delete(path, ok=403)
    assert cloud.admin.patch(path, {"domain": {"enabled": False, "color": "red"}}, ok=200)["domain"]["color"] == "red"
    cloud.admin.delete(path)
    for noun, row in (("domains", domain), ("users", user), ("projects", project), ("projects", child), ("groups", group), ("roles", role)):
        cloud.admin.get(f"/v3/{noun}/{row['id']}", ok=404)
    cloud.admin.patch("/v3/domains/default", {"domain": {"enabled": True}}, ok=200)
    cloud.admin.delete("/v3/domains/default", ok=403)


def test_a_project_lives_and_dies(cloud):
    project = cloud.make("project", name="p", note={"any": ["json"]})
    assert (project["domain_id"], project["parent_id"], project["is_domain"], project["description"]) == ("default", "default", False, "")
    assert project["note"] == {"any": ["json"]}
    assert project["tags"] == []
    path = f"/v3/projects/{project['id']}"
    cloud.admin.post("/v3/projects", {"project": {"name": "p"}}, ok=409)
    cloud.make("project", name="P")  # names differ by case
    child = cloud.make("project", name="child", parent_id=project["id"])
    assert (child["parent_id"], child["domain_id"]) == (project["id"], "default")
    cloud.admin.delete(path, ok=403)
    cloud.admin.patch(path, {"project": {"enabled": False}}, ok=403)
    cloud.admin.patch(path, {"project": {"parent_id": child["id"]}}, ok=403)
    cloud.admin.patch(path, {"project": {"domain_id": "other"}}, ok=400)
    changed = cloud.admin.patch(path, {"project": {"name": "q", "description": "new", "email": "x@y"}}, ok=200)["project"]
    assert (changed["name"], changed["description"], changed["email"], changed["note"]) == ("q", "new", "x@y", {"any": ["json"]})
    user = cloud.make("user", name="ann", default_project_id=child["id"])
    cloud.admin.delete(f"/v3/projects/{child['id']}")
    assert "default_project_id" not in cloud.admin.get(f"/v3/users/{user['id']}")["user"]
    cloud.admin.delete(path)
    cloud.admin.delete(path, ok=404)


@pytest.mark.parametrize(("body", "status"), [
    ({"name": ""}, 400), ({"name": "x" * 65}, 400), ({}, 400), ({"name": 5}, 400), ({"name": "x", "enabled": "yes"}, 400),
    ({"name": "x", "domain_id": "none"}, 400), ({"name": "x", "parent_id": "none"}, 400), ({"name": "a\x00b"}, 400),
    ({"name": "x", "extra": "\x00"}, 400), ({"name": "x", "extra": {"a": ["\ud800"]}}, 400), ({"name": "\udfff"}, 400),
    ({"name": "x", "options": {"unknown": True}}, 400), ({"name": "x", "is_domain": True, "domain_id": "default"}, 400),
])  # fmt: skip
def test_a_wrong_project_is_refused(cloud, body, status):
    cloud.admin.post("/v3/projects", {"project": body}, ok=status)


def test_projects_nest_five_deep(cloud):
    parent = "default"
    for level in range(5):
        parent = cloud.make("project", name=f"l{level}", parent_id=parent)["id"]
    cloud.admin.post("/v3/projects", {"project": {"name": "too deep", "parent_id": parent}}, ok=403)


def test_a_project_that_acts_as_a_domain_is_one(cloud):
    project = cloud.make("project", name="d", is_domain=True)
    assert (project["is_domain"], project["domain_id"], project["parent_id"]) == (True, None, None)
    assert cloud.admin.get(f"/v3/domains/{project['id']}")["domain"]["name"] == "d"
    assert "d" in names(cloud.admin.get("/v3/projects?is_domain=true"), "projects")
    assert "d" not in names(cloud.admin.get("/v3/projects"), "projects")


def test_immutable_means_it(cloud):
    for noun in ("domain", "project", "role"):
        row = cloud.make(noun, name="fixed", options={"immutable": True})
        path = f"/v3/{noun}s/{row['id']}"
        cloud.admin.patch(path, {noun: {"name": "other"}}, ok=403)
        cloud.admin.delete(path, ok=403)
        assert cloud.admin.patch(path, {noun: {"options": {"immutable": None}}}, ok=200)[noun]["options"] == {}
        cloud.admin.patch(path, {noun: {"name": "other"}}, ok=200)


def test_a_user_lives_and_dies(cloud):
    user = cloud.make("user", name="ann", password="pw", email="a@b", description=None)
    assert user["domain_id"] == "default"
    assert user["email"] == "a@b"
    assert user["password_expires_at"] is None
    assert "password" not in user
    path = f"/v3/users/{user['id']}"
    cloud.admin.post("/v3/users", {"user": {"name": "ann"}}, ok=409)
    cloud.admin.patch(path, {"user": {"domain_id": "other"}}, ok=400)
    cloud.admin.post("/v3/users", {"user": {"name": "x", "default_project_id": "default"}}, ok=400)
    cloud.admin.post("/v3/users", {"user": {"name": "x" * 256}}, ok=400)
    changed = cloud.admin.patch(path, {"user": {"name": "Ann", "email": "c@d", "password": "new"}}, ok=200)["user"]
    assert (changed["name"], changed["email"]) == ("Ann", "c@d")
    cloud.nobody.post("/v3/auth/tokens", by_password("Ann", "pw"), ok=401)
    cloud.nobody.post("/v3/auth/tokens", by_password("Ann", "new"), ok=201)
    cloud.admin.delete(path)
    for method in ("GET", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.nobody.post("/v3/auth/tokens", by_password("Ann", "new"), ok=401)


def test_a_user_without_password_cannot_log_in(cloud):
    cloud.make("user", name="ann")
    cloud.make("user", name="bob", password=None)
    for name in ("ann", "bob"):
        cloud.nobody.post("/v3/auth/tokens", by_password(name, ""), ok=401)


def test_long_passwords_count_to_their_end(cloud):
    cloud.make("user", name="ann", password="x" * 200)
    cloud.nobody.post("/v3/auth/tokens", by_password("ann", "x" * 199), ok=401)
    cloud.nobody.post("/v3/auth/tokens", by_password("ann", "x" * 200), ok=201)


def test_lists_filter_and_page(cloud):
    for name in ("ann", "Anna", "bob", "a_b"):
        cloud.make("user", name=name, enabled=name != "bob")
    get = cloud.admin.get
    assert names(get("/v3/users?name=ann"), "users") == ["ann"]
    assert sorted(names(get("/v3/users?name__contains=nn"), "users")) == ["Anna", "ann"]
    assert sorted(names(get("/v3/users?name__istartswith=AN"), "users")) == ["Anna", "ann"]
    assert names(get("/v3/users?name__contains=_"), "users") == ["a_b"]
    assert names(get("/v3/users?enabled=false"), "users") == ["bob"]
    assert get("/v3/users?domain_id=none")["users"] == []
    whole = get("/v3/users")
    assert len(whole["users"]) == 5
    assert whole["links"]["next"] is None
    assert whole["links"]["self"].endswith("/v3/users")
    first = get("/v3/users?limit=2")
    assert len(first["users"]) == 2
    second = get(first["links"]["next"].partition("falconframework.org")[2])
    third = get(second["links"]["next"].partition("falconframework.org")[2])
    assert third["links"]["next"] is None
    assert names(first, "users") + names(second, "users") + names(third, "users") == names(whole, "users")
    for query in ("sort_key=name", "sort_key=created_at&sort_dir=desc", "sort_dir=asc", "sort_key=none&sort_dir=up", "sort=none"):
        assert names(get(f"/v3/users?{query}"), "users") == names(whole, "users"), query
    cloud.admin.get("/v3/users?limit=x", ok=400)
    cloud.admin.get("/v3/users?marker=none", ok=400)
    cloud.admin.get("/v3/users?name=%00", ok=400)


LISTS = ["domains", "projects", "users", "groups", "roles", "regions", "services", "endpoints", "role_assignments?include_names&effective",
         "auth/projects", "role_inferences"]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_no_list_asks_more_for_more_rows(cloud, path):
    def count():
        with counted(cloud.db) as sent:
            cloud.admin.get(f"/v3/{path}")
        return len(sent)

    count()
    before = count()
    user = cloud.admin.get("/v3/users?name=admin")["users"][0]["id"]
    service = cloud.make("service", type="t")["id"]
    for index in range(8):
        cloud.make("domain", name=f"d{index}")
        project = cloud.make("project", name=f"p{index}")["id"]
        cloud.make("user", name=f"u{index}")
        cloud.make("group", name=f"g{index}")
        role = cloud.make("role", name=f"r{index}")["id"]
        cloud.make("region", id=f"reg{index}")
        cloud.make("endpoint", service_id=service, interface="public", url="http://x")
        cloud.grant(f"r{index}", user=user, project=project)
        cloud.admin("PUT", f"/v3/roles/{role}/implies/{cloud.role('reader')}", ok=201)
    assert count() == before


def test_groups(cloud):
    ann, user, _ = cloud.member("ann")
    group = cloud.make("group", name="staff", description="d")
    path = f"/v3/groups/{group['id']}"
    cloud.admin.post("/v3/groups", {"group": {"name": "staff"}}, ok=409)
    assert cloud.admin.patch(path, {"group": {"name": "crew"}}, ok=200)["group"]["description"] == "d"
    member = f"{path}/users/{user['id']}"
    cloud.admin("HEAD", member, ok=404)
    for _ in range(2):
        cloud.admin("PUT", member, ok=204)
    cloud.admin("HEAD", member, ok=204)
    cloud.admin("GET", member, ok=204)
    assert names(cloud.admin.get(f"{path}/users"), "users") == ["ann"]
    assert names(ann.get(f"/v3/users/{user['id']}/groups"), "groups") == ["crew"]
    cloud.admin.delete(member)
    cloud.admin.delete(member, ok=404)
    cloud.admin("PUT", f"{path}/users/none", ok=404)
    cloud.admin("PUT", f"/v3/groups/none/users/{user['id']}", ok=404)
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)
    ann("GET", "/v3/groups", ok=403)


def test_roles_and_what_they_imply(cloud):
    assert sorted(names(cloud.admin.get("/v3/roles"), "roles")) == ["admin", "manager", "member", "reader", "service"]
    role = cloud.make("role", name="r", description="d")
    path = f"/v3/roles/{role['id']}"
    cloud.admin.post("/v3/roles", {"role": {"name": "r"}}, ok=409)
    assert cloud.admin.patch(path, {"role": {"name": "s"}}, ok=200)["role"]["name"] == "s"
    own = cloud.make("role", name="s", domain_id="default")
    assert own["domain_id"] == "default"
    assert names(cloud.admin.get("/v3/roles?domain_id=default"), "roles") == ["s"]
    implies = f"{path}/implies/{cloud.role('reader')}"
    cloud.admin("HEAD", implies, ok=404)
    for _ in range(2):
        made = cloud.admin.put(implies, ok=201)["role_inference"]
        assert (made["prior_role"]["name"], made["implies"]["name"]) == ("s", "reader")
    assert cloud.admin.get(implies)["role_inference"] == made
    cloud.admin("HEAD", implies, ok=204)
    assert [row["name"] for row in cloud.admin.get(f"{path}/implies")["role_inference"]["implies"]] == ["reader"]
    rules = {
        row["prior_role"]["name"]: [i["name"] for i in row["implies"]] for row in cloud.admin.get("/v3/role_inferences")["role_inferences"]
    }
    assert rules == {"admin": ["manager"], "manager": ["member"], "member": ["reader"], "s": ["reader"]}
    cloud.admin("PUT", f"{path}/implies/{own['id']}", ok=403)
    cloud.admin("PUT", f"{path}/implies/{cloud.role('admin')}", ok=403)
    cloud.admin.delete(implies)
    cloud.admin.delete(implies, ok=404)
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)


def places(cloud):
    user, group = cloud.make("user", name="ann"), cloud.make("group", name="g")
    project = cloud.make("project", name="p")
    for where in (f"projects/{project['id']}", "domains/default", "system"):
        for who in (f"users/{user['id']}", f"groups/{group['id']}"):
            yield f"/v3/{where}/{who}/roles"


def test_grants_in_every_place(cloud):
    member = cloud.role("member")
    for path in places(cloud):
        one = f"{path}/{member}"
        cloud.admin("HEAD", one, ok=404)
        cloud.admin.delete(one, ok=404)
        for _ in range(2):
            cloud.admin("PUT", one, ok=204)
        cloud.admin("HEAD", one, ok=204)
        cloud.admin("GET", one, ok=204)
        assert names(cloud.admin.get(path), "roles") == ["member"]
        cloud.admin.delete(one)
        assert cloud.admin.get(path)["roles"] == []
        for wrong in (f"{path}/none", f"{path}/{member}".replace("users/", "users/x").replace("groups/", "groups/x")):
            cloud.admin("PUT", wrong, ok=404)
    cloud.admin("PUT", f"/v3/projects/none/users/x/roles/{member}", ok=404)


def test_a_domains_own_role_stays_in_it(cloud):
    other = cloud.make("domain", name="other")
    role = cloud.make("role", name="own", domain_id=other["id"])
    cloud.admin("PUT", f"/v3/roles/{role['id']}/implies/{cloud.role('member')}", ok=201)
    user, here = cloud.make("user", name="ann", password="pw"), cloud.make("project", name="here")
    there = cloud.make("project", name="there", domain_id=other["id"])
    cloud.admin("PUT", f"/v3/projects/{here['id']}/users/{user['id']}/roles/{role['id']}", ok=403)
    cloud.admin("PUT", f"/v3/projects/{there['id']}/users/{user['id']}/roles/{role['id']}", ok=204)
    body = cloud.nobody.post("/v3/auth/tokens", by_password("ann", "pw", {"project": {"id": there["id"]}}), ok=201)
    assert names(body["token"], "roles") == ["member", "reader"]


def test_a_domains_role_may_imply_anothers_as_in_keystone(cloud):
    """Of roles that belong to domains only those of the cloud may not imply any; only an administrator of the cloud says so at all."""
    first, second = cloud.house("first"), cloud.house("second")
    implies = f"/v3/roles/{first.ids['role']}/implies/{second.ids['role']}"
    cloud.admin("PUT", f"/v3/roles/{cloud.role('member')}/implies/{second.ids['role']}", ok=403)
    for house in (first, second):
        house.manager("PUT", implies, ok=403)
    cloud.admin("PUT", implies, ok=201)
    cloud.admin("PUT", f"/v3/roles/{second.ids['role']}/implies/{cloud.role('reader')}", ok=201)
    user, project = cloud.make("user", name="ann", password="pw")["id"], first.ids["project"]
    cloud.admin("PUT", f"/v3/projects/{project}/users/{user}/roles/{first.ids['role']}", ok=204)
    body = cloud.nobody.post("/v3/auth/tokens", by_password("ann", "pw", {"project": {"id": project}}), ok=201)
    assert names(body["token"], "roles") == ["reader"]


def test_role_assignments(cloud):
    _, user, project = cloud.member("ann")
    group = cloud.make("group", name="g")
    cloud.admin("PUT", f"/v3/groups/{group['id']}/users/{user['id']}", ok=204)
    cloud.admin("PUT", f"/v3/domains/default/groups/{group['id']}/roles/{cloud.role('reader')}", ok=204)

    def get(query):
        return cloud.admin.get(f"/v3/role_assignments?{query}")["role_assignments"]

    (given,) = get(f"user.id={user['id']}")
    assert given["role"] == {"id": cloud.role("member")}
    assert given["scope"] == {"project": {"id": project["id"]}}
    assert given["user"] == {"id": user["id"]}
    assert given["links"]["assignment"].endswith(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}")
    (named,) = get(f"user.id={user['id']}&include_names=True")
    assert named["user"] == {"id": user["id"], "name": "ann", "domain": {"id": "default", "name": "Default"}}
    assert named["scope"]["project"] == {"id": project["id"], "name": "ann", "domain": {"id": "default", "name": "Default"}}
    assert named["role"] == {"id": cloud.role("member"), "name": "member"}
    effective = get(f"user.id={user['id']}&effective&include_names=1")
    found = {(next(iter(row["scope"])), row["role"]["name"]): row for row in effective}
    assert set(found) == {("project", "member"), ("project", "reader"), ("domain", "reader")}
    assert found["domain", "reader"]["links"]["membership"].endswith(f"/v3/groups/{group['id']}/users/{user['id']}")
    assert "prior_role" in found["project", "reader"]["links"]
    assert [row["group"]["id"] for row in get(f"group.id={group['id']}")] == [group["id"]]
    assert len(get(f"scope.project.id={project['id']}")) == 1
    assert [row["scope"] for row in get("scope.system=all")] == [{"system": {"all": True}}]
    assert len(get(f"role.id={cloud.role('reader')}&scope.domain.id=default&effective")) == 1
    child = cloud.make("project", name="child", parent_id=project["id"])
    cloud.grant("reader", user=user["id"], project=child["id"])
    assert len(get(f"scope.project.id={project['id']}&include_subtree=true")) == 2
    for wrong in (
        "user.id=a&group.id=b",
        "scope.project.id=a&scope.domain.id=b",
        "effective&group.id=a",
        "include_subtree",
        "scope.system=x",
        "effective=maybe",
    ):
        cloud.admin.get(f"/v3/role_assignments?{wrong}", ok=400)


def test_the_catalogues_nouns(cloud):
    region = cloud.make("region", id="r1", description="d")
    assert region["parent_region_id"] is None
    cloud.admin.post("/v3/regions", {"region": {"id": "r1"}}, ok=409)
    child = cloud.admin.put("/v3/regions/r2", {"region": {"parent_region_id": "r1"}}, ok=201)["region"]
    assert child["id"] == "r2"
    cloud.admin.put("/v3/regions/r3", {"region": {"id": "r4"}}, ok=400)
    cloud.admin.patch("/v3/regions/r1", {"region": {"parent_region_id": "r2"}}, ok=400)
    cloud.admin.post("/v3/regions", {"region": {"parent_region_id": "none"}}, ok=404)
    assert len(cloud.make("region")["id"]) == 32
    service = cloud.make("service", type="dns", name="n", description="d", enabled=False)
    assert service["enabled"] is False
    path = f"/v3/services/{service['id']}"
    assert cloud.admin.patch(path, {"service": {"name": "m"}}, ok=200)["service"]["description"] == "d"
    assert [row["id"] for row in cloud.admin.get("/v3/services?type=dns")["services"]] == [service["id"]]
    endpoint = cloud.make("endpoint", service_id=service["id"], interface="public", url="http://x:1/$(tenant_id)s", region="r9", name="e")
    assert endpoint["region"] == endpoint["region_id"] == "r9"
    assert endpoint["name"] == "e"
    cloud.admin.get("/v3/regions/r9")
    for wrong in (
        {"interface": "odd"},
        {"url": "nothing"},
        {"url": "http://x/$(admin_token)s"},
        {"region_id": "none"},
        {"service_id": "none"},
    ):
        body = {"service_id": service["id"], "interface": "public", "url": "http://x", **wrong}
        cloud.admin.post("/v3/endpoints", {"endpoint": body}, ok=400)
    one = f"/v3/endpoints/{endpoint['id']}"
    cloud.admin.delete("/v3/regions/r9", ok=403)
    assert cloud.admin.patch(one, {"endpoint": {"region_id": "r2", "enabled": False}}, ok=200)["endpoint"]["region"] == "r2"
    cloud.admin.delete("/v3/regions/r1", ok=403)
    cloud.admin.delete("/v3/regions/r9")
    assert len(cloud.admin.get(f"/v3/endpoints?service_id={service['id']}&interface=public")["endpoints"]) == 1
    cloud.admin.delete(path)
    cloud.admin.get(one, ok=404)
    cloud.admin.delete("/v3/regions/r1")
    cloud.admin.get("/v3/regions/r2", ok=404)


def test_members_see_themselves_and_nothing_else(cloud):
    ann, user, project = cloud.member("ann")
    _, other, foreign = cloud.member("bob")
    assert ann.get(f"/v3/users/{user['id']}")["user"]["name"] == "ann"
    assert ann.get(f"/v3/projects/{project['id']}")["project"]["name"] == "ann"
    assert names(ann.get(f"/v3/users/{user['id']}/projects"), "projects") == ["ann"]
    assert ann.get("/v3/domains/default")["domain"]["name"] == "Default"
    for path in (f"users/{other['id']}", "users/none", f"projects/{foreign['id']}", "projects/none", f"users/{other['id']}/projects", "users", "projects",
                 "domains", "groups", "roles", "role_assignments", "services", "endpoints", "users/none/groups", "domains/none", "role_inferences"):  # fmt: skip
        ann("GET", f"/v3/{path}", ok=403)
    cloud.nobody("GET", "/v3/users", ok=401)


def test_a_domain_reader_sees_the_domain_alone(cloud):
    domain = cloud.make("domain", name="acme")
    user = cloud.make("user", name="boss", password="pw", domain_id=domain["id"])
    project = cloud.make("project", name="p", domain_id=domain["id"])
    group = cloud.make("group", name="g", domain_id=domain["id"])
    cloud.grant("reader", user=user["id"], domain=domain["id"])
    _, stranger, foreign = cloud.member("ann")
    boss = cloud.login("boss", "pw", {"domain": {"id": domain["id"]}}, domain=domain["id"])
    assert names(boss.get("/v3/users"), "users") == ["boss"]
    assert names(boss.get("/v3/projects"), "projects") == ["p"]
    assert names(boss.get("/v3/groups"), "groups") == ["g"]
    assert names(boss.get("/v3/domains"), "domains") == ["acme"]
    assert [row["user"]["id"] for row in boss.get("/v3/role_assignments")["role_assignments"]] == [user["id"]]
    assert boss.get(f"/v3/projects/{project['id']}")["project"]["name"] == "p"
    assert boss.get(f"/v3/groups/{group['id']}/users")["users"] == []
    for path in (f"users/{stranger['id']}", "users/none", f"projects/{foreign['id']}", "projects/none", "groups/none", "domains/default", "domains/none",
                 f"projects/{foreign['id']}/users/{user['id']}/roles", f"users/{stranger['id']}/projects"):  # fmt: skip
        boss("GET", f"/v3/{path}", ok=403)
    boss("POST", "/v3/users", {"user": {"name": "x"}}, ok=403)
    boss("DELETE", f"/v3/projects/{project['id']}", ok=403)


def test_a_system_reader_sees_all_and_changes_nothing(cloud):
    user = cloud.make("user", name="audit", password="pw")
    cloud.grant("reader", user=user["id"])
    audit = cloud.login("audit", "pw", {"system": {"all": True}})
    for path in ("users", "projects", "domains", "groups", "roles", "services", "endpoints", "role_assignments"):
        audit.get(f"/v3/{path}")
    for noun in ("user", "project", "domain", "group", "role"):
        audit("POST", f"/v3/{noun}s", {noun: {"name": "x"}}, ok=403)


@pytest.mark.parametrize("noun", ["domain", "project", "user", "group", "role"])
def test_of_two_creates_of_one_name_at_once_one_wins(cloud, noun):
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: cloud.admin("POST", f"/v3/{noun}s", {noun: {"name": "same"}}).status_code, range(6)))
    assert sorted(codes) == [201, 409, 409, 409, 409, 409]


def test_grants_race_with_the_end_of_what_they_name(cloud):
    for round_ in range(5):
        user, project = cloud.make("user", name=f"u{round_}"), cloud.make("project", name=f"p{round_}")
        path = f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}"
        with ThreadPoolExecutor(4) as pool:
            asked = [("PUT", path), ("DELETE", f"/v3/users/{user['id']}"), ("PUT", path), ("DELETE", f"/v3/projects/{project['id']}")]
            codes = list(pool.map(lambda ask: cloud.admin(*ask).status_code, asked))
        assert set(codes) <= {204, 404}
        assert codes[1] == codes[3] == 204
    assert len(cloud.admin.get("/v3/role_assignments")["role_assignments"]) == 2


def test_users_race_with_the_end_of_their_domain(cloud):
    domain = cloud.make("domain", name="d")
    path = f"/v3/domains/{domain['id']}"
    cloud.admin.patch(path, {"domain": {"enabled": False}}, ok=200)
    with ThreadPoolExecutor(6) as pool:
        made = [pool.submit(cloud.admin, "POST", "/v3/users", {"user": {"name": f"u{i}", "domain_id": domain["id"]}}) for i in range(10)]
        gone = pool.submit(cloud.admin, "DELETE", path)
    assert gone.result().status_code in (204, 404)
    assert {one.result().status_code for one in made} <= {201, 404}


def test_a_refusal_repeats_no_secret(cloud):
    for body in ({"user": {"password": "hush"}}, {"user": {"name": "x", "password": "hush", "enabled": 5}}, {"user": {"name": "x", "password": ["hush"]}},
                 {"user": {"name": "x"}, "password": "hush"}, [{"password": "hush"}], {"user": [{"password": "hush"}]}):  # fmt: skip
        assert "hush" not in cloud.admin("POST", "/v3/users", body, ok=400).text
    assert (
        "hush"
        not in cloud.nobody("POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": "password", "password": "hush"}}}, ok=400).text
    )


def test_a_number_that_no_float_holds_is_refused(cloud):
    cloud.admin("POST", "/v3/projects", raw=b'{"project": {"name": "x", "extra": 1e999}}', ok=400)
