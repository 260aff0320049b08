"""The volume API on a real PostgreSQL and the in-memory store, as its clients use it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.db import Database
from common.errors import BadRequest
from common.rbd_memory import Memory
from image.models import Image
from image.names import SNAPSHOT
from tests.support.api import OTHER_PROJECT, PROJECT, Client, actor, counted
from tests.support.volume import SERVER, action, make, shown
from volume import names, public
from volume.engine.store import VolumeStore


def test_versions_need_no_token(api: Client) -> None:
    for path, status in (("/", 300), ("/v3", 200), ("/v3/", 200)):
        body = api.as_(None)("GET", path, ok=status).json
        version = body["versions"][0]
        assert (version["id"], version["version"], version["min_version"], version["status"]) == ("v3.0", "3.0", "3.0", "CURRENT")
        assert version["links"][0]["href"].endswith("/v3/")


def test_microversions(api: Client) -> None:
    answer = api("GET", "/v3/volumes", headers={"OpenStack-API-Version": "volume 3.0"}, ok=200)
    assert answer.headers["OpenStack-API-Version"] == "volume 3.0"
    assert "OpenStack-API-Version" in answer.headers["Vary"]
    api("GET", "/v3/volumes", headers={"OpenStack-API-Version": "volume 3.27"}, ok=406)


def test_from_creation_to_deletion(api: Client, blocks: Memory, work: Callable[[], int]) -> None:
    made = make(api, name="v", description="d", metadata={"a": "1"})
    assert (made["status"], made["size"], made["bootable"], made["volume_type"]) == ("creating", 1, "false", "__DEFAULT__")
    assert work() == 0
    found = api.get(f"/v3/{PROJECT}/volumes/{made['id']}")["volume"]
    assert (found["status"], found["name"], found["description"], found["metadata"]) == ("available", "v", "d", {"a": "1"})
    assert found["attachments"] == []
    assert found["os-vol-tenant-attr:tenant_id"] == PROJECT
    assert blocks.info(names.POOL, names.volume_name(made["id"])).size == names.GIB  # type: ignore[union-attr]
    api.delete(f"/v3/volumes/{made['id']}", ok=202)
    assert shown(api, made["id"])["status"] == "deleting"
    api.delete(f"/v3/volumes/{made['id']}", ok=202)
    assert work() == 0
    api.get(f"/v3/volumes/{made['id']}", ok=404)
    assert blocks.names(names.POOL) == []


def test_snapshots_and_volumes_from_them(api: Client, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api, name="source")["id"]
    api("POST", "/v3/snapshots", {"snapshot": {"volume_id": None}}, ok=404)
    make(api, ok=400, source_volid=volume_id)
    early = api("POST", "/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=400).json
    assert "creating" in early["badRequest"]["message"]
    work()
    snapshot = api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id, "name": "s", "metadata": {"k": "v"}}}, ok=202)["snapshot"]
    assert (snapshot["status"], snapshot["size"], snapshot["volume_id"]) == ("creating", 1, volume_id)
    api.post("/v3/volumes", {"volume": {"snapshot_id": snapshot["id"]}}, ok=400)
    work()
    assert api.get(f"/v3/snapshots/{snapshot['id']}")["snapshot"]["status"] == "available"
    one = f"/v3/snapshots/{snapshot['id']}/metadata/k"
    assert api.put(one, {"meta": {"k": 7}}, ok=200) == api.get(one) == {"meta": {"k": "7"}}
    assert api.delete(f"/v3/volumes/{volume_id}", ok=400).json["badRequest"]["message"].endswith("still has 1 dependent snapshots.")
    make(api, ok=400, snapshot_id=snapshot["id"], size=0)
    child = api.post("/v3/volumes", {"volume": {"snapshot_id": snapshot["id"], "size": 2}}, ok=202)["volume"]
    work()
    assert shown(api, child["id"])["status"] == "available"
    assert shown(api, child["id"])["snapshot_id"] == snapshot["id"]
    api.delete(f"/v3/snapshots/{snapshot['id']}", ok=202)
    api.delete(f"/v3/volumes/{volume_id}", ok=400)
    work()
    api.delete(f"/v3/volumes/{volume_id}", ok=202)
    api.delete(f"/v3/volumes/{child['id']}", ok=202)
    assert work() == 0
    assert blocks.names(names.POOL) == []
    assert blocks.purge(names.POOL) == 0


def test_a_volume_from_a_snapshot_may_be_of_another_type(api: Client, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api, size=2)["id"]
    work()
    snapshot = api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=202)["snapshot"]["id"]
    work()
    other = api.as_("admin").post("/v3/types", {"volume_type": {"name": "other"}}, ok=200)["volume_type"]["name"]
    made = [
        api.post("/v3/volumes", {"volume": {"snapshot_id": snapshot, "volume_type": other, **more}}, ok=202) for more in ({}, {"size": 3})
    ]
    work()
    found = [shown(api, one["volume"]["id"]) for one in made]
    assert [(one["status"], one["size"], one["volume_type"], one["snapshot_id"]) for one in found] == [
        ("available", 2, other, snapshot),
        ("available", 3, other, snapshot),
    ]
    make(api, ok=404, snapshot_id=snapshot, size=2, volume_type="none")
    make(api, ok=400, snapshot_id=snapshot, size=1, volume_type=other)
    make(api, ok=404, snapshot_id=SERVER, volume_type=other)


def test_a_cascading_delete_takes_the_snapshots(api: Client, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    work()
    for _ in range(2):
        api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=202)
    work()
    api.delete(f"/v3/volumes/{volume_id}?cascade=true", ok=202)
    assert work() == 0
    assert api.get("/v3/snapshots") == {"snapshots": []}
    assert blocks.names(names.POOL) == []


def image(db: Database, blocks: Memory, **more: Any) -> str:
    row = Image(
        id=str(uuid.uuid4()), name="cirros", owner=PROJECT, disk_format="raw", container_format="bare", data="x", size=2 << 30,
        virtual_size=2 << 30, checksum="c" * 32, properties={"os": "linux"}, observed_generation=1, **more,
    )  # fmt: skip
    row.data = row.id
    blocks.create("images", row.id, 512)
    blocks.snapshot("images", row.id, SNAPSHOT)
    with db.transaction() as tx:
        tx.add(row)
    return row.id


def test_a_volume_from_an_image(api: Client, db: Database, blocks: Memory, work: Callable[[], int]) -> None:
    image_id = image(db, blocks, min_disk=3)
    assert "2GB is larger than volume size 1GB" in make(api, ok=400, imageRef=image_id)["badRequest"]["message"]
    assert "minDisk size 3GB" in make(api, ok=400, imageRef=image_id, size=2)["badRequest"]["message"]
    made = make(api, imageRef=image_id, size=3)
    assert made["bootable"] == "true"
    assert "volume_image_metadata" not in made
    assert work() == 0
    found = shown(api, made["id"])
    assert found["status"] == "available"
    assert found["volume_image_metadata"]["image_id"] == image_id
    assert found["volume_image_metadata"]["os"] == "linux"
    assert "unable to access" in make(api, ok=400, imageRef=str(uuid.uuid4()))["badRequest"]["message"]


def test_a_volume_whose_source_goes_ends_in_error_and_can_be_deleted(api: Client, db: Database, blocks: Memory, work: Callable[[], int]) -> None:  # fmt: skip
    image_id = image(db, blocks)
    made = make(api, imageRef=image_id, size=2)
    blocks.remove_snapshot("images", image_id, SNAPSHOT)
    assert work() == 0
    assert shown(api, made["id"])["status"] == "error"
    api.delete(f"/v3/volumes/{made['id']}", ok=202)
    assert work() == 0
    api.get(f"/v3/volumes/{made['id']}", ok=404)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"size": 0}, 400, "size"), ({"size": -1}, 400, "size"), ({"size": "x"}, 400, "size"), ({"size": 1.5}, 400, "size"),
        ({"size": 10**6}, 400, "size"), ({"size": None}, 400, "size"), ({"name": "x" * 256}, 400, "name"), ({"name": 5}, 400, "name"),
        ({"volume_type": "gold"}, 404, "gold"), ({"availability_zone": "mars"}, 400, "mars"), ({"snapshot_id": "x"}, 400, "snapshot_id"),
        ({"snapshot_id": str(uuid.uuid4())}, 404, "Snapshot"), ({"source_volid": str(uuid.uuid4())}, 404, "Volume"),
        ({"metadata": {"k": "v" * 256}}, 400, "metadata"), ({"unknown": 1}, 400, "unknown"), ({"multiattach": True}, 400, "multiattach"),
        ({"size": 1001}, 413, "gigabytes"), ({"metadata": []}, 400, "metadata"),
    ],
)  # fmt: skip
def test_creation_refuses(api: Client, body: dict[str, Any], status: int, word: str) -> None:
    assert word in str(make(api, ok=status, **body))


def test_quotas_hold(api: Client, work: Callable[[], int]) -> None:
    admin = api.as_("admin")
    path = f"/v3/os-quota-sets/{PROJECT}"
    assert api.get(path)["quota_set"]["volumes"] == 10
    api.put(path, {"quota_set": {"volumes": 1}}, ok=403)
    assert admin.put(path, {"quota_set": {"volumes": 2, "gigabytes": 3, "snapshots": 1}}, ok=200)["quota_set"]["gigabytes"] == 3
    volume_id = make(api)["id"]
    refused = make(api, ok=413, size=3)
    assert refused["overLimit"]["message"].startswith("VolumeSizeExceedsAvailableQuota")
    make(api)
    assert "VolumeLimitExceeded" in make(api, ok=413)["overLimit"]["message"]
    work()
    api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=202)
    assert "SnapshotLimitExceeded" in str(api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=413))
    work()
    assert action(api, volume_id, "os-extend", ok=413, new_size=2).json["overLimit"]["code"] == 413
    assert api.get(path + "?usage=true")["quota_set"]["volumes"] == {"limit": 2, "in_use": 2, "reserved": 0}
    assert api.get("/v3/limits")["limits"]["absolute"]["totalGigabytesUsed"] == 3
    assert api.get(path + "/defaults")["quota_set"]["volumes"] == 10
    api.get(f"/v3/os-quota-sets/{OTHER_PROJECT}", ok=403)
    admin.delete(path, ok=200)
    assert api.get(path)["quota_set"]["volumes"] == 10


def test_quotas_hold_when_all_ask_at_once(api: Client) -> None:
    api.as_("admin").put(f"/v3/os-quota-sets/{PROJECT}", {"quota_set": {"volumes": 3}}, ok=200)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api("POST", "/v3/volumes", {"volume": {"size": 1}}).status_code, range(8)))
    assert sorted(answers) == [202] * 3 + [413] * 5
    assert api.get("/v3/limits")["limits"]["absolute"]["totalVolumesUsed"] == 3


def test_one_server_gets_a_volume_that_two_want(api: Client, db: Database, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    work()

    def attach(server_id: str) -> bool:
        try:
            db.run(lambda tx: public.attach(tx, actor(), volume_id, server_id, device="vdb", mountpoint="/dev/vdb"))
        except BadRequest:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attach, [str(uuid.uuid4()) for _ in range(4)])) == [False, False, False, True]


def test_who_sees_what(api: Client, work: Callable[[], int]) -> None:
    other, admin = api.as_(f"member@{OTHER_PROJECT}"), api.as_(f"admin@{OTHER_PROJECT}")
    made = make(api)
    work()
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("GET", "/metadata")):
        body = {"volume": {"name": "x"}} if method == "PUT" else None
        other(method, f"/v3/volumes/{made['id']}{path}", body, ok=404)
    assert other.get("/v3/volumes")["volumes"] == []
    assert other.get("/v3/volumes?all_tenants=1")["volumes"] == []
    assert admin.get("/v3/volumes")["volumes"] == []
    assert [v["id"] for v in admin.get("/v3/volumes/detail?all_tenants=1")["volumes"]] == [made["id"]]
    assert admin.get(f"/v3/volumes/detail?all_tenants=1&project_id={OTHER_PROJECT}")["volumes"] == []
    assert "os-vol-host-attr:host" in admin.get(f"/v3/volumes/{made['id']}")["volume"]
    assert "os-vol-host-attr:host" not in shown(api, made["id"])
    other("GET", f"/v3/{PROJECT}/volumes", ok=400)
    api.as_("reader")("POST", "/v3/volumes", {"volume": {"size": 1}}, ok=403)
    make(other, ok=404, snapshot_id=str(uuid.uuid4()))


def test_attachments_are_one_row(api: Client, db: Database, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    attach = lambda: db.run(lambda tx: public.attach(tx, actor(), volume_id, SERVER, device="vdb", mountpoint="/dev/vdb"))  # noqa: E731
    with pytest.raises(BadRequest, match="creating"):
        attach()
    work()
    view = attach()
    assert (view.desired, view.ready, view.rbd_image) == ("present", True, f"volume-{volume_id}")
    assert shown(api, volume_id)["status"] == "attaching"
    assert shown(api, volume_id)["attachments"] == []
    with pytest.raises(BadRequest):
        attach()
    db.run(lambda tx: public.attached(tx, view.id, view.generation))
    found = shown(api, volume_id)
    assert found["status"] == "in-use"
    assert found["attachments"][0] | {"attached_at": None} == {
        "id": volume_id, "attachment_id": view.id, "volume_id": volume_id, "server_id": SERVER, "device": "/dev/vdb", "host_name": None,
        "attached_at": None,
    }  # fmt: skip
    assert [v["id"] for v in api.get("/v3/volumes?status=in-use")["volumes"]] == [volume_id]
    api.delete(f"/v3/volumes/{volume_id}", ok=400)
    api.as_("admin")("POST", f"/v3/volumes/{volume_id}/action", {"os-reset_status": {"status": "available"}}, ok=202)
    assert shown(api, volume_id)["status"] == "available"
    api.delete(f"/v3/volumes/{volume_id}", ok=400)
    db.run(lambda tx: public.detach(tx, view.id))
    db.run(lambda tx: public.detach(tx, view.id))
    assert shown(api, volume_id)["status"] == "detaching"
    again = db.run(lambda tx: public.attachments_of(tx, [SERVER, "other"]))[SERVER][0]
    assert (again.desired, again.generation) == ("absent", 2)
    db.run(lambda tx: public.refused(tx, view.id, "still in use"))
    assert shown(api, volume_id)["status"] == "in-use"
    db.run(lambda tx: public.attached(tx, view.id, 3))
    db.run(lambda tx: public.detach(tx, view.id))
    db.run(lambda tx: public.detached(tx, view.id))
    db.run(lambda tx: public.detached(tx, view.id))
    assert shown(api, volume_id)["status"] == "available"


def test_a_volume_made_in_the_same_transaction_can_be_attached_before_it_is_there(
    api: Client, db: Database, work: Callable[[], int]
) -> None:
    def both(tx: Any) -> tuple[public.VolumeView, public.AttachmentView]:
        made = public.create_volume(tx, actor(), name="root", size_gib=1)
        return made, public.attach(tx, actor(), made.id, SERVER, device="vda", mountpoint="/dev/vda", delete_on_termination=True)

    made, attachment = db.run(both)
    assert not attachment.ready
    assert shown(api, made.id)["status"] == "creating"
    work()
    assert db.run(lambda tx: public.attachments_of(tx, [SERVER]))[SERVER][0].ready
    assert shown(api, made.id)["status"] == "attaching"
    db.run(lambda tx: public.detached(tx, attachment.id))
    db.run(lambda tx: public.delete_volume(tx, actor(), made.id))
    assert work() == 0


def test_actions(api: Client, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    work()
    action(api, volume_id, "os-reserve")
    assert shown(api, volume_id)["status"] == "attaching"
    action(api, volume_id, "os-reserve", ok=400)
    action(api, volume_id, "os-unreserve")
    action(api, volume_id, "os-begin_detaching", ok=400)
    action(api, volume_id, "os-extend", ok=400, new_size=1)
    action(api, volume_id, "os-extend", new_size=3)
    assert (shown(api, volume_id)["status"], shown(api, volume_id)["size"]) == ("extending", 3)
    work()
    assert shown(api, volume_id)["status"] == "available"
    assert blocks.info(names.POOL, names.volume_name(volume_id)).size == 3 * names.GIB  # type: ignore[union-attr]
    action(api, volume_id, "os-set_bootable", ok=200, bootable=True)
    assert shown(api, volume_id)["bootable"] == "true"
    action(api, volume_id, "os-set_image_metadata", ok=200, metadata={"os": "x"})
    assert action(api, volume_id, "os-show_image_metadata", ok=200).json == {"metadata": {"os": "x"}}
    action(api, volume_id, "os-unset_image_metadata", ok=200, key="os")
    action(api, volume_id, "os-unset_image_metadata", ok=404, key="os")
    action(api, volume_id, "os-reset_status", ok=403, status="error")
    api.as_("admin")("POST", f"/v3/volumes/{volume_id}/action", {"os-reset_status": {"status": "purple"}}, ok=400)
    action(api, volume_id, "os-paint", ok=400)
    action(api, volume_id, "os-force_delete", ok=403)
    action(api.as_("admin"), volume_id, "os-reset_status", status="creating")
    api.delete(f"/v3/volumes/{volume_id}", ok=400)
    action(api.as_("admin"), volume_id, "os-force_delete")
    assert work() == 0


def test_metadata(api: Client) -> None:
    volume_id = make(api, metadata={"a": "1"})["id"]
    path = f"/v3/volumes/{volume_id}/metadata"
    assert api.post(path, {"metadata": {"b": 2}}, ok=200) == {"metadata": {"a": "1", "b": "2"}}
    assert api.get(path + "/b") == {"meta": {"b": "2"}}
    assert api.put(path + "/b", {"meta": {"b": "3"}}, ok=200) == {"meta": {"b": "3"}}
    api.put(path + "/b", {"meta": {"c": "3"}}, ok=400)
    api.delete(path + "/a", ok=200)
    api.delete(path + "/a", ok=404)
    assert api.put(path, {"metadata": {"z": "9"}}, ok=200) == {"metadata": {"z": "9"}}
    assert api.get(path) == {"metadata": {"z": "9"}}
    assert api.get("/v3/volumes?metadata={'z': '9'}")["volumes"][0]["id"] == volume_id
    assert api.get("/v3/volumes?metadata={'z': '8'}")["volumes"] == []
    api.get("/v3/volumes?metadata=z", ok=400)
    updated = api.put(f"/v3/volumes/{volume_id}", {"volume": {"name": "new", "description": None}}, ok=200)["volume"]
    assert updated["name"] == "new"
    assert updated["updated_at"] is not None
    api.put(f"/v3/volumes/{volume_id}", {"volume": {"size": 5}}, ok=400)


def test_types(api: Client, work: Callable[[], int]) -> None:
    admin = api.as_("admin")
    default = api.get("/v3/types/default")["volume_type"]
    assert [t["name"] for t in api.get("/v3/types")["volume_types"]] == ["__DEFAULT__"] == [default["name"]]
    api.post("/v3/types", {"volume_type": {"name": "gold"}}, ok=403)
    gold = admin.post("/v3/types", {"volume_type": {"name": "gold", "extra_specs": {"a": "b"}}}, ok=200)["volume_type"]
    admin.post("/v3/types", {"volume_type": {"name": "gold"}}, ok=409)
    hidden = admin.post("/v3/types", {"volume_type": {"name": "h", "os-volume-type-access:is_public": False}}, ok=200)["volume_type"]
    api.get(f"/v3/types/{hidden['id']}", ok=404)
    make(api, ok=404, volume_type="h")
    assert make(api, volume_type="gold")["volume_type"] == "gold"
    assert make(api, volume_type=gold["id"])["volume_type"] == "gold"
    assert admin.put(f"/v3/types/{gold['id']}", {"volume_type": {"description": "d"}}, ok=200)["volume_type"]["description"] == "d"
    admin.put(f"/v3/types/{gold['id']}", {"volume_type": {"name": "h"}}, ok=409)
    assert admin.post(f"/v3/types/{gold['id']}/extra_specs", {"extra_specs": {"c": "d"}}, ok=200) == {"extra_specs": {"c": "d"}}
    assert api.get(f"/v3/types/{gold['id']}/extra_specs") == {"extra_specs": {"a": "b", "c": "d"}}
    assert api.get(f"/v3/types/{gold['id']}/encryption") == {}
    admin.delete(f"/v3/types/{gold['id']}", ok=400)
    admin.delete(f"/v3/types/{default['id']}", ok=400)
    admin.delete(f"/v3/types/{hidden['id']}", ok=202)
    admin.delete(f"/v3/types/{uuid.uuid4()}", ok=404)


def test_a_type_is_hidden_and_shown_by_either_name(api: Client) -> None:
    admin = api.as_("admin")
    path = f"/v3/types/{admin.post('/v3/types', {'volume_type': {'name': 'gold'}}, ok=200)['volume_type']['id']}"
    for name, value in (("os-volume-type-access:is_public", False), ("is_public", True), ("os-volume-type-access:is_public", "true")):
        assert admin.put(path, {"volume_type": {name: value}}, ok=200)["volume_type"]["is_public"] == (value is not False)
        api.get(path, ok=404 if value is False else 200)
    api.get(f"/v3/types/{uuid.uuid4()}/encryption", ok=404)


def test_one_extra_spec_of_a_type(api: Client) -> None:
    admin = api.as_("admin")
    made = admin.post("/v3/types", {"volume_type": {"name": "gold", "extra_specs": {"a": "b"}}}, ok=200)["volume_type"]
    path = f"/v3/types/{made['id']}/extra_specs"
    assert admin.put(f"{path}/c:d", {"c:d": 1}, ok=200) == {"c:d": "1"}
    assert api.get(f"{path}/c:d") == {"c:d": "1"}
    assert "'c'" in admin("PUT", f"{path}/c", {"x": "y"}, ok=400).text
    admin.delete(f"{path}/a", ok=202)
    assert api.get(path) == {"extra_specs": {"c:d": "1"}}
    assert "key a" in admin("DELETE", f"{path}/a", ok=404).text
    api.get(f"{path}/a", ok=404)
    api.delete(f"{path}/c:d", ok=403)
    admin.delete(f"/v3/types/{uuid.uuid4()}/extra_specs/a", ok=404)


def test_lists_are_filtered_sorted_and_paged(api: Client, db: Database, work: Callable[[], int]) -> None:
    for n in range(4):
        make(api, name=f"v{n}", size=n + 1)
    listed = lambda query: [v["name"] for v in api.get(f"/v3/volumes/detail?{query}")["volumes"]]  # noqa: E731
    assert listed("") == ["v3", "v2", "v1", "v0"]
    assert listed("sort=name:asc&offset=1&limit=2") == ["v1", "v2"]
    assert listed("sort_key=size&sort_dir=desc&limit=1") == ["v3"]
    assert listed("sort_key=size&limit=1") == listed("sort=size&limit=1") == ["v3"]
    assert listed("name=v2") == ["v2"]
    assert listed("status=available") == []
    assert listed("status=creating&bootable=false&sort=status:asc,name:asc") == ["v0", "v1", "v2", "v3"]
    assert listed("limit=0") == []
    page = api.get("/v3/volumes?limit=3&sort=name:asc")
    assert [v["name"] for v in page["volumes"]] == ["v0", "v1", "v2"]
    link = page["volumes_links"][0]
    assert link["rel"] == "next"
    last = api.get(link["href"].split("falconframework.org")[1])
    assert [v["name"] for v in last["volumes"]] == ["v3"]
    assert "volumes_links" not in last
    assert "volumes_links" in api.get("/v3/volumes?limit=4")
    for bad in ("sort=colour", "limit=-1", "marker=x", "bootable=maybe", "size=big"):
        api.get(f"/v3/volumes?{bad}", ok=400)
    work()
    volume_id = api.get("/v3/volumes?name=v0")["volumes"][0]["id"]
    for n in range(3):
        api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id, "name": f"s{n}"}}, ok=202)
    assert [s["name"] for s in api.get("/v3/snapshots/detail?limit=2")["snapshots"]] == ["s2", "s1"]
    for path in ("volumes/detail", "volumes", "snapshots/detail", "types"):
        counts = []
        for limit in (1, 4):
            with counted(db) as sent:
                api.get(f"/v3/{path}?limit={limit}")
            counts.append(len(sent))
        assert counts[0] == counts[1] <= 4, path


def test_small_things(api: Client) -> None:
    assert api.get("/v3/os-availability-zone")["availabilityZoneInfo"][0]["zoneName"] == "nova"
    assert "os-quota-sets" in [found["alias"] for found in api.get("/v3/extensions")["extensions"]]
    assert api.get("/v3/extensions/os-quota-sets")["extension"]["name"] == "Quotas"
    api.get("/v3/extensions/os-unicorns", ok=404)
    api.get(f"/v3/volumes/{uuid.uuid4()}", ok=404)
    api.get("/v3/volumes/not-an-id", ok=404)
    for method in ("GET", "PUT", "DELETE"):
        api(method, "/v3/volumes/", {"volume": {}} if method == "PUT" else None, ok=404)
    assert api("GET", "/v3/volumes/x", ok=404).json["itemNotFound"]["code"] == 404


def test_a_clone_that_was_half_made_is_not_taken_for_the_volume(api: Client, db: Database, blocks: Memory, work: Callable[[], int]) -> None:
    made = make(api)
    blocks.create(names.POOL, f"{names.volume_name(made['id'])}.1", 512)
    assert work() == 0
    assert VolumeStore(blocks).names_of(made["id"]) == [names.volume_name(made["id"])]
    assert VolumeStore(blocks).size(made["id"]) == names.GIB
