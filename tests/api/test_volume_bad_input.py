"""Every operation of the image and the volume API with values that do not belong there: a clear 4xx, never a 5xx."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select

import image.engine
from common.api.operation import Operation
from common.api.service import Service
from common.db import Database
from common.rbd_memory import Memory
from image.api import SERVICE as IMAGE
from image.engine.store import ImageStore
from tests.support import odd
from tests.support.api import PROJECT, Client, client
from tests.support.odd import FRESH
from tests.support.samples import sample
from volume.api import SERVICE as VOLUME
from volume.models import Attachment, Snapshot, Volume, VolumeType

ODD = [*odd.ODD, "in:", "latest"]
# An image, a member of it, a volume, a snapshot of another volume, and a volume type of this id are there.
HERE, OTHER = odd.UUID, "00000000-0000-4000-8000-000000000001"
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name=in:", "name=in:%22", "id=in:a,b", "status=in:x", "size_min=-1", "size_max=99999999999999999999", "created_at=gt:x", "created_at=lt:",
    "created_at=2026-13-01", "created_at=0001-01-01T00:00:00%2B23:59", "visibility=x", "member_status=x", "os_hidden=x", "tag=", "tag=%00",
    "protected=", "min_disk=x", "size=x", "%00=1", "a=1&a=2&a", "limit=99999999999999999999", "&&==&", "metadata=x", "metadata={}",
    "metadata={1:2}", "metadata={[]:1}", "metadata={{}:1}", "metadata={1:0x" + "f" * 5000 + "}", "metadata=" + "(" * 300, "all_tenants=x", "all_tenants=1&project_id=%00", "offset=-1", "offset=99999999999999999999",
    "bootable=x", "is_public=x", "sort=name:up", "limit=1&sort=name:desc", "usage=x", "cascade=x", "force=x", "offset=5&limit=1",
]  # fmt: skip
SERVICES = {service.name: service for service in (IMAGE, VOLUME)}
EVERY = [(service.name, operation) for service in SERVICES.values() for operation in service.operations]
WORDS, SHOWN = {"metadata": {"k": "v"}}, {"status": "available"}
# Bodies that the handlers take, by the action or the operation; for others the least that the shape takes.
GOOD: dict[str, list[Any]] = {
    "POST /images": [{"disk_format": "raw", "container_format": "bare", "visibility": "shared", "tags": ["t"]}],
    "PATCH /images/{image_id}": [[{"op": "replace", "path": "/name", "value": "n"}], [{"add": "/tags", "value": ["t"]}]],
    "POST /images/{image_id}/members": [{"member": FRESH}], "PUT /images/{image_id}/members/{member_id}": [{"status": "accepted"}],
    "POST /volumes": [{"volume": {"size": 1, **WORDS}}, {"volume": {"size": 1, "snapshot_id": HERE}}],
    "PUT /volumes/{volume_id}": [{"volume": {"name": "n", **WORDS}}],
    "POST /snapshots": [{"snapshot": {"volume_id": HERE, **WORDS}}], "PUT /snapshots/{snapshot_id}": [{"snapshot": {"name": "n", **WORDS}}],
    "os-extend": [{"os-extend": {"new_size": 2}}], "os-reset_status": [{"os-reset_status": SHOWN}],
    "os-set_image_metadata": [{"os-set_image_metadata": WORDS}], "os-unset_image_metadata": [{"os-unset_image_metadata": {"key": "k"}}],
    **{f"{method} /{noun}s/{{{noun}_id}}/metadata": [WORDS] for method in ("POST", "PUT") for noun in ("volume", "snapshot")},
    **{f"PUT /{noun}s/{{{noun}_id}}/metadata/{{key}}": [{"meta": {HERE: "v"}}] for noun in ("volume", "snapshot")},
    "POST /types": [{"volume_type": {"name": FRESH, "extra_specs": {"k": "v"}}}], "PUT /types/{type_id}": [{"volume_type": {"name": FRESH}}],
    "POST /types/{type_id}/extra_specs": [{"extra_specs": {"k": "v"}}], "PUT /types/{type_id}/extra_specs/{key}": [{HERE: "v"}],
    "PUT /os-quota-sets/{target_id}": [{"quota_set": {"volumes": 5}}],
}  # fmt: skip
# What the volume shows before an action; nothing for others.
BEFORE = {"os-unreserve": "attaching", "os-roll_detaching": "detaching"}


def title(value: Any) -> str:
    return odd.title(value) if isinstance(value, Operation) else str(value)


@pytest.fixture
def ask(db: Database) -> Iterator[dict[str, Client]]:
    image.engine.use(ImageStore(Memory()))
    clients = {name: client(service, db).as_("admin") for name, service in SERVICES.items()}
    clients["image"]("POST", "/v2/images", {"id": HERE, "disk_format": "raw", "container_format": "bare"}, ok=201)
    clients["image"]("POST", f"/v2/images/{HERE}/members", {"member": HERE}, ok=200)
    clients["volume"](
        "PUT", f"/v3/os-quota-sets/{PROJECT}", {"quota_set": dict.fromkeys(("volumes", "snapshots", "gigabytes"), -1)}, ok=200
    )
    with db.transaction() as tx:
        type_id = tx.execute(select(VolumeType.id)).scalar_one()
        owned = {"project_id": PROJECT, "user_id": "u", "size_gib": 1, "observed_generation": 1}
        tx.add_all(
            [VolumeType(id=HERE, name="t"), *(Volume(id=id, type_id=type_id, availability_zone="nova", **owned) for id in (HERE, OTHER))]
        )
        tx.flush()
        tx.add(Snapshot(id=HERE, volume_id=OTHER, **owned))
    yield clients
    image.engine.use(None)


def path_of(service: Service, operation: Operation, value: str = "none") -> str:
    return service.prefixes[-1] + re.sub(r"\{\w+\}", value, operation.path)


def as_before(db: Database, action: str) -> None:
    """Take back what actions do to the volume and the snapshot."""
    with db.transaction() as tx:
        for row in (tx.get_one(Volume, HERE), tx.get_one(Snapshot, HERE)):
            row.size_gib, row.desired, row.observed_generation, row.label = 1, "present", row.generation, BEFORE.get(action)
        volume = tx.get_one(Volume, HERE)
        volume.observed_gib, volume.image_meta = 1, {"k": "v"}
        tx.execute(delete(Attachment))
        if action == "os-begin_detaching":
            tx.add(Attachment(volume_id=HERE, server_id=OTHER, device="vdb", mountpoint="/dev/vdb", observed_generation=1))


def refused_badly(answer: Any) -> bool:
    return bool(answer.status_code >= 500 or (answer.status_code >= 400 and not answer.content))


@pytest.mark.parametrize(("name", "operation"), [pair for pair in EVERY if pair[1].body is not None], ids=title)
def test_bodies(ask: dict[str, Client], db: Database, name: str, operation: Operation) -> None:
    assert operation.body is not None
    service, wrong = SERVICES[name], []
    path = path_of(service, operation, HERE)
    starts = GOOD.get(operation.body_key or f"{operation.method} {operation.path}") or [sample(operation.body.shape)]
    bodies = [*starts, *ODD, *([value] for value in ODD), *odd.bodies(operation, starts, ODD)]
    if operation.method == "PATCH":
        bodies += [
            [{"op": op, "path": f"/{key}", "value": value}] for value in ODD for op in ("add", "replace") for key in ("name", "tags", "x")
        ]
    media = "application/openstack-images-v2.1-json-patch" if operation.method == "PATCH" else "application/json"
    for turn, body in enumerate(bodies):
        if name == "volume" and operation.body_key:
            as_before(db, operation.body_key)
        answer = ask[name](operation.method, path, raw=odd.fresh(json.dumps(body)).encode(), headers={"Content-Type": media})
        assert turn >= len(starts) or answer.status_code < 300, (
            f"It does not take what odd values are to be put into, {body}: {answer.text}"
        )
        if refused_badly(answer):
            wrong.append((body, answer.status_code, answer.text))
    assert not wrong


@pytest.mark.parametrize(("name", "operation"), [pair for pair in EVERY if "{" in pair[1].path], ids=title)
def test_paths(ask: dict[str, Client], name: str, operation: Operation) -> None:
    wrong = []
    for value in odd.PATHS:
        body = {operation.body_key: {}} if operation.body_key else {}
        answer = ask[name](operation.method, path_of(SERVICES[name], operation, value), raw=json.dumps(body).encode())
        if refused_badly(answer):
            wrong.append((value, answer.status_code, answer.text))
    assert not wrong


@pytest.mark.parametrize(("name", "operation"), [pair for pair in EVERY if pair[1].method == "GET" and "{" not in pair[1].path], ids=title)
def test_queries(ask: dict[str, Client], name: str, operation: Operation) -> None:
    wrong = []
    for query in QUERIES:
        answer = ask[name]("GET", f"{path_of(SERVICES[name], operation)}?{query}")
        if refused_badly(answer):
            wrong.append((query, answer.status_code, answer.text))
    assert not wrong
