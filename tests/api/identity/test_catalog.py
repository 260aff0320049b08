"""Regions, services, endpoints, and which of them a project sees, told as stories through the API on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.config import CONF
from identity.models import Endpoint
from identity.service import catalog
from tests.support.api import counted

FILTER = "/v3/OS-EP-FILTER"
GROUPS = f"{FILTER}/endpoint_groups"


def ids(rows):
    return {row["id"] for row in rows}


def endpoint(cloud, service, **more):
    return cloud.make(
        "endpoint", **{"service_id": service["id"], "interface": "public", "url": "http://x", "region_id": "RegionOne", **more}
    )


def group(cloud, **filters):
    return cloud.admin.post(GROUPS, {"endpoint_group": {"name": "g", "filters": filters}}, ok=201)["endpoint_group"]


def seen(client):
    """The ids of the endpoints in the bearer's catalogue, and the types of its services."""
    services = client.get("/v3/auth/catalog")["catalog"]
    return {one["id"] for service in services for one in service["endpoints"]}, {service["type"] for service in services}


def test_regions_lie_within_each_other(cloud):
    top = cloud.make("region", id="top", description=None, colour="red")
    assert (top["description"], top["parent_region_id"], top["colour"]) == ("", None, "red")
    assert top["links"]["self"].endswith("/v3/regions/top")
    inner = cloud.admin.put("/v3/regions/inner", {"region": {"parent_region_id": "top", "id": "inner"}}, ok=201)["region"]
    assert ids(cloud.admin.get("/v3/regions?parent_region_id=top")["regions"]) == {"inner"}
    cloud.admin("PUT", "/v3/regions/inner", {"region": {}}, ok=409)
    cloud.admin("HEAD", "/v3/regions/inner", ok=200)
    cloud.admin("HEAD", "/v3/regions", ok=200)
    cloud.admin("HEAD", "/v3/regions/none", ok=404)
    deep = cloud.make("region", parent_region_id=inner["id"])
    assert "lies within" in cloud.admin.patch("/v3/regions/top", {"region": {"parent_region_id": deep["id"]}}, ok=400)["error"]["message"]
    changed = cloud.admin.patch("/v3/regions/inner", {"region": {"parent_region_id": None, "note": [1]}}, ok=200)["region"]
    assert (changed["parent_region_id"], changed["note"]) == (None, [1])
    assert cloud.admin.get("/v3/regions/inner")["region"] == changed
    cloud.admin.delete("/v3/regions/inner")
    cloud.admin.get(f"/v3/regions/{deep['id']}", ok=404)
    cloud.admin.delete("/v3/regions/inner", ok=404)


def test_two_regions_never_come_to_lie_within_each_other(cloud):
    for one in range(4):
        for name in ("a", "b"):
            cloud.make("region", id=f"{name}{one}")
        with ThreadPoolExecutor(2) as pool:
            moves = [(f"a{one}", f"b{one}"), (f"b{one}", f"a{one}")]
            codes = list(
                pool.map(lambda m: cloud.admin("PATCH", f"/v3/regions/{m[0]}", {"region": {"parent_region_id": m[1]}}).status_code, moves)
            )
        assert sorted(codes) == [200, 400]


def test_a_service_keeps_what_it_is_given(cloud):
    service = cloud.make("service", type="t", name=None, description=None, owner={"team": "x"})
    assert service["enabled"] is True
    assert "name" not in service
    assert service["owner"] == {"team": "x"}
    path = f"/v3/services/{service['id']}"
    changed = cloud.admin.patch(path, {"service": {"id": service["id"], "name": "n", "owner": None}}, ok=200)["service"]
    assert (changed["name"], changed["owner"], changed["type"]) == ("n", None, "t")
    assert cloud.admin.get(path)["service"] == changed
    assert ids(cloud.admin.get("/v3/services?name=n&type=t")["services"]) == {service["id"]}
    assert cloud.admin.get("/v3/services?name=n&type=other")["services"] == []
    cloud.admin("HEAD", path, ok=200)
    cloud.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, path, ok=404)


def test_endpoints_are_found_by_what_they_have(cloud):
    service = cloud.make("service", type="t")
    one = endpoint(cloud, service, name="e", description="d", weight=3)
    two = endpoint(cloud, service, interface="admin", region_id=None, region="old style", enabled=False)
    assert (one["name"], one["description"], one["weight"], one["region"]) == ("e", "d", 3, "RegionOne")
    assert (two["region_id"], two["region"], two["enabled"]) == ("old style", "old style", False)
    of_service = f"/v3/endpoints?service_id={service['id']}"
    for query, found in (
        ("", {one["id"], two["id"]}),
        ("&interface=admin", {two["id"]}),
        ("&region_id=RegionOne", {one["id"]}),
        ("&region_id=x", set()),
    ):
        assert ids(cloud.admin.get(of_service + query)["endpoints"]) == found, query
    path = f"/v3/endpoints/{one['id']}"
    assert cloud.admin.patch(path, {"endpoint": {"region": "new"}}, ok=200)["endpoint"]["region_id"] == "new"
    cloud.admin("HEAD", path, ok=200)
    assert cloud.admin.patch(path, {"endpoint": {"region_id": None}}, ok=200)["endpoint"]["region"] is None
    cloud.admin.delete(path)
    cloud.admin("HEAD", path, ok=404)


@pytest.mark.parametrize(("noun", "body", "field"), [
    ("region", {"id": "x" * 256}, "region.id"), ("region", {"id": 5}, "region.id"), ("region", {"description": {}}, "region.description"),
    ("region", {"parent_region_id": ["x"]}, "region.parent_region_id"), ("region", {"note": "\x00"}, "NUL"), ("region", None, "region"),
    ("service", {}, "type"), ("service", {"type": ""}, "service.type"), ("service", {"type": 5}, "service.type"), ("service", {"type": None}, "service.type"),
    ("service", {"type": "t", "name": "x" * 256}, "service.name"), ("service", {"type": "t", "enabled": "yes"}, "service.enabled"),
    ("service", {"type": "t", "description": 5}, "service.description"), ("service", {"type": "a\x00"}, "NUL"), ("service", [], "service"),
    ("endpoint", {"interface": "publicURL"}, "endpoint.interface"), ("endpoint", {"url": ""}, "endpoint.url"), ("endpoint", {"url": "x"}, "endpoint.url"),
    ("endpoint", {"url": "http://" + "x" * 3000}, "endpoint.url"), ("endpoint", {"url": "http://$(secret)s"}, "$(secret)s"),
    ("endpoint", {"service_id": "none"}, "endpoint.service_id"), ("endpoint", {"service_id": "x" * 65}, "endpoint.service_id"),
    ("endpoint", {"region_id": "none"}, "endpoint.region_id"), ("endpoint", {"enabled": 1}, "endpoint.enabled"), ("endpoint", {"region": "a\x00"}, "NUL"),
])  # fmt: skip
def test_bad_input_names_its_field(cloud, noun, body, field):
    if noun == "endpoint":
        body = {"service_id": cloud.admin.get("/v3/services")["services"][0]["id"], "interface": "public", "url": "http://x", **body}
    assert field in cloud.admin.post(f"/v3/{noun}s", {noun: body}, ok=400)["error"]["message"]


@pytest.mark.parametrize("noun", ["region", "service", "endpoint"])
def test_a_change_needs_something_and_no_other_id(cloud, noun):
    row = cloud.admin.get(f"/v3/{noun}s")[f"{noun}s"][0]
    path = f"/v3/{noun}s/{row['id']}"
    cloud.admin.patch(path, {noun: {}}, ok=400)
    cloud.admin.patch(path, {}, ok=400)
    assert "other" in cloud.admin.patch(path, {noun: {"id": "other"}}, ok=400)["error"]["message"]
    cloud.admin.patch(f"/v3/{noun}s/none", {noun: {"description": "d"}}, ok=404)


@pytest.mark.parametrize("query", ["interface=odd", "limit=x", "limit=-1", "marker=none", "service_id=%00", "region_id=" + "x" * 300])
def test_a_bad_filter_is_refused(cloud, query):
    cloud.admin.get(f"/v3/endpoints?{query}", ok=400)


def test_an_endpoint_group_lives_and_dies(cloud):
    made = cloud.admin.post(GROUPS, {"endpoint_group": {"name": "g", "description": "d", "filters": {"interface": "public"}}}, ok=201)[
        "endpoint_group"
    ]
    path = f"{GROUPS}/{made['id']}"
    assert made == {"id": made["id"], "name": "g", "description": "d", "filters": {"interface": "public"}, "links": made["links"]}
    assert made["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["endpoint_group"] == made
    cloud.admin("HEAD", path, ok=200)
    assert ids(cloud.admin.get(f"{GROUPS}?name=g")["endpoint_groups"]) == {made["id"]}
    assert cloud.admin.get(f"{GROUPS}?name=h")["endpoint_groups"] == []
    # The SDK sends its id, and null for what it does not mean.
    sent = {"id": made["id"], "name": "new", "filters": None, "description": None}
    changed = cloud.admin.patch(path, {"endpoint_group": sent}, ok=200)["endpoint_group"]
    assert (changed["name"], changed["filters"], changed["description"]) == ("new", {"interface": "public"}, None)
    changed = cloud.admin.patch(path, {"endpoint_group": {"filters": {"region_id": "UK"}}}, ok=200)["endpoint_group"]
    assert changed["filters"] == {"region_id": "UK"}
    cloud.admin.patch(path, {"endpoint_group": {"id": "other"}}, ok=400)
    cloud.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.admin.patch(path, {"endpoint_group": {"name": "x"}}, ok=404)


@pytest.mark.parametrize(("body", "field"), [
    ({"filters": {"interface": "public"}}, "name"), ({"name": "g"}, "filters"), ({"name": "g", "filters": {}}, "filters"),
    ({"name": "g", "filters": {"enabled": True}}, "enabled"), ({"name": "g", "filters": {"region": "UK"}}, "region"),
    ({"name": "g", "filters": {"interface": "publicURL"}}, "filters.interface"), ({"name": "g", "filters": {"service_id": 5}}, "filters.service_id"),
    ({"name": "g", "filters": []}, "filters"), ({"name": "g", "filters": None}, "filters"), ({"name": 5, "filters": {"interface": "admin"}}, "name"),
    ({"name": "g", "filters": {"region_id": "x" * 256}}, "filters.region_id"), ({"name": "x" * 256, "filters": {"interface": "admin"}}, "name"),
    ({"name": "g", "description": 5, "filters": {"interface": "admin"}}, "description"), ({"name": "\x00", "filters": {"interface": "admin"}}, "NUL"),
    ({"name": "g", "filters": {"interface": "admin"}, "more": 1}, "more"),
])  # fmt: skip
def test_a_wrong_endpoint_group_is_refused(cloud, body, field):
    assert field in cloud.admin.post(GROUPS, {"endpoint_group": body}, ok=400)["error"]["message"]


def test_a_group_lets_through_what_all_its_filters_allow(cloud):
    service = cloud.make("service", type="t")
    cloud.make("region", id="r2")
    here, there, nowhere = endpoint(cloud, service), endpoint(cloud, service, region_id="r2"), endpoint(cloud, service, region_id=None)
    admin = endpoint(cloud, service, interface="admin")
    for filters, found in (
        ({}, (here, there, nowhere, admin)),
        ({"interface": "public"}, (here, there, nowhere)),
        ({"region_id": "RegionOne"}, (here, admin)),
        ({"region_id": None}, (nowhere,)),
        ({"region_id": "r2", "interface": "admin"}, ()),
    ):
        one = group(cloud, service_id=service["id"], **filters)
        assert ids(cloud.admin.get(f"{GROUPS}/{one['id']}/endpoints")["endpoints"]) == ids(found)
        cloud.admin("HEAD", f"{GROUPS}/{one['id']}/endpoints", ok=200)
    cloud.admin.get(f"{GROUPS}/none/endpoints", ok=404)


def test_a_project_sees_the_endpoints_that_it_is_given(cloud):
    ann, _, project = cloud.member("ann")
    bob, _, _ = cloud.member("bob")
    everything = seen(bob)
    assert seen(ann) == everything
    service = cloud.make("service", type="t", name="n")
    mine, off = endpoint(cloud, service), endpoint(cloud, service, enabled=False)
    path = f"{FILTER}/projects/{project['id']}/endpoints"
    one = f"{path}/{mine['id']}"
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, one, ok=404)
    cloud.admin("PUT", one, ok=204)
    cloud.admin("PUT", one, ok=409)
    cloud.admin("GET", one, ok=204)
    cloud.admin("HEAD", one, ok=204)
    assert seen(ann) == ({mine["id"]}, {"t"})
    token = cloud.admin("GET", "/v3/auth/tokens", headers={"X-Subject-Token": ann.token}, ok=200).json["token"]
    assert [service["name"] for service in token["catalog"]] == ["n"]
    assert mine["id"] in seen(bob)[0]
    cloud.admin("PUT", f"{path}/{off['id']}", ok=204)
    assert ids(cloud.admin.get(path)["endpoints"]) == {mine["id"], off["id"]}
    assert seen(ann)[0] == {mine["id"]}
    assert ids(cloud.admin.get(f"{FILTER}/endpoints/{mine['id']}/projects")["projects"]) == {project["id"]}
    cloud.admin.delete(one)
    assert seen(ann) == (set(), set())
    cloud.admin.delete(f"{path}/{off['id']}")
    assert seen(ann) == seen(bob)
    assert cloud.admin.get(path)["endpoints"] == []


def test_a_project_sees_the_endpoints_of_its_groups(cloud):
    ann, _, project = cloud.member("ann")
    service = cloud.make("service", type="t")
    public, admin = endpoint(cloud, service), endpoint(cloud, service, interface="admin")
    everything = seen(ann)
    made = group(cloud, service_id=service["id"], interface="public")
    one = f"{GROUPS}/{made['id']}/projects/{project['id']}"
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, one, ok=404)
    cloud.admin("PUT", one, ok=204)
    cloud.admin("PUT", one, ok=409)
    cloud.admin("HEAD", one, ok=200)
    found = cloud.admin.get(one)["project_endpoint_group"]
    assert (found["endpoint_group_id"], found["project_id"]) == (made["id"], project["id"])
    assert found["links"]["self"].endswith(one)
    assert seen(ann) == ({public["id"]}, {"t"})
    assert ids(cloud.admin.get(f"{FILTER}/projects/{project['id']}/endpoints")["endpoints"]) == {public["id"]}
    assert ids(cloud.admin.get(f"{FILTER}/projects/{project['id']}/endpoint_groups")["endpoint_groups"]) == {made["id"]}
    assert ids(cloud.admin.get(f"{GROUPS}/{made['id']}/projects")["projects"]) == {project["id"]}
    cloud.admin("PUT", f"{FILTER}/projects/{project['id']}/endpoints/{admin['id']}", ok=204)
    assert seen(ann)[0] == {public["id"], admin["id"]}
    cloud.admin.delete(f"{FILTER}/projects/{project['id']}/endpoints/{admin['id']}")
    # A group that lets nothing through gives nothing, and who is given nothing has everything.
    cloud.admin.patch(f"{GROUPS}/{made['id']}", {"endpoint_group": {"filters": {"region_id": "nowhere"}}}, ok=200)
    assert seen(ann) == everything
    cloud.admin.patch(f"{GROUPS}/{made['id']}", {"endpoint_group": {"filters": {"interface": "public"}}}, ok=200)
    assert seen(ann)[0] < everything[0]
    cloud.admin.delete(f"{GROUPS}/{made['id']}")
    assert seen(ann) == everything


def test_what_a_project_is_given_goes_with_either(cloud):
    _, _, project = cloud.member("ann")
    service = cloud.make("service", type="t")
    mine, made = endpoint(cloud, service), group(cloud, interface="public")
    for path in (f"{FILTER}/projects/{project['id']}/endpoints/{mine['id']}", f"{GROUPS}/{made['id']}/projects/{project['id']}"):
        cloud.admin("PUT", path, ok=204)
    cloud.admin.delete(f"/v3/services/{service['id']}")
    cloud.admin("GET", f"{FILTER}/projects/{project['id']}/endpoints/{mine['id']}", ok=404)
    cloud.admin.delete(f"/v3/projects/{project['id']}")
    assert cloud.admin.get(f"{GROUPS}/{made['id']}/projects")["projects"] == []
    cloud.admin.get(f"{FILTER}/projects/{project['id']}/endpoints", ok=404)


def test_of_unknown_ones_nothing_is_given(cloud):
    _, _, project = cloud.member("ann")
    service = cloud.make("service", type="t")
    mine, made = endpoint(cloud, service), group(cloud, interface="public")
    for path in (f"{FILTER}/projects/none/endpoints/{mine['id']}", f"{FILTER}/projects/{project['id']}/endpoints/none",
                 f"{GROUPS}/none/projects/{project['id']}", f"{GROUPS}/{made['id']}/projects/none"):  # fmt: skip
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            cloud.admin(method, path, ok=404)
    for path in ("projects/none/endpoints", "projects/none/endpoint_groups", "endpoints/none/projects", "endpoint_groups/none/projects"):
        cloud.admin("GET", f"{FILTER}/{path}", ok=404)
        cloud.admin("HEAD", f"{FILTER}/{path}", ok=404)


LISTS = ["projects/{project}/endpoints", "projects/{project}/endpoint_groups", "endpoint_groups", "endpoint_groups/{group}/endpoints",
         "endpoint_groups/{group}/projects", "endpoints/{endpoint}/projects"]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_no_list_asks_more_for_more_rows(cloud, path):
    project = cloud.make("project", name="p")["id"]
    service, made = cloud.make("service", type="t"), group(cloud, interface="public")["id"]
    first = endpoint(cloud, service)["id"]
    url = f"{FILTER}/" + path.format(project=project, group=made, endpoint=first)

    def count():
        with counted(cloud.db) as sent:
            found = next(value for key, value in cloud.admin.get(url).items() if key != "links")
        return len(sent), len(found)

    def fill(index):
        other, one, more = (
            cloud.make("project", name=f"p{index}")["id"],
            endpoint(cloud, service)["id"],
            group(cloud, interface="public")["id"],
        )
        for given in (f"projects/{project}/endpoints/{one}", f"projects/{other}/endpoints/{first}", f"endpoint_groups/{more}/projects/{project}",
                      f"endpoint_groups/{made}/projects/{other}"):  # fmt: skip
            cloud.admin("PUT", f"{FILTER}/{given}", ok=204)

    fill(0)
    count()
    before, few = count()
    for index in range(1, 6):
        fill(index)
    after, many = count()
    assert after == before
    assert many > few


def test_members_see_regions_and_nothing_else(cloud):
    ann, user, project = cloud.member("ann")
    service = cloud.make("service", type="t")
    mine, made = endpoint(cloud, service), group(cloud, interface="public")
    assert ann.get("/v3/regions/RegionOne")["region"]["id"] == "RegionOne"
    for path in ("/v3/services", "/v3/endpoints", GROUPS, f"{GROUPS}/{made['id']}", f"{GROUPS}/{made['id']}/endpoints", f"{GROUPS}/none/projects",
                 f"{FILTER}/projects/{project['id']}/endpoints", f"{FILTER}/endpoints/{mine['id']}/projects"):  # fmt: skip
        ann("GET", path, ok=403)
    ann("PUT", f"{FILTER}/projects/{project['id']}/endpoints/{mine['id']}", ok=403)
    ann("POST", "/v3/regions", {"region": {}}, ok=403)
    cloud.nobody("GET", "/v3/regions", ok=401)
    cloud.grant("reader", user=user["id"])
    audit = cloud.login("ann", "pw-ann", {"system": {"all": True}})
    for path in ("/v3/services", "/v3/endpoints", GROUPS, f"{FILTER}/projects/{project['id']}/endpoints"):
        audit.get(path)
    audit("PUT", f"{FILTER}/projects/{project['id']}/endpoints/{mine['id']}", ok=403)


@pytest.fixture
def now(monkeypatch):
    """The clock of what is remembered; it stands still unless a test moves it."""
    found = [1000.0]
    monkeypatch.setattr(catalog, "boottime", lambda: found[0])
    return found


@pytest.fixture
def remembering(cloud, now):
    CONF.set_override("check_cache_seconds", 0.5, "identity")
    catalog.forget(cloud.db)
    yield cloud
    CONF.set_override("check_cache_seconds", 0.0, "identity")


def asked(cloud, client):
    with counted(cloud.db) as sent:
        found = seen(client)
    return len([one for one in sent if "json_agg" in one and "identity.service" in one]), found


def test_a_process_remembers_the_catalogue_for_half_a_second(remembering, now):
    cloud = remembering
    ann, _, _ = cloud.member("ann")
    bob, _, _ = cloud.member("bob")
    service = cloud.make("service", type="t")
    mine = endpoint(cloud, service)["id"]
    assert asked(cloud, ann)[0] == 1
    assert asked(cloud, ann)[0] == 0
    assert asked(cloud, bob)[0] == 0  # no project differs: one answer for all
    cloud.db.run(lambda tx: tx.delete(tx.get(Endpoint, mine)))  # as another process does it
    now[0] += 0.49
    assert mine in asked(cloud, ann)[1][0]
    now[0] += 0.02
    queries, found = asked(cloud, ann)
    assert (queries, mine in found[0]) == (1, False)


def test_projects_that_differ_are_remembered_each_for_itself(remembering):
    cloud = remembering
    ann, _, project = cloud.member("ann")
    bob, _, _ = cloud.member("bob")
    service = cloud.make("service", type="t")
    mine = endpoint(cloud, service)["id"]
    asked(cloud, ann)
    cloud.admin("PUT", f"{FILTER}/projects/{project['id']}/endpoints/{mine}", ok=204)
    assert asked(cloud, ann) == (1, ({mine}, {"t"}))  # this process made the change and knows it at once
    assert asked(cloud, ann) == (0, ({mine}, {"t"}))
    queries, found = asked(cloud, bob)
    assert queries == 1
    assert len(found[0]) > 1
    assert asked(cloud, bob)[0] == 0
    catalog.catalogues_of(cloud.db).forget()
    names = {f"p{index}" for index in range(3)}
    for one in names:
        catalog.catalogues_of(cloud.db).of(one)
    assert set(catalog.catalogues_of(cloud.db)._known) == names
