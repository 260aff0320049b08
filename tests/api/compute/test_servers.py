"""Servers through the API, on PostgreSQL and the other services' own rules, with an agent that does as it is told."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from common.rbd import MIB
from compute.models import ServerAction
from compute.service import actions
from tests.support.api import OTHER_PROJECT, PROJECT, counted
from tests.support.compute import World, add_flavor, add_image, world

GIB = 1 << 30


def test_a_server_is_made_runs_and_goes(cloud: World) -> None:
    made = cloud.create(name="web-1", metadata={"a": "b"}, user_data=base64.b64encode(b"#!/bin/sh").decode())
    assert made["adminPass"]
    assert made["security_groups"] == [{"name": "default"}]
    shown = cloud.show(made["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:vm_state"]) == ("BUILD", "scheduling", "building")
    assert cloud.work() == 1
    assert cloud.show(made["id"])["OS-EXT-STS:task_state"] == "spawning"
    assert cloud.blocks.info("vms", f"{made['id']}_disk").size == GIB
    cloud.settle()
    shown = cloud.show(made["id"])
    assert (shown["status"], shown["OS-EXT-STS:power_state"], shown["progress"]) == ("ACTIVE", 1, 100)
    assert shown["addresses"]["private"][0]["OS-EXT-IPS:type"] == "fixed"
    assert shown["metadata"] == {"a": "b"}
    assert shown["OS-EXT-AZ:availability_zone"] == "nova"
    assert shown["hostId"]
    assert not [name for name in shown if name.startswith("OS-EXT-SRV-ATTR")]
    assert cloud.jobs() == []
    cloud.api.delete(f"/v2.1/servers/{made['id']}")
    assert cloud.show(made["id"])["OS-EXT-STS:task_state"] == "deleting"
    cloud.settle()
    cloud.api("GET", f"/v2.1/servers/{made['id']}", ok=404)
    assert cloud.row(made["id"]) is None
    assert cloud.jobs() == []
    assert cloud.blocks.names("vms") == []


def test_location_and_paths_with_the_project(cloud: World) -> None:
    answer = cloud.api("POST", f"/v2.1/{PROJECT}/servers", cloud.body(), ok=202)
    assert answer.headers["location"].endswith(f"/v2.1/{PROJECT}/servers/{answer.json['server']['id']}")
    assert cloud.api.get(f"/v2.1/{PROJECT}/servers/")["servers"][0]["name"] == "vm"
    assert cloud.api("GET", f"/v2.1/{OTHER_PROJECT}/servers").status_code == 400


def test_version_documents_need_no_token(cloud: World) -> None:
    nobody = cloud.api.as_(None)
    found = nobody.get("/")["versions"]
    assert [item["id"] for item in found] == ["v2.0", "v2.1"]
    for path in ("/v2.1", "/v2.1/", "/v2/"):
        assert nobody.get(path)["version"]["links"][0]["rel"] == "self"
    assert found[1]["version"] == found[1]["min_version"] == "2.1"


def test_host_attributes_are_for_administrators(cloud: World) -> None:
    server_id = cloud.active()
    shown = cloud.show(server_id, cloud.admin)
    assert shown["OS-EXT-SRV-ATTR:host"] == "hv1"
    assert "OS-EXT-SRV-ATTR:host" not in cloud.api.get("/v2.1/servers/detail")["servers"][0]


def test_foreign_servers_are_not_there(cloud: World) -> None:
    server_id = cloud.active()
    assert cloud.other.get("/v2.1/servers")["servers"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/metadata"), ("GET", "/ips"), ("GET", "/os-interface")):
        cloud.other(method, f"/v2.1/servers/{server_id}{path}", ok=404)
    cloud.act(server_id, "os-stop", ok=404, by=cloud.other)
    cloud.act(server_id, "os-stop", ok=403, by=cloud.api.as_("reader"))
    assert cloud.other("GET", "/v2.1/servers?all_tenants=1").status_code == 403
    assert len(cloud.admin.get("/v2.1/servers?all_tenants=1")["servers"]) == 1
    assert cloud.admin.get("/v2.1/servers")["servers"] == []


def test_stop_start_and_reboot_in_novas_words(cloud: World) -> None:
    server_id = cloud.active()
    assert cloud.act(server_id, "os-start", ok=409) == f"Cannot 'start' instance {server_id} while it is in vm_state active"
    cloud.act(server_id, "os-stop")
    assert cloud.show(server_id)["OS-EXT-STS:task_state"] == "powering-off"
    cloud.settle()
    shown = cloud.show(server_id)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)
    assert cloud.act(server_id, "os-stop", ok=409) == f"Cannot 'stop' instance {server_id} while it is in vm_state stopped"
    cloud.act(server_id, "reboot", {"type": "SOFT"}, ok=409)
    cloud.act(server_id, "os-start")
    cloud.settle()
    cloud.act(server_id, "reboot", {"type": "soft"})
    assert cloud.show(server_id)["status"] == "REBOOT"
    cloud.act(server_id, "reboot", {"type": "HARD"})
    assert cloud.show(server_id)["status"] == "HARD_REBOOT"
    cloud.act(server_id, "reboot", {"type": "HARD"}, ok=409)
    cloud.settle()
    assert cloud.show(server_id)["status"] == "ACTIVE"
    cloud.act(server_id, "reboot", {"type": "WARM"}, ok=400)
    cloud.act(server_id, "resizeBackwards", ok=400)


def test_a_locked_server_is_left_alone(cloud: World) -> None:
    server_id = cloud.active()
    cloud.act(server_id, "lock")
    for action in ("os-stop", "reboot"):
        assert "is locked" in cloud.act(server_id, action, {"type": "HARD"} if action == "reboot" else None, ok=409)
    cloud.api.delete(f"/v2.1/servers/{server_id}", ok=409)
    cloud.act(server_id, "unlock")
    cloud.act(server_id, "os-stop")
    cloud.act(server_id, "lock", by=cloud.admin)
    cloud.act(server_id, "unlock", ok=403)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"flavorRef": "none"}, 400, "Flavor none could not be found."),
        ({"imageRef": "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"}, 400, "Can not find requested image"),
        ({"imageRef": "nonsense"}, 400, "imageRef"),
        ({"name": ""}, 400, "name"),
        ({"name": 12345}, 400, "name"),
        ({"name": "x" * 256}, 400, "name"),
        ({"metadata": {"k" * 260: "v"}}, 400, "metadata"),
        ({"key_name": "nobody"}, 400, "Invalid key_name provided."),
        ({"networks": [{"uuid": "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"}]}, 400, "could not be found"),
        ({"networks": [{"port": "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"}]}, 400, "Port id"),
        ({"security_groups": [{"name": "nope"}]}, 400, "nope"),
        ({"user_data": "not base64!"}, 400, "user_data"),
        ({"availability_zone": "mars"}, 400, "The requested availability zone is not available"),
        ({"availability_zone": "nova:hv1"}, 403, "forced_host"),
        ({"min_count": 3, "max_count": 2}, 400, "min_count must be <= max_count"),
        ({"config_drive": True}, 400, "config_drive"),
        ({"personality": [{"path": "/a", "contents": "Yg=="}]}, 400, "personality"),
        ({"accessIPv4": "::1"}, 400, "accessIPv4"),
        ({"accessIPv6": "notvalid"}, 400, "accessIPv6"),
        ({"colour": "red"}, 400, "colour"),
        ({"tags": ["a"]}, 400, "tags"),
        ({"imageRef": ""}, 400, "Invalid imageRef provided."),
        ({"max_count": 11, "min_count": 11}, 403, "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances"),
    ],
)
def test_what_cannot_be_is_refused_by_name(cloud: World, change: dict, status: int, words: str) -> None:
    assert words in cloud.create(ok=status, **change)
    assert cloud.api.get("/v2.1/servers")["servers"] == []
    assert cloud.jobs() == []


def test_no_tags_are_no_tags(cloud: World) -> None:
    """Ansible's module sends `tags: []` whatever the microversion."""
    assert cloud.create(tags=[])["id"]


def test_hints_that_would_be_ignored_are_refused(cloud: World) -> None:
    for name in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"):
        answer = cloud.api.post("/v2.1/servers", {**cloud.body(), name: {"different_host": "x"}}, ok=400)
        assert "different_host" in answer["badRequest"]["message"]
        cloud.api.post("/v2.1/servers", {**cloud.body(), name: {"foo": "x"}}, ok=202)


def test_image_and_flavor_must_fit(cloud: World) -> None:
    add_flavor(cloud.db, "tiny", ram_mib=64)
    small = add_image(cloud.db, cloud.blocks, min_ram=128)
    assert "memory is too small" in cloud.create(ok=400, flavorRef="tiny", imageRef=small)
    big = add_image(cloud.db, cloud.blocks, min_disk=2)
    assert "disk is smaller than the minimum size" in cloud.create(ok=400, imageRef=big)
    add_flavor(cloud.db, "swap", swap_mib=64)
    assert "swap" in cloud.create(ok=400, flavorRef="swap")
    add_flavor(cloud.db, "zero", disk_gib=0)
    made = cloud.create(flavorRef="zero", imageRef=add_image(cloud.db, cloud.blocks, size=3 * MIB))
    assert cloud.row(made["id"]).root_gib == 1


def test_the_default_network_must_be_one(cloud: World) -> None:
    cloud.network("second")
    assert "Multiple possible networks" in cloud.create(ok=409)
    made = cloud.create(networks=[{"uuid": cloud.network_id, "fixed_ip": "10.0.0.77"}])
    assert [item["addr"] for item in cloud.show(made["id"])["addresses"]["private"]] == ["10.0.0.77"]
    assert cloud.api.get(f"/v2.1/servers/{made['id']}/ips/private") == {"private": [{"version": 4, "addr": "10.0.0.77"}]}
    cloud.api("GET", f"/v2.1/servers/{made['id']}/ips/public", ok=404)
    assert cloud.show(cloud.create(networks="none")["id"])["addresses"] == {}
    assert cloud.create(ok=409, networks=[{"uuid": cloud.network_id, "fixed_ip": "10.0.0.77"}])


def test_a_port_of_the_tenant_is_handed_back(cloud: World) -> None:
    from network import public
    from tests.support.api import actor

    port = cloud.db.run(lambda tx: public.create_port(tx, actor(), network_id=cloud.network_id, device_id="", device_owner=""))
    cloud.db.run(lambda tx: tx.execute(__import__("sqlalchemy").text("UPDATE network.port SET created_by_compute = false")))
    server_id = cloud.active(networks=[{"port": port}])
    path = f"/v2.1/servers/{server_id}/os-interface"
    found = cloud.api.get(path)["interfaceAttachments"]
    assert [item["port_id"] for item in found] == [port]
    assert cloud.api.get(f"{path}/{port}") == {"interfaceAttachment": found[0]}
    cloud.api("GET", f"{path}/{server_id}", ok=404)
    assert "still in use" in cloud.create(ok=409, networks=[{"port": port}])
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    after = cloud.db.run(lambda tx: public.get_port(tx, actor(), port))
    assert (after.device_id, after.host_id) == ("", "")


def test_several_at_once_share_a_reservation(cloud: World) -> None:
    answer = cloud.api.post("/v2.1/servers", cloud.body(min_count=2, max_count=3, return_reservation_id=True), ok=202)
    found = cloud.api.get(f"/v2.1/servers?reservation_id={answer['reservation_id']}")["servers"]
    assert sorted(item["name"] for item in found) == ["vm-1", "vm-2", "vm-3"]
    many = cloud.api.post("/v2.1/servers", cloud.body(min_count=1, max_count=500, return_reservation_id=True), ok=202)
    assert len(cloud.api.get(f"/v2.1/servers?reservation_id={many['reservation_id']}")["servers"]) == 7


def test_no_valid_host_says_why(cloud: World) -> None:
    cloud.agent("hv2", zone="south")
    add_flavor(cloud.db, "huge", ram_mib=8192)
    made = cloud.create(flavorRef="huge", availability_zone="nova")
    cloud.work()
    shown = cloud.show(made["id"])
    assert (shown["status"], shown["fault"]["code"]) == ("ERROR", 500)
    said = "No valid host was found. Of 2 hosts: 1 not in the availability zone nova, 1 without 8192 MiB of free memory."
    assert shown["fault"]["message"] == said
    assert "details" not in shown["fault"]
    assert "details" in cloud.show(made["id"], cloud.admin)["fault"]
    assert "Cannot 'stop'" in cloud.act(made["id"], "os-stop", ok=409)
    assert "Cannot 'reboot'" in cloud.act(made["id"], "reboot", {"type": "HARD"}, ok=409)
    cloud.api.delete(f"/v2.1/servers/{made['id']}")
    cloud.settle()
    assert cloud.row(made["id"]) is None


def test_administrators_choose_the_host(cloud: World) -> None:
    cloud.agent("hv2")
    for name in ("hv1", "hv2"):
        net = add_network_of_admin(cloud, name)
        made = cloud.create(by=cloud.admin, availability_zone=f"nova:{name}", networks=[{"uuid": net}])
        cloud.settle()
        assert cloud.show(made["id"], cloud.admin)["OS-EXT-SRV-ATTR:host"] == name
    assert len(cloud.admin.get("/v2.1/servers?all_tenants=1&host=hv2")["servers"]) == 1


def add_network_of_admin(cloud: World, name: str) -> str:
    return cloud.network(f"admin-{name}", project="a" * 32)


def test_update_answers_the_plain_server(cloud: World) -> None:
    server_id = cloud.create()["id"]
    body = {"server": {"name": "new", "accessIPv4": "1.1.1.1", "accessIPv6": "::babe:202:202"}}
    answer = cloud.api.put(f"/v2.1/servers/{server_id}", body, ok=200)["server"]
    assert (answer["name"], answer["accessIPv4"], answer["accessIPv6"]) == ("new", "1.1.1.1", "::babe:202:202")
    assert "OS-EXT-STS:vm_state" not in answer
    cloud.api.put(f"/v2.1/servers/{server_id}", {"server": {"name": ""}}, ok=400)
    cloud.api.put(f"/v2.1/servers/{server_id}", {"server": {"name": "x" * 256}}, ok=400)


def test_metadata_of_a_server(cloud: World) -> None:
    path = f"/v2.1/servers/{cloud.active(metadata={'a': '1'})}/metadata"
    assert cloud.api.post(path, {"metadata": {"b": "2"}}, ok=200)["metadata"] == {"a": "1", "b": "2"}
    assert cloud.api.put(path, {"metadata": {"c": "3"}}, ok=200)["metadata"] == {"c": "3"}
    assert cloud.api.put(f"{path}/d", {"meta": {"d": "4"}}, ok=200)["meta"] == {"d": "4"}
    cloud.api.put(f"{path}/d", {"meta": {"e": "4"}}, ok=400)
    assert cloud.api.get(f"{path}/c")["meta"] == {"c": "3"}
    cloud.api.delete(f"{path}/c")
    cloud.api("GET", f"{path}/c", ok=404)
    assert cloud.api.get(path)["metadata"] == {"d": "4"}
    cloud.api.put(path, {"metadata": {str(n): "x" for n in range(129)}}, ok=400)
    cloud.agents[0].pull()
    assert cloud.agents[0].document["servers"][0]["metadata"]["meta"] == {"d": "4"}


def test_lists_filter_sort_and_page(cloud: World) -> None:
    ids = [cloud.create(name=f"vm-{n}")["id"] for n in range(4)]
    path = "/v2.1/servers"

    def names(query: str) -> list[str]:
        return [item["name"] for item in cloud.api.get(f"{path}?{query}")["servers"]]

    assert names("") == ["vm-3", "vm-2", "vm-1", "vm-0"]
    assert names("sort_key=name&sort_dir=asc&limit=2") == ["vm-0", "vm-1"]
    assert names("sort_key=name&limit=1") == ["vm-3"]
    page = cloud.api.get(f"{path}?sort_key=name&sort_dir=asc&limit=2")
    assert page["servers_links"][0]["rel"] == "next"
    assert names(f"sort_key=name&sort_dir=asc&limit=9&marker={page['servers'][-1]['id']}") == ["vm-2", "vm-3"]
    for key in ("vm_state", "task_state", "power_state", "launched_at", "image_ref"):
        first = cloud.api.get(f"{path}?sort_key={key}&limit=1")["servers"][0]
        assert len(names(f"sort_key={key}&limit=9&marker={first['id']}")) == 3, key
    assert cloud.api("GET", f"{path}?sort_key=host").status_code == 400
    cloud.admin.get(f"{path}?all_tenants=1&sort_key=host")
    assert names("name=vm-[12]$") == ["vm-2", "vm-1"]
    assert names("status=active") == []
    assert len(names("status=BUILD&status=active")) == 4
    assert names("status=nonsense") == []
    assert len(names("flavor=1")) == 4
    assert names("flavor=2") == []
    assert len(names(f"image={cloud.image_id}")) == 4
    assert names("changes-since=2051-01-01T12:34:00Z") == []
    assert len(names("changes-since=2011-01-01T12:34:00Z")) == 4
    assert len(names("deleted=False")) == 4
    address = cloud.show(ids[0])["addresses"]["private"][0]["addr"]
    assert names(f"ip=^{address}$") == ["vm-0"]
    for query in ("name=(", "ip=(", "limit=-1", "limit=x", "changes-since=never", "marker=none", "sort_key=nothing", "name=a{2,1}"):
        assert cloud.api("GET", f"{path}?{query}").status_code == 400, query
    assert cloud.api("GET", f"{path}?status=deleted").status_code == 403


def test_lists_ask_a_constant_number_of_queries(cloud: World) -> None:
    def count(path: str) -> int:
        with counted(cloud.db) as sent:
            cloud.api.get(path)
        return len(sent)

    for _ in range(2):
        cloud.create()
    paths = ("/v2.1/servers", "/v2.1/servers/detail", "/v2.1/servers?ip=10", "/v2.1/flavors/detail", "/v2.1/os-keypairs")
    few = [count(path) for path in paths]
    for n in range(5):
        cloud.create()
        add_flavor(cloud.db, f"x{n}")
        cloud.api.post("/v2.1/os-keypairs", {"keypair": {"name": f"k{n}"}}, ok=200)
    assert [count(path) for path in paths] == few
    assert few[1] <= 12


def test_the_log_of_what_was_asked(cloud: World) -> None:
    server_id = cloud.active()
    answer = cloud.api("POST", f"/v2.1/servers/{server_id}/action", {"os-stop": None}, ok=202)
    cloud.settle()
    path = f"/v2.1/servers/{server_id}/os-instance-actions"
    found = cloud.api.get(path)["instanceActions"]
    assert [item["action"] for item in found] == ["stop", "create"]
    request_id = answer.headers["x-compute-request-id"]
    assert found[0]["request_id"] == request_id
    for by, traceback in ((cloud.api, False), (cloud.admin, True)):
        (event,) = by.get(f"{path}/{request_id}")["instanceAction"]["events"]
        assert (event["event"], event["result"], "traceback" in event) == ("compute_stop", "Success", traceback)
    cloud.api("GET", f"{path}/req-none", ok=404)


def test_the_log_of_servers_that_are_gone_is_dropped_after_90_days(cloud: World) -> None:
    there, gone = cloud.active(), cloud.active()
    cloud.api.delete(f"/v2.1/servers/{gone}")
    cloud.settle()

    def left() -> set[str]:
        return cloud.db.run(lambda tx: set(tx.execute(select(ServerAction.server_id)).scalars()))

    cloud.db.run(actions.forget)
    assert left() == {there, gone}
    cloud.db.run(lambda tx: tx.execute(update(ServerAction).values(started_at=datetime(2020, 1, 1, tzinfo=UTC))))
    cloud.db.run(actions.forget)
    assert left() == {there}


def test_key_pairs(cloud: World) -> None:
    made = cloud.api.post("/v2.1/os-keypairs", {"keypair": {"name": "k"}}, ok=200)["keypair"]
    assert "PRIVATE KEY" in made["private_key"]
    public = {"name": "again", "public_key": made["public_key"]}
    again = cloud.api.post("/v2.1/os-keypairs", {"keypair": public}, ok=200)["keypair"]
    assert again["fingerprint"] == made["fingerprint"]
    cloud.api.post("/v2.1/os-keypairs", {"keypair": public}, ok=409)
    cloud.api.post("/v2.1/os-keypairs", {"keypair": {"name": "bad", "public_key": "ssh-rsa nonsense"}}, ok=400)
    assert [item["keypair"]["name"] for item in cloud.api.get("/v2.1/os-keypairs")["keypairs"]] == ["again", "k"]
    assert cloud.other.get("/v2.1/os-keypairs")["keypairs"] == []
    assert cloud.api.get("/v2.1/os-keypairs/k")["keypair"]["deleted"] is False
    server_id = cloud.active(key_name="k")
    assert cloud.show(server_id)["key_name"] == "k"
    assert cloud.agents[0].document["servers"][0]["metadata"]["public_keys"] == {"k": made["public_key"]}
    cloud.api.delete("/v2.1/os-keypairs/k", ok=202)
    cloud.api("GET", "/v2.1/os-keypairs/k", ok=404)
    assert cloud.api("GET", "/v2.1/os-keypairs?user_id=else").status_code == 403


def test_two_hosts_spread(db) -> None:
    cloud = world(db, ("hv1", "hv2"))
    for _ in range(4):
        cloud.create()
    cloud.settle()
    found = cloud.admin.get("/v2.1/os-hypervisors/detail")["hypervisors"]
    assert [(item["hypervisor_hostname"], item["running_vms"], item["memory_mb_used"]) for item in found] == [
        ("hv1", 2, 256),
        ("hv2", 2, 256),
    ]
