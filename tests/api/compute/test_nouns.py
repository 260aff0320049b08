"""Flavors, zones, services, hypervisors, quotas, limits, extensions: what stands beside servers."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from compute import manage
from compute.api import SERVICE
from compute.models import Host
from compute.policy import RULES
from tests.support.api import OTHER_PROJECT, PROJECT
from tests.support.compute import World, add_flavor

FLAVOR = {"name": "m1.x", "ram": 256, "vcpus": 2, "disk": 3}


def test_every_permission_is_used_and_every_operation_has_one() -> None:
    used = {item.action for item in SERVICE.operations} | {name for item in SERVICE.operations for name in item.guarded}
    assert used == {rule.name for rule in RULES}


def test_flavors_are_made_listed_and_removed(cloud: World) -> None:
    made = cloud.admin.post("/v2.1/flavors", {"flavor": {**FLAVOR, "id": "77", "swap": 0}}, ok=200)["flavor"]
    assert (made["id"], made["swap"], made["OS-FLV-EXT-DATA:ephemeral"], made["rxtx_factor"]) == ("77", "", 0, 1.0)
    assert cloud.api.get("/v2.1/flavors/77")["flavor"] == made
    assert [item["id"] for item in cloud.api.get("/v2.1/flavors")["flavors"]] == ["1", "77"]
    assert [item["id"] for item in cloud.api.get("/v2.1/flavors?sort_key=flavorid")["flavors"]] == ["1", "77"]
    assert [item["id"] for item in cloud.api.get("/v2.1/flavors?sort_dir=desc")["flavors"]] == ["77", "1"]
    assert [item["name"] for item in cloud.api.get("/v2.1/flavors/detail?minRam=200")["flavors"]] == ["m1.x"]
    assert cloud.api.get("/v2.1/flavors?limit=1")["flavors_links"]
    for body, code in (
        ({**FLAVOR, "id": "77", "name": "y"}, 409),
        ({**FLAVOR, "name": "y", "rxtx_factor": "9" * 400}, 400),
        ({**FLAVOR, "name": "y", "rxtx_factor": 10**400}, 400),
        (FLAVOR, 409),
        ({**FLAVOR, "ram": 0}, 400),
        ({**FLAVOR, "name": " "}, 400),
    ):
        cloud.admin.post("/v2.1/flavors", {"flavor": body}, ok=code)
    cloud.api.post("/v2.1/flavors", {"flavor": {**FLAVOR, "name": "mine"}}, ok=403)
    cloud.admin.delete("/v2.1/flavors/77", ok=202)
    cloud.admin.delete("/v2.1/flavors/77", ok=404)
    cloud.api("GET", "/v2.1/flavors/m1.x", ok=404)


def test_private_flavors_are_seen_by_who_may_use_them(cloud: World) -> None:
    body = {"flavor": {**FLAVOR, "id": "p", "os-flavor-access:is_public": False}}
    cloud.admin.post("/v2.1/flavors", body, ok=200)
    cloud.api("GET", "/v2.1/flavors/p", ok=404)
    answer = cloud.admin.post("/v2.1/flavors/p/action", {"addTenantAccess": {"tenant": PROJECT}}, ok=200)
    assert answer["flavor_access"] == [{"flavor_id": "p", "tenant_id": PROJECT}]
    cloud.admin.post("/v2.1/flavors/p/action", {"addTenantAccess": {"tenant": PROJECT}}, ok=409)
    both = {"addTenantAccess": {"tenant": PROJECT}, "removeTenantAccess": {"tenant": PROJECT}}
    cloud.admin.post("/v2.1/flavors/p/action", both, ok=400)
    cloud.admin.post("/v2.1/flavors/1/action", {"addTenantAccess": {"tenant": PROJECT}}, ok=409)
    assert [item["id"] for item in cloud.api.get("/v2.1/flavors")["flavors"]] == ["1", "p"]
    assert [item["id"] for item in cloud.other.get("/v2.1/flavors")["flavors"]] == ["1"]
    assert [item["id"] for item in cloud.admin.get("/v2.1/flavors?is_public=None")["flavors"]] == ["1", "p"]
    assert cloud.admin.get("/v2.1/flavors/p/os-flavor-access")["flavor_access"] == answer["flavor_access"]
    cloud.admin("GET", "/v2.1/flavors/1/os-flavor-access", ok=404)
    assert cloud.admin.post("/v2.1/flavors/p/action", {"removeTenantAccess": {"tenant": PROJECT}}, ok=200) == {"flavor_access": []}
    cloud.admin.post("/v2.1/flavors/p/action", {"removeTenantAccess": {"tenant": PROJECT}}, ok=404)


def test_extra_specs(cloud: World) -> None:
    path = "/v2.1/flavors/1/os-extra_specs"
    specs = {"quota:disk_total_bytes_sec": "10", "a": "b"}
    assert cloud.admin.post(path, {"extra_specs": specs}, ok=200)["extra_specs"] == specs
    assert cloud.admin.put(f"{path}/a", {"a": "c"}, ok=200) == {"a": "c"}
    cloud.admin.put(f"{path}/a", {"b": "c"}, ok=400)
    cloud.admin.put(f"{path}/b", {"b": "c"}, ok=404)
    assert cloud.api.get(f"{path}/a") == {"a": "c"}
    cloud.api.post(path, {"extra_specs": specs}, ok=403)
    cloud.admin.delete(f"{path}/a", ok=200)
    cloud.admin.delete(f"{path}/a", ok=404)
    assert list(cloud.api.get(path)["extra_specs"]) == ["quota:disk_total_bytes_sec"]


def test_zones_services_and_hypervisors(cloud: World) -> None:
    cloud.agent("hv2", zone="south")
    zones = cloud.api.get("/v2.1/os-availability-zone")["availabilityZoneInfo"]
    assert [(z["zoneName"], z["zoneState"]["available"], z["hosts"]) for z in zones] == [("nova", True, None), ("south", True, None)]
    assert "hv1" in cloud.admin.get("/v2.1/os-availability-zone/detail")["availabilityZoneInfo"][0]["hosts"]
    cloud.api("GET", "/v2.1/os-services", ok=403)
    off = {"host": "hv2", "binary": "nova-compute"}
    cloud.admin.put("/v2.1/os-services/disable-log-reason", {**off, "disabled_reason": "broken fan"}, ok=200)
    found = cloud.admin.get("/v2.1/os-services?host=hv2")["services"]
    assert [(s["status"], s["state"], s["disabled_reason"], s["zone"]) for s in found] == [("disabled", "up", "broken fan", "south")]
    cloud.admin.put("/v2.1/os-services/disable", {**off, "host": "nobody"}, ok=404)
    assert cloud.create(availability_zone="south")
    cloud.work()
    fault = cloud.admin.get("/v2.1/servers/detail?all_tenants=1")["servers"][0]["fault"]["message"]
    assert "1 disabled" in fault
    cloud.admin.put("/v2.1/os-services/enable", off, ok=200)
    assert cloud.admin.put("/v2.1/os-services/disable", off, ok=200) == {"service": {**off, "status": "disabled"}}
    cloud.admin.put("/v2.1/os-services/enable", off, ok=200)
    found = cloud.admin.get("/v2.1/os-hypervisors/detail")["hypervisors"]
    first = found[0]
    assert (first["hypervisor_hostname"], first["state"], first["status"], first["vcpus"], first["host_ip"]) == (
        "hv1",
        "up",
        "enabled",
        4,
        "172.31.0.11",
    )
    assert cloud.admin.get(f"/v2.1/os-hypervisors/{found[0]['id']}")["hypervisor"]["memory_mb"] == 4096
    assert cloud.admin.get("/v2.1/os-hypervisors/statistics")["hypervisor_statistics"]["count"] == 2
    assert len(cloud.admin.get("/v2.1/os-hypervisors/hv/search")["hypervisors"]) == 2
    assert cloud.admin.get(f"/v2.1/os-hypervisors/{found[0]['id']}/uptime")["hypervisor"]["uptime"] == ""
    cloud.admin("GET", "/v2.1/os-hypervisors/none", ok=404)


def test_quotas_and_limits(cloud: World) -> None:
    path = f"/v2.1/os-quota-sets/{PROJECT}"
    assert cloud.api.get(path)["quota_set"]["instances"] == 10
    cloud.create()
    detail = cloud.api.get(f"{path}/detail")["quota_set"]
    assert (detail["instances"], detail["ram"]["in_use"]) == ({"limit": 10, "in_use": 1, "reserved": 0}, 128)
    cloud.admin.put(path, {"quota_set": {"instances": 0}}, ok=400)
    assert cloud.admin.put(path, {"quota_set": {"instances": 0, "force": True}}, ok=200)["quota_set"]["instances"] == 0
    assert "Quota exceeded for instances" in cloud.create(ok=403)
    limits = cloud.api.get("/v2.1/limits?reserved=1")["limits"]["absolute"]
    assert (limits["maxTotalInstances"], limits["totalInstancesUsed"], limits["totalRAMUsed"]) == (0, 1, 128)
    assert cloud.api.get(f"{path}/defaults")["quota_set"]["instances"] == 10
    cloud.api("GET", f"/v2.1/os-quota-sets/{OTHER_PROJECT}", ok=403)
    cloud.api.put(path, {"quota_set": {"instances": 5}}, ok=403)
    cloud.admin.put(path, {"quota_set": {"bananas": 5}}, ok=400)
    cloud.admin.delete(path, ok=202)
    assert cloud.api.get(path)["quota_set"]["instances"] == 10


def test_extensions(cloud: World) -> None:
    assert "os-keypairs" in [item["alias"] for item in cloud.api.get("/v2.1/extensions")["extensions"]]
    assert cloud.api.get("/v2.1/extensions/os-keypairs")["extension"]["alias"] == "os-keypairs"
    cloud.api("GET", "/v2.1/extensions/none", ok=404)


def test_microversions_beyond_what_is_complete_are_406(cloud: World) -> None:
    for header, code in (("compute 2.1", 200), ("compute latest", 200), ("compute 2.2", 406), ("compute two", 400)):
        answer = cloud.api("GET", "/v2.1/servers", headers={"OpenStack-API-Version": header}, ok=code)
    assert "X-OpenStack-Nova-API-Version" in cloud.api("GET", "/v2.1/servers").headers["vary"]
    assert answer.json["badRequest"]["code"] == 400


def test_the_operators_commands(cloud: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    from common.cmd import process
    from common.db import Database

    monkeypatch.setattr(process, "database", lambda: Database(cloud.db.engine.url.render_as_string(hide_password=False)))
    parser = argparse.ArgumentParser()
    manage.add_commands(parser.add_subparsers())

    def run(*words: str) -> tuple[int, str]:
        asked = parser.parse_args(words)
        return asked.func(asked), capsys.readouterr().out

    code, out = run("host", "add", "hv9", "--chassis", "c9", "--availability-zone", "east")
    assert (code, len(out.strip())) == (0, 36)
    assert "hv9" in run("host", "list")[1]
    assert run("host", "rekey", "hv9", "--public-key", "another")[0] == 0
    assert run("host", "rekey", "hv9", "--public-key", "another")[0] == 1
    cloud.db.run(lambda tx: tx.execute(update(Host).values(unknown=["server 5e", "domain web"], unknown_count=3)))
    assert run("host", "list")[1].splitlines()[1].split()[-1] == "3"
    shown = run("host", "show", "hv9")[1]
    assert shown.splitlines()[-4:] == [f"{'unknown':18} 3", "  server 5e", "  domain web", "  and 1 more"]
    assert f"{'public key':18} another" in shown
    assert run("host", "show", "hv8")[0] == 1
    assert run("host", "remove", "hv9")[0] == 0
    assert run("host", "remove", "hv9")[0] == 1


def test_a_flavor_of_a_server_may_go(cloud: World) -> None:
    add_flavor(cloud.db, "brief")
    server_id = cloud.active(flavorRef="brief")
    cloud.admin.delete("/v2.1/flavors/brief", ok=202)
    assert cloud.show(server_id)["flavor"]["id"] == "brief"
