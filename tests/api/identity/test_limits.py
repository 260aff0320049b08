"""Registered limits and limits, flat and strict, told as stories through the API on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.config import CONF
from tests.support.api import counted

REGISTERED = "/v3/registered_limits"
LIMITS = "/v3/limits"


def ids(rows):
    return {row["id"] for row in rows}


@pytest.fixture
def service(cloud):
    return cloud.make("service", type="t")["id"]


@pytest.fixture
def strict():
    CONF.set_override("limit_model", "strict_two_level", "identity")
    yield
    CONF.clear_override("limit_model", "identity")


def register(cloud, service, name="ram", default=10, ok=201, **more):
    body = {"service_id": service, "resource_name": name, "default_limit": default, **more}
    return cloud.admin.post(REGISTERED, {"registered_limits": [body]}, ok=ok).get("registered_limits", [None])[0]


def limit(cloud, service, value, name="ram", ok=201, **more):
    body = {"service_id": service, "resource_name": name, "resource_limit": value, **more}
    return cloud.admin.post(LIMITS, {"limits": [body]}, ok=ok).get("limits", [None])[0]


def test_a_registered_limit_lives_and_dies(cloud, service):
    made = register(cloud, service, region_id="RegionOne", description="MiB")
    path = f"{REGISTERED}/{made['id']}"
    assert made == {
        "id": made["id"], "service_id": service, "region_id": "RegionOne", "resource_name": "ram", "default_limit": 10, "description": "MiB",
        "links": made["links"],
    }  # fmt: skip
    assert made["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["registered_limit"] == made
    cloud.admin("HEAD", path, ok=200)
    register(cloud, service, region_id="RegionOne", ok=409)
    elsewhere = register(cloud, service, description=None)
    assert (elsewhere["region_id"], elsewhere["description"]) == (None, None)
    register(cloud, service, ok=409)
    cloud.admin.patch(path, {"registered_limit": {"region_id": None}}, ok=409)
    changed = cloud.admin.patch(path, {"registered_limit": {"default_limit": -1, "resource_name": "disk", "description": ""}}, ok=200)
    assert [changed["registered_limit"][key] for key in ("default_limit", "resource_name", "description")] == [-1, "disk", ""]
    other = cloud.make("service", type="u")["id"]
    assert cloud.admin.patch(path, {"registered_limit": {"service_id": other}}, ok=200)["registered_limit"]["service_id"] == other
    for query, found in ((f"service_id={service}", {elsewhere["id"]}), ("region_id=RegionOne", {made["id"]}), ("resource_name=disk", {made["id"]}),
                         ("resource_name=none", set()), ("", ids([made, elsewhere]))):  # fmt: skip
        assert ids(cloud.admin.get(f"{REGISTERED}?{query}")["registered_limits"]) == found, query
    cloud.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.admin.patch(path, {"registered_limit": {"default_limit": 1}}, ok=404)


def test_several_are_made_or_none(cloud, service):
    one = {"service_id": service, "resource_name": "a", "default_limit": 1}
    made = cloud.admin.post(REGISTERED, {"registered_limits": [one, {**one, "resource_name": "b", "region_id": "RegionOne"}]}, ok=201)
    assert [row["resource_name"] for row in made["registered_limits"]] == ["a", "b"]
    assert set(made) == {"registered_limits"}
    cloud.admin.post(REGISTERED, {"registered_limits": [{**one, "resource_name": "c"}, one]}, ok=409)
    cloud.admin.post(REGISTERED, {"registered_limits": [{**one, "resource_name": "c"}, {**one, "service_id": "none"}]}, ok=400)
    assert cloud.admin.get(f"{REGISTERED}?resource_name=c")["registered_limits"] == []
    _, _, project = cloud.member("ann")
    two = {"service_id": service, "project_id": project["id"], "resource_limit": 5}
    cloud.admin.post(LIMITS, {"limits": [{**two, "resource_name": "a"}, {**two, "resource_name": "none"}]}, ok=403)
    cloud.admin.post(LIMITS, {"limits": [{**two, "resource_name": "a"}, {**two, "resource_name": "a"}]}, ok=409)
    assert cloud.admin.get(LIMITS)["limits"] == []
    with counted(cloud.db) as few:
        cloud.admin.post(LIMITS, {"limits": [{**two, "resource_name": "a"}]}, ok=201)
    domain = {**two, "project_id": None, "domain_id": "default"}
    domain.pop("project_id")
    with counted(cloud.db) as many:
        body = [
            {**two, "resource_name": "b", "region_id": "RegionOne"},
            {**domain, "resource_name": "a"},
            {**domain, "resource_name": "b", "region_id": "RegionOne"},
        ]
        made = cloud.admin.post(LIMITS, {"limits": body}, ok=201)
    assert [row["resource_name"] for row in made["limits"]] == ["b", "a", "b"]
    assert set(made) == {"limits"}
    assert len(many) == len(few) + 1  # the region is looked up too


@pytest.mark.parametrize(("body", "field"), [
    ({"default_limit": "10"}, "default_limit"), ({"default_limit": -2}, "default_limit"), ({"default_limit": 2**31}, "default_limit"),
    ({"default_limit": 10**30}, "default_limit"), ({"default_limit": 1.5}, "default_limit"), ({"default_limit": True}, "default_limit"),
    ({"default_limit": None}, "default_limit"), ({"resource_name": 5}, "resource_name"), ({"resource_name": ""}, "resource_name"),
    ({"resource_name": "x" * 256}, "resource_name"), ({"resource_name": "\x00"}, "NUL"), ({"service_id": "none"}, "registered_limit.service_id"),
    ({"service_id": "x" * 65}, "service_id"), ({"service_id": None}, "service_id"), ({"region_id": "none"}, "registered_limit.region_id"),
    ({"region_id": 5}, "region_id"), ({"description": 5}, "description"), ({"more": 1}, "more"),
])  # fmt: skip
def test_a_wrong_registered_limit_is_refused(cloud, service, body, field):
    whole = {"service_id": service, "resource_name": "n", "default_limit": 1, **body}
    assert field in cloud.admin.post(REGISTERED, {"registered_limits": [whole]}, ok=400)["error"]["message"]
    made = register(cloud, service)
    assert field in cloud.admin.patch(f"{REGISTERED}/{made['id']}", {"registered_limit": body}, ok=400)["error"]["message"]


@pytest.mark.parametrize(
    "body", [{}, {"limits": []}, {"limits": {}}, {"limits": None}, {"limits": [5]}, {"limits": [{}]}, {"registered_limits": []}]
)
def test_a_wrong_list_is_refused(cloud, body):
    cloud.admin.post(LIMITS, body, ok=400)
    cloud.admin.post(REGISTERED, body, ok=400)


def test_a_limit_lives_and_dies(cloud, service):
    _, _, project = cloud.member("ann")
    project_id = project["id"]
    assert "no corresponding registered limit" in str(cloud.admin.post(
        LIMITS, {"limits": [{"service_id": service, "resource_name": "ram", "resource_limit": 1, "project_id": project_id}]}, ok=403
    ))  # fmt: skip
    registered = register(cloud, service, region_id="RegionOne")
    limit(cloud, service, 5, project_id=project_id, ok=403)  # another region is another limit
    made = limit(cloud, service, 5, region_id="RegionOne", project_id=project_id, description="d")
    path = f"{LIMITS}/{made['id']}"
    assert made == {
        "id": made["id"], "project_id": project_id, "domain_id": None, "service_id": service, "region_id": "RegionOne", "resource_name": "ram",
        "resource_limit": 5, "description": "d", "links": made["links"],
    }  # fmt: skip
    assert made["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["limit"] == made
    cloud.admin("HEAD", path, ok=200)
    limit(cloud, service, 6, region_id="RegionOne", project_id=project_id, ok=409)
    changed = cloud.admin.patch(path, {"limit": {"resource_limit": 7, "description": None}}, ok=200)["limit"]
    assert changed == {**made, "resource_limit": 7, "description": None}
    for field, value in (
        ("resource_limit", "7"),
        ("resource_limit", -2),
        ("description", 5),
        ("project_id", project_id),
        ("resource_name", "x"),
    ):
        assert field in cloud.admin.patch(path, {"limit": {field: value}}, ok=400)["error"]["message"]
    cloud.admin.patch(path, {"limit": {}}, ok=400)
    for method, body in (("PATCH", {"registered_limit": {"default_limit": 1}}), ("DELETE", None)):
        assert "project limits" in cloud.admin(method, f"{REGISTERED}/{registered['id']}", body, ok=403).text
    cloud.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.admin.patch(path, {"limit": {"resource_limit": 1}}, ok=404)
    cloud.admin.delete(f"{REGISTERED}/{registered['id']}")
    cloud.admin.delete(f"/v3/services/{service}")


@pytest.mark.parametrize(("body", "field"), [
    ({"resource_limit": "10"}, "resource_limit"), ({"resource_limit": 2**31}, "resource_limit"), ({"resource_limit": -2}, "resource_limit"),
    ({"resource_name": 5}, "resource_name"), ({"region_id": "none"}, "limit.region_id"), ({"service_id": "none"}, "limit.service_id"),
    ({"project_id": "none"}, "limit.project_id"), ({"project_id": None}, "project_id and domain_id"), ({"domain_id": "default"}, "project_id and domain_id"),
    ({"project_id": None, "domain_id": "none"}, "limit.domain_id"), ({"project_id": "\x00"}, "NUL"), ({"project_id": 5}, "project_id"),
    ({"description": []}, "description"), ({"default_limit": 5}, "default_limit"),
])  # fmt: skip
def test_a_wrong_limit_is_refused(cloud, service, body, field):
    _, _, project = cloud.member("ann")
    register(cloud, service)
    whole = {"service_id": service, "resource_name": "ram", "resource_limit": 1, "project_id": project["id"], **body}
    assert field in cloud.admin.post(LIMITS, {"limits": [whole]}, ok=400)["error"]["message"]


def test_a_project_is_no_domain_but_a_domain_is_a_project(cloud, service):
    _, _, project = cloud.member("ann")
    register(cloud, service)
    limit(cloud, service, 1, domain_id=project["id"], ok=400)
    made = limit(cloud, service, 1, project_id="default")
    assert (made["project_id"], made["domain_id"]) == (None, "default")
    limit(cloud, service, 1, domain_id="default", ok=409)


def test_what_is_registered_outlives_its_service_and_its_region(cloud, service):
    _, _, project = cloud.member("ann")
    cloud.make("region", id="there")
    made = register(cloud, service, region_id="there")
    kept = limit(cloud, service, 1, project_id=project["id"], region_id="there")
    cloud.admin.delete("/v3/regions/there")
    cloud.admin.delete(f"/v3/services/{service}")
    assert cloud.admin.get(REGISTERED)["registered_limits"] == [made]
    assert cloud.admin.get(f"{LIMITS}/{kept['id']}")["limit"] == kept
    cloud.admin.delete(f"{LIMITS}/{kept['id']}")
    cloud.admin.delete(f"{REGISTERED}/{made['id']}")


def test_limits_go_with_their_project(cloud, service):
    _, _, project = cloud.member("ann")
    registered = register(cloud, service)
    limit(cloud, service, 1, project_id=project["id"])
    cloud.admin.delete(f"/v3/projects/{project['id']}")
    assert cloud.admin.get(LIMITS)["limits"] == []
    cloud.admin.delete(f"{REGISTERED}/{registered['id']}")


def test_everyone_sees_what_is_registered_and_his_own(cloud, service):
    ann, _, project = cloud.member("ann")
    bob, _, other = cloud.member("bob")
    domain = cloud.make("domain", name="acme")
    inside = cloud.make("project", name="p", domain_id=domain["id"])
    registered = register(cloud, service)
    made = {name: limit(cloud, service, 1, **bearer) for name, bearer in (
        ("ann", {"project_id": project["id"]}), ("bob", {"project_id": other["id"]}), ("default", {"domain_id": "default"}),
        ("acme", {"domain_id": domain["id"]}), ("inside", {"project_id": inside["id"]}),
    )}  # fmt: skip
    user = cloud.make("user", name="boss", password="pw", domain_id=domain["id"])
    cloud.grant("reader", user=user["id"], domain=domain["id"])
    boss = cloud.login("boss", "pw", {"domain": {"id": domain["id"]}}, domain=domain["id"])
    unscoped = cloud.login("boss", "pw", "unscoped", domain=domain["id"])
    cloud.grant("reader", user=user["id"])
    system = cloud.login("boss", "pw", {"system": {"all": True}}, domain=domain["id"])
    for client, names in (
        (ann, {"ann"}),
        (bob, {"bob"}),
        (boss, {"acme", "inside"}),
        (unscoped, set()),
        (system, set(made)),
        (cloud.admin, set(made)),
    ):
        assert ids(client.get(LIMITS)["limits"]) == {made[name]["id"] for name in names}
        for query in (
            f"project_id={other['id']}",
            f"domain_id={domain['id']}",
            f"service_id={service}",
            "resource_name=ram",
            "region_id=x",
        ):
            assert ids(client.get(f"{LIMITS}?{query}")["limits"]) <= {made[name]["id"] for name in names}, query
        for name, row in made.items():
            client.get(f"{LIMITS}/{row['id']}", ok=200 if name in names else 403)
        assert ids(client.get(REGISTERED)["registered_limits"]) == {registered["id"]}
        client.get(f"{REGISTERED}/{registered['id']}")
        assert client.get(f"{LIMITS}/model")["model"]["name"] == "flat"
    for client in (ann, boss, unscoped):
        client.get(f"{LIMITS}/none", ok=403)
        client("POST", LIMITS, {"limits": []}, ok=403)
        client("PATCH", f"{LIMITS}/{made['ann']['id']}", {"limit": {"resource_limit": 9}}, ok=403)
        client("DELETE", f"{REGISTERED}/{registered['id']}", ok=403)
    assert ids(cloud.admin.get(f"{LIMITS}?project_id={other['id']}")["limits"]) == {made["bob"]["id"]}
    assert ids(cloud.admin.get(f"{LIMITS}?domain_id={domain['id']}")["limits"]) == {made["acme"]["id"]}
    assert cloud.admin.get(f"{LIMITS}?service_id=none")["limits"] == []
    for path in (LIMITS, REGISTERED, f"{LIMITS}/model"):
        cloud.nobody("GET", path, ok=401)


@pytest.mark.parametrize("path", [LIMITS, REGISTERED])
def test_lists_page_and_ask_no_more_for_more(cloud, service, path):
    key = path.rpartition("/")[2]

    def fill(index):
        register(cloud, service, name=f"r{index}")
        limit(cloud, service, 1, name=f"r{index}", domain_id="default")

    def count():
        with counted(cloud.db) as sent:
            rows = cloud.admin.get(path)[key]
        return len(sent), len(rows)

    fill(0)
    count()
    before, _ = count()
    for index in range(1, 5):
        fill(index)
    assert count() == (before, 5)
    first = cloud.admin.get(f"{path}?limit=3")
    rest = cloud.admin.get(first["links"]["next"].partition("falconframework.org")[2])
    assert rest["links"]["next"] is None
    assert [len(first[key]), len(rest[key])] == [3, 2]
    assert ids(first[key]) | ids(rest[key]) == ids(cloud.admin.get(path)[key])


def test_the_model_says_what_it_is(cloud, strict):
    model = cloud.admin.get(f"{LIMITS}/model")["model"]
    assert model == {"name": "strict_two_level", "description": "This model requires project hierarchy never exceeds a depth of two"}
    cloud.admin("HEAD", f"{LIMITS}/model", ok=200)
    CONF.set_override("limit_model", "flat", "identity")
    flat = "Limit enforcement and validation does not take project hierarchy into consideration."
    assert cloud.admin.get(f"{LIMITS}/model")["model"] == {"name": "flat", "description": flat}


def test_flat_limits_stand_alone(cloud, service):
    _, _, project = cloud.member("ann")
    register(cloud, service)
    limit(cloud, service, 5, domain_id="default")
    limit(cloud, service, 500, project_id=project["id"])


def test_a_strict_limit_is_never_above_its_domains(cloud, service, strict):
    _, _, project = cloud.member("ann")
    _, _, other = cloud.member("bob")
    register(cloud, service)
    refused = cloud.admin.post(
        LIMITS, {"limits": [{"service_id": service, "resource_name": "ram", "resource_limit": 11, "project_id": project["id"]}]}, ok=403
    )
    assert all(part in refused["error"]["message"] for part in (project["id"], "resource_limit: 11", "hierarchy model"))
    limit(cloud, service, -1, project_id=project["id"], ok=403)
    mine = limit(cloud, service, 10, project_id=project["id"])  # what is registered is the domain's
    limit(cloud, service, 9, domain_id="default", ok=403)
    domain = limit(cloud, service, 20, domain_id="default")
    path, above = f"{LIMITS}/{mine['id']}", f"{LIMITS}/{domain['id']}"
    cloud.admin.patch(path, {"limit": {"resource_limit": 20}}, ok=200)
    cloud.admin.patch(path, {"limit": {"resource_limit": 21}}, ok=403)
    cloud.admin.patch(above, {"limit": {"resource_limit": 19}}, ok=403)
    assert cloud.admin.get(above)["limit"]["resource_limit"] == 20
    cloud.admin.patch(above, {"limit": {"resource_limit": -1}}, ok=200)
    cloud.admin.patch(path, {"limit": {"resource_limit": -1}}, ok=200)
    cloud.admin.patch(above, {"limit": {"resource_limit": 1000}}, ok=403)
    cloud.admin.patch(path, {"limit": {"resource_limit": 0}}, ok=200)
    cloud.admin.patch(above, {"limit": {"resource_limit": 0}}, ok=200)
    limit(cloud, service, 1, project_id=other["id"], ok=403)
    cloud.admin.patch(above, {"limit": {"description": "d"}}, ok=200)


def test_a_domain_and_its_projects_at_once(cloud, service, strict):
    _, _, project = cloud.member("ann")
    register(cloud, service)
    one = {"service_id": service, "resource_name": "ram"}
    for project_limit, ok in ((51, 403), (50, 201)):
        both = [
            {**one, "project_id": project["id"], "resource_limit": project_limit},
            {**one, "domain_id": "default", "resource_limit": 50},
        ]
        cloud.admin.post(LIMITS, {"limits": both}, ok=ok)
    other = cloud.make("domain", name="other")
    limit(cloud, service, 1, domain_id=other["id"])  # another domain's projects are its own


def test_a_nested_project_has_no_strict_limit(cloud, service, strict):
    CONF.set_override("limit_model", "flat", "identity")
    _, _, project = cloud.member("ann")
    child = cloud.make("project", name="child", parent_id=project["id"])
    CONF.set_override("limit_model", "strict_two_level", "identity")
    register(cloud, service)
    limit(cloud, service, 1, project_id=child["id"], ok=403)
    limit(cloud, service, 1, project_id=project["id"])
    limit(cloud, service, 1, domain_id="default")


def test_strict_limits_let_no_project_nest(cloud, strict):
    _, _, project = cloud.member("ann")
    assert "depth" in cloud.admin.post("/v3/projects", {"project": {"name": "c", "parent_id": project["id"]}}, ok=403)["error"]["message"]


def test_strict_limits_hold_when_both_are_written_at_once(cloud, service, strict):
    _, _, project = cloud.member("ann")
    register(cloud, service, default=100)
    domain, mine = limit(cloud, service, 50, domain_id="default"), limit(cloud, service, 10, project_id=project["id"])
    for _ in range(5):
        for row, value in ((mine, 10), (domain, 50)):
            cloud.admin.patch(f"{LIMITS}/{row['id']}", {"limit": {"resource_limit": value}}, ok=200)
        with ThreadPoolExecutor(2) as pool:
            asked = ((domain, 20), (mine, 40))
            codes = list(
                pool.map(
                    lambda ask: cloud.admin("PATCH", f"{LIMITS}/{ask[0]['id']}", {"limit": {"resource_limit": ask[1]}}).status_code, asked
                )
            )
        assert sorted(codes) == [200, 403]


def test_a_limit_races_with_the_end_of_what_it_is_of(cloud, service):
    for one in range(5):
        project = cloud.make("project", name=f"p{one}")
        registered = register(cloud, service, name=f"r{one}")
        body = {"limits": [{"service_id": service, "resource_name": f"r{one}", "resource_limit": 1, "project_id": project["id"]}]}
        asked = [("POST", LIMITS, body), ("DELETE", f"{REGISTERED}/{registered['id']}"), ("DELETE", f"/v3/projects/{project['id']}")]
        with ThreadPoolExecutor(3) as pool:
            codes = list(pool.map(lambda ask: cloud.admin(*ask).status_code, asked))
        assert codes[0] in (201, 400, 403, 404)
        assert codes[1] in (204, 403)
        assert codes[2] == 204
