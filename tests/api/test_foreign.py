"""What another project has is not there: every operation on a project's resource answers a foreigner with 404, and no list shows it."""

from __future__ import annotations

import json
import re

import pytest

from image.api import SERVICE as IMAGE
from network.api import SERVICE as NETWORK
from tests.api.network_world import world as network_world
from tests.api.test_matrix import CASES, SOME_ID
from tests.support.api import OTHER_PROJECT, PROJECT, client
from tests.support.compute import World, world
from tests.support.samples import sample
from volume.api import SERVICE as VOLUME

# What is the cloud's, a user's, or names the project itself in its path.
NOT_A_PROJECTS = re.compile(
    r"flavors|keypairs|quota|types|services|hypervisors|extensions|schemas|simple-tenant-usage|availability-zone|os-networks"
)


@pytest.fixture
def cloud(db) -> World:
    return world(db)


@pytest.fixture
def owned(cloud: World) -> dict[str, str]:
    """A resource of PROJECT for every noun, by the part of a path that it follows."""
    server = cloud.active()
    clients = {"image": client(IMAGE, cloud.db), "volume": client(VOLUME, cloud.db)}
    net = network_world(cloud.db)
    image = clients["image"].post("/v2/images", {"name": "mine", "disk_format": "raw", "container_format": "bare"}, ok=201)["id"]
    volume = cloud.volume()
    snapshot = clients["volume"].post("/v3/snapshots", {"snapshot": {"volume_id": volume}}, ok=202)["snapshot"]["id"]
    network = net.network("mine")["id"]
    public = net.external()["id"]
    subnet = net.subnet(network, "10.77.0.0/24")["id"]
    router = net.router()["id"]
    group = net.api.post("/v2.0/security-groups", {"security_group": {"name": "mine"}}, ok=201)["security_group"]
    address = net.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": public}}, ok=201)["floatingip"]["id"]
    return {
        "servers": server, "images": image, "volumes": volume, "snapshots": snapshot, "networks": network, "subnets": subnet,
        "ports": net.port(network)["id"], "routers": router, "security-groups": group["id"],
        "security-group-rules": group["security_group_rules"][0]["id"], "floatingips": address,
    }  # fmt: skip


def path_of(case, owned) -> str | None:
    """The case's path with the noun's resource in it; None where no resource of a project is named."""
    template = case.service.prefixes[-1] + case.operation.path
    found = re.search(r"/([a-z-]+)/\{\w+\}", case.operation.path)
    if not found or found[1] not in owned or NOT_A_PROJECTS.search(case.operation.path.split("{")[0]):
        return None
    return re.sub(r"\{\w+\}", SOME_ID, re.sub(rf"/{found[1]}/\{{\w+\}}", f"/{found[1]}/{owned[found[1]]}", template, count=1))


def body_of(case):
    if case.operation.path.endswith("/metadata/{key}"):
        return {"meta": {SOME_ID: "x"}}
    if case.operation.path.endswith("/members/{member_id}"):
        return {"status": "accepted"}
    if case.operation.body is not None:
        return sample(case.operation.body.shape)
    return {case.operation.body_key: None} if case.operation.body_key else None


def test_a_foreigner_is_told_that_there_is_nothing(cloud, owned):
    clients = {
        "compute": cloud.other,
        "image": client(IMAGE, cloud.db),
        "volume": client(VOLUME, cloud.db),
        "network": client(NETWORK, cloud.db),
    }
    tried, wrong = 0, []
    for case in CASES:
        if case.service.name not in clients or (path := path_of(case, owned)) is None:
            continue
        who = clients[case.service.name].as_(f"member@{OTHER_PROJECT}")
        raw = b"data" if case.operation.raw else None
        headers = {"Content-Type": "application/octet-stream"} if case.operation.raw and case.operation.method == "PUT" else {}
        if case.operation.method == "PATCH" and case.service.name == "image":
            raw, headers = b"[]", {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        answer = who(case.operation.method, path, body_of(case), raw=raw, headers=headers)
        tried += 1
        admins_only = answer.status_code == 403 and "Policy doesn't allow" in answer.text
        if answer.status_code != 404 and not admins_only:
            wrong.append(f"{case.name}: {answer.status} {answer.text[:150]}")
    assert tried > 60
    assert not wrong, "\n".join(wrong)


def test_no_list_shows_a_foreigner_anything(cloud, owned):
    net = network_world(cloud.db)
    volume, image = client(VOLUME, cloud.db).as_(f"member@{OTHER_PROJECT}"), client(IMAGE, cloud.db).as_(f"member@{OTHER_PROJECT}")
    lists = {
        cloud.other: ["/v2.1/servers", "/v2.1/servers/detail", f"/v2.1/servers?project_id={PROJECT}"],
        volume: ["/v3/volumes", "/v3/volumes/detail", "/v3/snapshots", "/v3/snapshots/detail", "/v3/volumes?all_tenants=1"],
        image: ["/v2/images", f"/v2/images?owner={PROJECT}", "/v2/images?visibility=private"],
        net.other: [f"/v2.0/{noun}" for noun in ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules")]
        + [f"/v2.0/ports?project_id={PROJECT}", f"/v2.0/networks?tenant_id={PROJECT}"],
    }  # fmt: skip
    for who, paths in lists.items():
        for path in paths:
            answer = who("GET", path)
            assert answer.status_code in (200, 403), answer.text
            shown = [item for item in owned.values() if item in json.dumps(answer.json)]
            assert not shown, f"{path} shows {shown}"
