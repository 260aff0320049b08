"""Projects as a tree with tags: what is found, shown, switched and deleted, told through the API on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.api import counted


def names(body, key="projects"):
    return sorted(row["name"] for row in body[key])


@pytest.fixture
def line(cloud):
    """a, below it b, below it c, and beside it b2: their ids by name."""
    ids = {"a": cloud.make("project", name="a")["id"]}
    for name, parent in (("b", "a"), ("b2", "a"), ("c", "b")):
        ids[name] = cloud.make("project", name=name, parent_id=ids[parent])["id"]
    return ids


def test_tags_live_and_die(cloud):
    project = cloud.make("project", name="p", tags=["b", "a"])
    assert project["tags"] == ["a", "b"]
    path = f"/v3/projects/{project['id']}/tags"
    assert cloud.admin.get(path)["tags"] == ["a", "b"]
    assert cloud.admin.get(path)["links"]["self"].endswith(path)
    for _ in range(2):
        answer = cloud.admin("PUT", f"{path}/ü c", ok=201)
    assert not answer.content
    assert f"{path}/" in answer.headers["Location"]
    cloud.admin("HEAD", path, ok=200)
    cloud.admin("HEAD", f"{path}/a", ok=204)
    cloud.admin("GET", f"{path}/a", ok=204)
    cloud.admin("GET", f"{path}/A", ok=404)
    cloud.admin.delete(f"{path}/a")
    cloud.admin.delete(f"{path}/a", ok=404)
    assert cloud.admin.get(f"/v3/projects/{project['id']}")["project"]["tags"] == ["b", "ü c"]
    assert cloud.admin.put(path, {"tags": ["z", "y"]}, ok=200)["tags"] == ["y", "z"]
    changed = cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"tags": ["q"]}}, ok=200)["project"]
    assert changed["tags"] == cloud.admin.get(path)["tags"] == ["q"]
    assert cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"name": "r"}}, ok=200)["project"]["tags"] == ["q"]
    cloud.admin.delete(path)
    assert cloud.admin.get(path)["tags"] == []
    cloud.admin.get("/v3/projects/none/tags", ok=404)
    cloud.admin("PUT", "/v3/projects/none/tags/x", ok=404)


def test_a_domain_has_tags_too(cloud):
    domain = cloud.make("domain", name="d", tags=["x"])
    assert domain["tags"] == ["x"]
    path = f"/v3/domains/{domain['id']}"
    assert cloud.admin.patch(path, {"domain": {"tags": ["y", "x"]}}, ok=200)["domain"]["tags"] == ["x", "y"]
    assert cloud.admin.get(path)["domain"]["tags"] == ["x", "y"]
    assert names(cloud.admin.get("/v3/domains?tags=y"), "domains") == ["d"]


@pytest.mark.parametrize(
    "tags", [["a,b"], ["a/b"], [""], ["x" * 256], ["a", "a"], [str(n) for n in range(81)], [5], "a", None, [None], ["a\x00"]]
)
def test_wrong_tags_are_refused(cloud, tags):
    project = cloud.make("project", name="p")
    cloud.admin.post("/v3/projects", {"project": {"name": "q", "tags": tags}}, ok=400)
    cloud.admin("PUT", f"/v3/projects/{project['id']}/tags", {"tags": tags}, ok=400)
    cloud.admin("PATCH", f"/v3/projects/{project['id']}", {"project": {"tags": tags}}, ok=400)


def test_no_project_has_more_than_eighty(cloud):
    project = cloud.make("project", name="p", tags=[str(n) for n in range(79)])
    path = f"/v3/projects/{project['id']}/tags"
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda n: cloud.admin("PUT", f"{path}/new{n}").status_code, range(4)))
    assert sorted(codes) == [201, 400, 400, 400]
    assert len(cloud.admin.get(path)["tags"]) == 80
    cloud.admin("PUT", f"{path}/{'x' * 256}", ok=400)
    cloud.admin("PUT", f"{path}/a,b", ok=400)


def test_projects_are_found_by_tags(cloud):
    for name, tags in (("none", []), ("red", ["red"]), ("blue", ["blue"]), ("both", ["red", "blue"])):
        cloud.make("project", name=name, tags=tags)
    found = {
        query: names(cloud.admin.get(f"/v3/projects?name__contains=e&{query}"))
        for query in (
            "tags=red",
            "tags=red,blue",
            "tags-any=red,blue",
            "not-tags=red,blue",
            "not-tags-any=red,blue",
            "tags=red&not-tags=blue",
        )
    }
    assert found == {
        "tags=red": ["red"], "tags=red,blue": [], "tags-any=red,blue": ["blue", "red"], "not-tags=red,blue": ["blue", "none", "red"],
        "not-tags-any=red,blue": ["none"], "tags=red&not-tags=blue": ["red"],
    }  # fmt: skip
    assert names(cloud.admin.get("/v3/projects?tags=red,blue")) == ["both"]
    assert "both" not in names(cloud.admin.get("/v3/projects?not-tags=red,blue"))


def test_the_tree_is_shown(cloud, line):
    path = f"/v3/projects/{line['b']}"
    shown = cloud.admin.get(f"{path}?parents_as_ids&subtree_as_ids")["project"]
    assert shown["parents"] == {line["a"]: {"default": None}}
    assert shown["subtree"] == {line["c"]: None}
    top = cloud.admin.get(f"/v3/projects/{line['a']}?subtree_as_ids")["project"]
    assert top["subtree"] == {line["b"]: {line["c"]: None}, line["b2"]: None}
    assert "parents" not in top
    assert cloud.admin.get(f"/v3/projects/{line['c']}?subtree_as_ids")["project"]["subtree"] is None
    assert cloud.admin.get("/v3/projects/default?parents_as_ids")["project"]["parents"] is None
    cloud.admin.get(f"{path}?parents_as_ids&parents_as_list", ok=400)
    cloud.admin.get(f"{path}?subtree_as_ids&subtree_as_list", ok=400)
    assert "parents" not in cloud.admin.get(f"{path}?parents_as_ids=false")["project"]


def test_as_lists_the_tree_shows_where_the_actor_has_a_role(cloud, line):
    me = cloud.admin.get("/v3/users?name=admin")["users"][0]["id"]

    def shown(name):
        body = cloud.admin.get(f"/v3/projects/{line[name]}?parents_as_list&subtree_as_list")["project"]
        return [[row["project"]["name"] for row in body[key]] for key in ("parents", "subtree")]

    assert shown("b") == [[], []]
    cloud.grant("reader", user=me, project=line["a"])
    assert shown("b") == [["a"], []]
    cloud.admin("PUT", f"/v3/OS-INHERIT/projects/{line['a']}/users/{me}/roles/{cloud.role('reader')}/inherited_to_projects", ok=204)
    assert shown("b") == [["a"], ["c"]]
    assert shown("c") == [["b", "a"], []]
    assert sorted(shown("a")[1]) == ["b", "b2", "c"]


def test_lists_of_the_tree_show_limits_when_asked(cloud, line):
    me = cloud.admin.get("/v3/users?name=admin")["users"][0]["id"]
    cloud.grant("reader", user=me, project=line["a"])
    service = cloud.make("service", type="t", name="s")["id"]
    known = {"service_id": service, "resource_name": "cores"}
    cloud.admin.post("/v3/registered_limits", {"registered_limits": [{**known, "default_limit": 5}]}, ok=201)
    cloud.admin.post("/v3/limits", {"limits": [{**known, "project_id": line["a"], "resource_limit": 3}]}, ok=201)
    path = f"/v3/projects/{line['b']}?parents_as_list"
    (shown,) = cloud.admin.get(f"{path}&include_limits")["project"]["parents"]
    assert [(limit["resource_name"], limit["resource_limit"]) for limit in shown["project"]["limits"]] == [("cores", 3)]
    (shown,) = cloud.admin.get(path)["project"]["parents"]
    assert "limits" not in shown["project"]


def test_a_tree_is_switched_and_deleted_at_once(cloud, line):
    path = f"/v3/projects/{line['a']}/cascade"
    cloud.admin("PATCH", path, {"project": {"enabled": False, "name": "other"}}, ok=400)
    cloud.admin("PATCH", path, {"project": {}}, ok=400)
    cloud.admin.delete(path, ok=403)
    assert cloud.admin.patch(path, {"project": {"enabled": False}}, ok=200)["project"]["enabled"] is False
    assert {row["enabled"] for row in cloud.admin.get("/v3/projects")["projects"] if row["name"] != "admin"} == {False}
    cloud.admin("PATCH", f"/v3/projects/{line['c']}/cascade", {"project": {"enabled": True}}, ok=403)
    cloud.admin.patch(path, {"project": {"enabled": True}}, ok=200)
    assert cloud.admin.get(f"/v3/projects/{line['c']}")["project"]["enabled"] is True
    cloud.admin.patch(f"/v3/projects/{line['c']}", {"project": {"options": {"immutable": True}}}, ok=200)
    cloud.admin("PATCH", path, {"project": {"enabled": False}}, ok=403)
    cloud.admin.patch(f"/v3/projects/{line['c']}", {"project": {"options": {"immutable": False}}}, ok=200)
    cloud.admin.patch(path, {"project": {"enabled": False}}, ok=200)
    cloud.admin.delete(path)
    assert names(cloud.admin.get("/v3/projects")) == ["admin"]
    cloud.admin.delete(path, ok=404)


def test_tokens_of_a_tree_end_with_it(cloud):
    ann, _, project = cloud.member("ann")
    path = f"/v3/projects/{project['id']}/cascade"
    ann.get(f"/v3/projects/{project['id']}")
    cloud.admin.patch(path, {"project": {"enabled": False}}, ok=200)
    cloud.admin.patch(path, {"project": {"enabled": True}}, ok=200)
    ann.get(f"/v3/projects/{project['id']}", ok=401)


@pytest.mark.parametrize(("change", "status"), [
    ({"parent_id": "default"}, 200), ({"parent_id": "none"}, 403), ({"parent_id": None}, 403), ({"domain_id": "none"}, 400), ({"is_domain": True}, 400),
    ({"is_domain": False, "domain_id": "default"}, 200), ({"name": " "}, 400), ({"enabled": None}, 400), ({"options": {"immutable": 5}}, 400),
])  # fmt: skip
def test_a_project_keeps_its_place(cloud, change, status):
    project = cloud.make("project", name="p")
    cloud.admin("PATCH", f"/v3/projects/{project['id']}", {"project": change}, ok=status)


@pytest.mark.parametrize("noun", ["domain", "project", "group", "role", "user"])
def test_an_id_never_changes(cloud, noun):
    made = cloud.make(noun, name="n")
    path = f"/v3/{noun}s/{made['id']}"
    cloud.admin("PATCH", path, {noun: {"id": "0" * 32, "name": "m"}}, ok=400)
    assert cloud.admin.get(path)[noun]["name"] == "n"
    assert cloud.admin.patch(path, {noun: {"id": made["id"], "name": "m"}}, ok=200)[noun]["name"] == "m"


def test_the_end_of_a_domain_leaves_nobody_a_default_project_in_it(cloud):
    domain = cloud.make("domain", name="d")["id"]
    project = cloud.make("project", name="p", domain_id=domain)["id"]
    user = cloud.make("user", name="ann", default_project_id=project)["id"]
    cloud.admin.patch(f"/v3/domains/{domain}", {"domain": {"enabled": False}}, ok=200)
    cloud.admin.delete(f"/v3/domains/{domain}")
    assert "default_project_id" not in cloud.admin.get(f"/v3/users/{user}")["user"]


def test_a_domain_is_no_other_kind_of_project_after_a_change(cloud):
    domain = cloud.make("domain", name="d")["id"]
    for change in ({"is_domain": False}, {"domain_id": "default"}):
        cloud.admin("PATCH", f"/v3/projects/{domain}", {"project": change}, ok=400)
    cloud.admin("PATCH", f"/v3/projects/{domain}", {"project": {"parent_id": "default"}}, ok=403)
    changed = cloud.admin.patch(f"/v3/projects/{domain}", {"project": {"name": "e", "tags": ["t"]}}, ok=200)["project"]
    assert (changed["name"], changed["tags"], changed["is_domain"]) == ("e", ["t"], True)
    cloud.admin.delete(f"/v3/projects/{domain}", ok=403)
    cloud.admin.patch(f"/v3/projects/{domain}", {"project": {"enabled": False}}, ok=200)
    cloud.admin.delete(f"/v3/projects/{domain}")
    cloud.admin.get(f"/v3/domains/{domain}", ok=404)


def test_nothing_is_made_in_a_branch_that_is_disabled(cloud):
    top = cloud.make("project", name="a", enabled=False)
    cloud.admin.post("/v3/projects", {"project": {"name": "b", "parent_id": top["id"]}}, ok=400)
    domain = cloud.make("domain", name="d", enabled=False)
    cloud.admin.post("/v3/projects", {"project": {"name": "b", "domain_id": domain["id"]}}, ok=400)


def test_a_domain_takes_the_id_that_it_has_elsewhere(cloud):
    wanted = "0123456789abcdef" * 2
    assert cloud.make("domain", name="d", explicit_domain_id=wanted)["id"] == wanted
    cloud.admin.post("/v3/domains", {"domain": {"name": "e", "explicit_domain_id": wanted}}, ok=409)
    for wrong in ("x", wanted.upper(), wanted + "0", 5):
        cloud.admin.post("/v3/domains", {"domain": {"name": "e", "explicit_domain_id": wrong}}, ok=400)


@pytest.mark.parametrize(("query", "found"), [
    ("name=a", ["a"]), ("name__startswith=b", ["b", "b2"]), ("name__icontains=B", ["b", "b2"]), ("name__endswith=2", ["b2"]), ("enabled=false", []),
    ("parent_id={a}", ["b", "b2"]), ("parent_id={b}&name=c", ["c"]), ("domain_id=none", []), ("is_domain=true", ["Default"]), ("parent_id=", []),
    ("name__like=a", ["a", "admin", "b", "b2", "c"]), ("unknown=x&name=c", ["c"]),
])  # fmt: skip
def test_projects_are_found(cloud, line, query, found):
    assert names(cloud.admin.get("/v3/projects?" + query.format(**line))) == found


def test_pages_of_projects(cloud, line):
    seen, path = [], "/v3/projects?limit=2"
    while path:
        body = cloud.admin.get(path)
        seen += names(body)
        following = body["links"]["next"]
        path = following and "/v3/" + following.split("/v3/")[1]
    assert sorted(seen) == ["a", "admin", "b", "b2", "c"]


def test_no_list_of_projects_asks_more_for_more_rows(cloud):
    me = cloud.admin.get("/v3/users?name=admin")["users"][0]["id"]
    top = cloud.make("project", name="top", tags=["x"])["id"]
    paths = (
        f"/v3/projects/{top}?subtree_as_list&parents_as_ids",
        "/v3/projects",
        "/v3/projects?tags=x",
        f"/v3/users/{me}/projects",
        "/v3/auth/projects",
    )

    def count(path):
        with counted(cloud.db) as sent:
            cloud.admin.get(path)
        return len(sent)

    def counts():
        """Of two tries the less: one may also look which key signs now."""
        return [min(count(path), count(path)) for path in paths]

    cloud.admin("PUT", f"/v3/OS-INHERIT/domains/default/users/{me}/roles/{cloud.role('reader')}/inherited_to_projects", ok=204)
    few = counts()
    for index in range(8):
        cloud.make("project", name=f"p{index}", parent_id=top, tags=["x", f"t{index}"])
    assert counts() == few
    assert len(cloud.admin.get(paths[0])["project"]["subtree"]) == 8
    assert len(cloud.admin.get("/v3/auth/projects")["projects"]) == 10
