"""Volumes at servers: attach, detach, refuse, boot from, and what goes with a server."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select, text, update

from common.db import Database
from common.models import Job
from compute.agent.domain_xml import SPARE_PORTS
from image.models import Image
from tests.support.compute import World, as_wished, volume_type
from volume.models import Attachment, Volume


def attachments(db: Database) -> list[Attachment]:
    return db.run(lambda tx: list(tx.execute(select(Attachment)).scalars()))


def attach(cloud: World, server_id: str, volume_id: str, ok: int = 200, **more) -> dict:
    body = {"volumeAttachment": {"volumeId": volume_id, **more}}
    return cloud.api.post(f"/v2.1/servers/{server_id}/os-volume_attachments", body, ok=ok)


def test_a_volume_comes_and_goes(cloud: World) -> None:
    server_id, volume_id = cloud.active(), cloud.volume()
    path = f"/v2.1/servers/{server_id}/os-volume_attachments"
    made = attach(cloud, server_id, volume_id)["volumeAttachment"]
    assert made == {"id": volume_id, "volumeId": volume_id, "serverId": server_id, "device": "/dev/vdb"}
    assert "already attached" in attach(cloud, server_id, volume_id, ok=400)["badRequest"]["message"]
    assert attachments(cloud.db)[0].observed_generation == 0
    cloud.settle()
    assert attachments(cloud.db)[0].observed_generation == attachments(cloud.db)[0].generation
    disks = cloud.agents[0].document["servers"][0]["disks"]
    assert [(d["device"], d["boot"], d["pool"], d["image"]) for d in disks][1] == ("vdb", False, "volumes", f"volume-{volume_id}")
    assert cloud.api.get(path)["volumeAttachments"] == [made]
    assert cloud.api.get(f"{path}/{volume_id}")["volumeAttachment"] == made
    assert cloud.show(server_id)["os-extended-volumes:volumes_attached"] == [{"id": volume_id}]
    cloud.api.delete(f"{path}/{volume_id}", ok=202)
    cloud.api.delete(f"{path}/{volume_id}", ok=400)
    assert len(attachments(cloud.db)) == 1
    cloud.settle()
    assert attachments(cloud.db) == []
    cloud.api("GET", f"{path}/{volume_id}", ok=404)
    assert [d["device"] for d in cloud.agents[0].pull()["servers"][0]["disks"]] == ["vda"]


def test_a_guest_may_keep_its_disk(cloud: World) -> None:
    server_id, volume_id = cloud.active(), cloud.volume()
    attach(cloud, server_id, volume_id)
    cloud.settle()
    cloud.api.delete(f"/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}", ok=202)
    agent = cloud.agents[0]
    agent.pull()
    said = as_wished(agent.document["servers"][0])
    said["disks"][1]["state"] = "refused"
    agent.report(said)
    assert attachments(cloud.db)[0].desired == "present"
    stale = {**said, "disks": [said["disks"][0], {**said["disks"][1], "state": "absent"}]}
    agent.report(stale)
    assert len(attachments(cloud.db)) == 1


def test_an_old_report_of_absence_does_not_detach(cloud: World) -> None:
    server_id, volume_id = cloud.active(), cloud.volume()
    agent = cloud.agents[0]
    attach(cloud, server_id, volume_id)
    agent.pull()
    before = as_wished(agent.document["servers"][0])
    before["disks"][1]["state"] = "absent"
    cloud.api.delete(f"/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}", ok=202)
    agent.report(before)
    assert len(attachments(cloud.db)) == 1


def test_attach_is_refused_where_it_cannot_be(cloud: World) -> None:
    server_id, volume_id = cloud.create()["id"], cloud.volume()
    assert "vm_state building" in attach(cloud, server_id, volume_id, ok=409)["conflictingRequest"]["message"]
    cloud.settle()
    attach(cloud, server_id, "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f", ok=404)
    attach(cloud, server_id, "nonsense", ok=400)
    attach(cloud, server_id, cloud.volume(project_id="9" * 32), ok=404)
    attach(cloud, server_id, volume_id, ok=409, device="/dev/vda")
    assert attach(cloud, server_id, volume_id, device="/dev/vdd")["volumeAttachment"]["device"] == "/dev/vdd"
    other = cloud.active()
    assert "available" in attach(cloud, other, volume_id, ok=400)["badRequest"]["message"]


def test_volumes_outlive_their_server_unless_asked(cloud: World) -> None:
    kept, gone = cloud.volume(), cloud.volume()
    cloud.blocks.create("volumes", f"volume-{gone}", 1)
    devices = [
        {"source_type": "image", "destination_type": "local", "uuid": cloud.image_id, "boot_index": 0},
        {"source_type": "volume", "destination_type": "volume", "uuid": kept, "boot_index": -1},
        {"source_type": "volume", "destination_type": "volume", "uuid": gone, "delete_on_termination": True},
    ]
    server_id = cloud.active(block_device_mapping_v2=devices)
    assert [d["device"] for d in cloud.agents[0].document["servers"][0]["disks"]] == ["vda", "vdb", "vdc"]
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert attachments(cloud.db) == []
    assert cloud.db.run(lambda tx: list(tx.execute(select(Volume.id)).scalars())) == [kept]
    assert cloud.blocks.names("volumes") == []


def test_boot_from_volumes(cloud: World) -> None:
    cloud.db.run(volume_type)
    root = cloud.volume(bootable=True)
    devices = [{"source_type": "volume", "destination_type": "volume", "uuid": root, "boot_index": 0}]
    server_id = cloud.active(imageRef="", block_device_mapping_v2=devices)
    disks = cloud.agents[0].document["servers"][0]["disks"]
    assert [(d["device"], d["boot"], d["image"]) for d in disks] == [("vda", True, f"volume-{root}")]
    assert cloud.show(server_id)["image"] == ""
    assert cloud.blocks.names("vms") == []
    answer = cloud.api("DELETE", f"/v2.1/servers/{server_id}/os-volume_attachments/{root}", ok=400)
    assert "root device" in answer.text
    plain = [{"source_type": "volume", "destination_type": "volume", "uuid": cloud.volume(), "boot_index": 0}]
    assert "not bootable" in cloud.create(ok=400, imageRef="", block_device_mapping_v2=plain)


def test_a_root_volume_beside_an_image_boots_and_the_image_is_judged(cloud: World) -> None:
    cloud.db.run(volume_type)
    root = cloud.volume(bootable=True)
    device = {"source_type": "volume", "destination_type": "volume", "uuid": root, "boot_index": 0}
    assert "Can not find" in cloud.create(ok=400, imageRef=str(uuid.uuid4()), block_device_mapping_v2=[device])
    cloud.db.run(lambda tx: tx.execute(update(Image).values(min_ram=2**20)))
    assert "memory is too small" in cloud.create(ok=400, imageRef=cloud.image_id, block_device_mapping_v2=[device])
    cloud.db.run(lambda tx: tx.execute(update(Image).values(min_ram=0)))
    server_id = cloud.active(imageRef=cloud.image_id, block_device_mapping_v2=[device])
    assert [d["image"] for d in cloud.agents[0].document["servers"][0]["disks"]] == [f"volume-{root}"]
    assert (cloud.show(server_id)["image"], cloud.blocks.names("vms")) == ("", [])


@pytest.mark.parametrize(
    ("first", "indexes", "ok"),
    [
        ("image", [0], True), ("image", [None, -1], True), ("image", [1, 2], True), ("image", [0, 1], True), ("local", [1], True), ("", [0, 1], True),
        ("local", [0], False), ("image", [0, 0], False), ("image", [2], False), ("image", [0, 2], False), ("", [0, 1, 1], False), ("", [1], False),
    ],
)  # fmt: skip
def test_boot_indexes_count_up_from_0_each_once(cloud: World, first: str, indexes: list[int | None], ok: bool) -> None:
    cloud.db.run(volume_type)
    local = {"source_type": "image", "destination_type": "local", "uuid": cloud.image_id, "boot_index": 0}
    devices = [
        {"source_type": "volume", "destination_type": "volume", "uuid": cloud.volume(bootable=True), "boot_index": index}
        for index in indexes
    ]
    devices = [local, *devices] if first == "local" else devices
    said = cloud.create(ok=202 if ok else 400, imageRef=cloud.image_id if first else "", block_device_mapping_v2=devices)
    assert ok or "Boot sequence" in said


def test_a_local_image_is_that_of_image_ref(cloud: World) -> None:
    local = {"source_type": "image", "destination_type": "local", "uuid": cloud.image_id, "boot_index": 0}
    assert "Mapping image to local is not supported" in cloud.create(ok=400, imageRef="", block_device_mapping_v2=[local])
    assert "not the one of imageRef" in cloud.create(ok=400, block_device_mapping_v2=[{**local, "uuid": str(uuid.uuid4())}])
    cloud.create(block_device_mapping_v2=[local])


def test_a_volume_is_made_from_the_image_and_booted(cloud: World) -> None:
    cloud.db.run(volume_type)
    device = {"source_type": "image", "destination_type": "volume", "uuid": cloud.image_id, "boot_index": 0, "delete_on_termination": True}
    assert "non-zero size" in cloud.create(ok=400, imageRef="", block_device_mapping_v2=[device])
    server_id = cloud.active(imageRef="", block_device_mapping_v2=[{**device, "volume_size": 1}])
    volume_id = cloud.show(server_id)["os-extended-volumes:volumes_attached"][0]["id"]
    assert cloud.blocks.names("volumes") == [f"volume-{volume_id}"]
    assert cloud.row(server_id).root_gib == 0
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert cloud.blocks.names("volumes") == []
    assert cloud.jobs() == []


def test_a_volume_that_is_still_being_made_goes_with_its_server(cloud: World) -> None:
    cloud.db.run(volume_type)
    device = {"source_type": "image", "destination_type": "volume", "uuid": cloud.image_id, "boot_index": 0, "volume_size": 1}
    server_id = cloud.create(imageRef="", block_device_mapping_v2=[{**device, "delete_on_termination": True}])["id"]
    later = update(Job).where(Job.kind == "volume.create").values(due_at=text("'infinity'"))
    cloud.db.run(lambda tx: tx.execute(later))
    cloud.work()
    cloud.api.delete(f"/v2.1/servers/{server_id}")
    cloud.settle()
    assert cloud.db.run(lambda tx: tx.execute(select(Volume.id)).all()) == []
    assert cloud.jobs() == []


def test_a_failed_request_makes_no_volume(cloud: World) -> None:
    cloud.db.run(volume_type)
    good = {"source_type": "blank", "destination_type": "volume", "volume_size": 1}
    bad = {"source_type": "volume", "destination_type": "volume", "uuid": "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"}
    local = {"source_type": "image", "destination_type": "local", "uuid": cloud.image_id, "boot_index": 0}
    assert "failed to get volume" in cloud.create(ok=400, block_device_mapping_v2=[local, good, bad])
    assert cloud.db.run(lambda tx: tx.execute(select(Volume.id)).all()) == []
    assert "local blank disk" in cloud.create(
        ok=400, block_device_mapping_v2=[local, {"source_type": "blank", "destination_type": "local"}]
    )


def test_a_server_takes_as_many_disks_as_it_has_ports_for(cloud: World) -> None:
    cloud.db.run(volume_type)
    server_id = cloud.active()
    for _ in range(SPARE_PORTS):
        attach(cloud, server_id, cloud.volume())
    said = attach(cloud, server_id, cloud.volume(), ok=403)["forbidden"]["message"]
    assert said == "The maximum allowed number of disk devices (17) to attach to a single instance has been exceeded."
    attach(cloud, server_id, cloud.volume(), ok=403, device="/dev/vdz")
    local = {"source_type": "image", "destination_type": "local", "uuid": cloud.image_id, "boot_index": 0}
    blanks = [{"source_type": "blank", "destination_type": "volume", "volume_size": 1} for _ in range(SPARE_PORTS + 1)]
    assert "a server takes 17 disks" in cloud.create(ok=400, block_device_mapping_v2=[local, *blanks])


def volumes(cloud: World, count: int, **first: object) -> list[dict]:
    """As many volumes of one's own in a request for a server; `first` is said of the first."""
    made = [
        {"source_type": "volume", "destination_type": "volume", "uuid": cloud.volume(bootable=True), "boot_index": -1} for _ in range(count)
    ]
    return [{**made[0], **first}, *made[1:]]


def test_a_server_booted_from_a_volume_takes_as_many_disks_as_one_with_a_root_of_its_own(cloud: World) -> None:
    most = SPARE_PORTS + 1
    for root, image_id in ((1, ""), (0, cloud.image_id)):
        first = {"boot_index": 0} if root else {}
        refused = cloud.create(ok=400, imageRef=image_id, block_device_mapping_v2=volumes(cloud, most + root, **first))
        assert refused == f"Block Device Mapping is Invalid: a server takes {most} disks, its root included."
        server_id = cloud.active(imageRef=image_id, block_device_mapping_v2=volumes(cloud, most + root - 1, **first))
        disks = cloud.agents[0].document["servers"][-1]["disks"]
        assert {disk["device"] for disk in disks} == {f"vd{letter}" for letter in "abcdefghijklmnopq"}
        assert attach(cloud, server_id, cloud.volume(), ok=403)
        cloud.api.delete(f"/v2.1/servers/{server_id}")
        cloud.settle()


def test_a_volume_as_root_leaves_room_for_as_many_others(cloud: World) -> None:
    server_id = cloud.active(imageRef="", block_device_mapping_v2=volumes(cloud, 1, boot_index=0))
    for _ in range(SPARE_PORTS):
        attach(cloud, server_id, cloud.volume())
    attach(cloud, server_id, cloud.volume(), ok=403)
