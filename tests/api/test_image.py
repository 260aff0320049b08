"""The image API on a real PostgreSQL and the in-memory store, as its clients use it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

import image.engine
from common.db import Database
from common.rbd import BlockStore
from common.rbd_memory import Memory
from image.api import SERVICE
from image.engine.convert import Converter
from image.engine.store import ImageStore
from image.flows import image_data, image_delete
from tests.support.api import OTHER_PROJECT, PROJECT, Client, client, counted
from tests.support.image import FakeConverter, tiny_qcow2
from tests.support.work import run_jobs

FLOWS = [image_data.FLOW, image_delete.FLOW]
BINARY = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
RAW = {"name": "cirros", "disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def store() -> Iterator[ImageStore]:
    made = ImageStore(Memory())
    image.engine.use(made)
    yield made
    image.engine.use(None)


@pytest.fixture
def api(db: Database, store: ImageStore) -> Client:
    return client(SERVICE, db)


@pytest.fixture
def work(db: Database, store: ImageStore) -> Callable[[], int]:
    return lambda: run_jobs(db, FLOWS, (BlockStore, store.blocks), (Converter, FakeConverter(store)))


def make(api: Client, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.post("/v2/images", {**RAW, **body}, ok=201)
    return made


def put(api: Client, image_id: str, data: bytes, ok: int = 204) -> Any:
    return api("PUT", f"/v2/images/{image_id}/file", raw=data, headers=BINARY, ok=ok)


def test_versions_need_no_token(api: Client) -> None:
    for path, status in (("/", 300), ("/versions", 200), ("/v2", 200), ("/v2/", 200)):
        body = api.as_(None)("GET", path, ok=status).json
        assert body["versions"][0] == {
            "id": "v2.5",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://falconframework.org/v2/"}],
        }


def test_from_creation_to_deletion(api: Client, store: ImageStore, work: Callable[[], int]) -> None:
    data = bytes(range(256)) * 100 + b"tail"
    made = make(api, os_version="12", tags=["b", "a"])
    assert made["status"] == "queued"
    assert made["os_version"] == "12"
    assert made["tags"] == ["a", "b"]
    assert made["size"] is None
    assert made["visibility"] == "shared"
    assert api("GET", f"/v2/images/{made['id']}/file").status_code == 204
    put(api, made["id"], data)
    shown = api.get(f"/v2/images/{made['id']}")
    assert shown["status"] == "active"
    assert shown["size"] == len(data)
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    answer = api("GET", f"/v2/images/{made['id']}/file", ok=200)
    assert answer.content == data
    assert answer.headers["Content-MD5"] == shown["checksum"]
    assert answer.headers["Content-Length"] == str(len(data))
    assert work() == 0
    assert store.names_of(made["id"]) == [made["id"]]
    api.delete(f"/v2/images/{made['id']}")
    api("GET", f"/v2/images/{made['id']}", ok=404)
    assert work() == 0
    assert store.names_of(made["id"]) == []


def test_a_qcow2_image_gets_a_raw_twin_and_stays_itself(api: Client, store: ImageStore, work: Callable[[], int]) -> None:
    data = tiny_qcow2(4 << 20)
    made = make(api, disk_format="qcow2")
    put(api, made["id"], data)
    assert work() == 0
    assert store.has_twin(made["id"])
    shown = api.get(f"/v2/images/{made['id']}")
    assert (shown["disk_format"], shown["size"], shown["virtual_size"]) == ("qcow2", len(data), 4 << 20)
    assert api("GET", f"/v2/images/{made['id']}/file", ok=200).content == data
    api.delete(f"/v2/images/{made['id']}")
    assert work() == 0
    assert store.names_of(made["id"]) == []


def test_a_conversion_that_fails_is_told_and_can_be_deleted(api: Client, db: Database, store: ImageStore) -> None:
    made = make(api, disk_format="qcow2")
    put(api, made["id"], tiny_qcow2(1 << 20))
    failing = FakeConverter(store, failure="corrupt")
    assert run_jobs(db, FLOWS, (BlockStore, store.blocks), (Converter, failing)) == 0
    assert failing.begun == 3
    assert not store.has_twin(made["id"])
    api.delete(f"/v2/images/{made['id']}")
    assert run_jobs(db, FLOWS, (BlockStore, store.blocks), (Converter, failing)) == 0
    assert store.names_of(made["id"]) == []


@pytest.mark.parametrize(
    ("asked", "status", "expected", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"), ("bytes=8-", 206, b"89", "bytes 8-9/10"), ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-99", 200, b"0123456789", None), ("bytes=10-", 416, None, "bytes */10"), ("bytes=5-2", 416, None, None),
        ("lines=1-2", 400, None, None), ("bytes=-", 400, None, None),
    ],
)  # fmt: skip
def test_ranges(api: Client, asked: str, status: int, expected: bytes | None, content_range: str | None) -> None:
    made = make(api)
    put(api, made["id"], b"0123456789")
    answer = api("GET", f"/v2/images/{made['id']}/file", headers={"Range": asked}, ok=status)
    if expected is not None:
        assert answer.content == expected
    if content_range:
        assert answer.headers["Content-Range"] == content_range


def test_an_upload_that_is_refused_leaves_nothing_and_can_be_repeated(api: Client, store: ImageStore, work: Callable[[], int]) -> None:
    made = make(api)
    answer = put(api, made["id"], tiny_qcow2(1 << 20) + bytes(2 << 20), ok=400)
    assert "Image content is qcow2; it does not match the declared disk_format raw" in answer.text
    assert api.get(f"/v2/images/{made['id']}")["status"] == "queued"
    put(api, made["id"], b"now raw")
    assert api("GET", f"/v2/images/{made['id']}/file").content == b"now raw"
    assert work() == 0
    assert store.names_of(made["id"]) == [f"{made['id']}.2"]


def test_an_upload_whose_process_died_is_swept(api: Client, db: Database, store: ImageStore, work: Callable[[], int]) -> None:
    from image.service import data
    from tests.support.api import actor

    made = make(api)
    ticket = db.run(lambda tx: data.begin(tx, actor(), made["id"]))
    store.blocks.create(store.pool, ticket.data, 512)
    assert api.get(f"/v2/images/{made['id']}")["status"] == "saving"
    assert [i["id"] for i in api.get("/v2/images?status=saving")["images"]] == [made["id"]]
    put(api, made["id"], b"x", ok=409)
    db.run(lambda tx: tx.execute(text("UPDATE image.image SET upload_until = common.now() - interval '1 second'")))
    assert api.get(f"/v2/images/{made['id']}")["status"] == "queued"
    assert work() == 0
    assert store.names_of(made["id"]) == []
    put(api, made["id"], b"x")


def test_after_a_restore_nothing_is_swept_until_an_operator_says_so(api: Client, db: Database, store: ImageStore) -> None:
    from common import epoch
    from image.service import data
    from tests.support.api import actor

    made = make(api)
    ticket = db.run(lambda tx: data.begin(tx, actor(), made["id"]))
    put_back = b"written after the backup"
    with store.upload(ticket.data, len(put_back)) as upload:
        upload.append(put_back)
    db.run(epoch.restored)
    db.run(lambda tx: tx.execute(text("UPDATE image.image SET upload_until = NULL")))
    engines = (BlockStore, store.blocks), (Converter, FakeConverter(store))
    assert run_jobs(db, FLOWS, *engines, most=20) == 1
    assert store.names_of(made["id"]) == [ticket.data]
    db.run(epoch.resume_sweeping)
    assert run_jobs(db, FLOWS, *engines) == 0
    assert store.names_of(made["id"]) == []


def test_an_image_deleted_while_it_is_uploaded_leaves_nothing(
    api: Client, db: Database, store: ImageStore, work: Callable[[], int]
) -> None:
    from common.errors import Gone
    from image.service import data
    from tests.support.api import actor

    made = make(api)
    ticket = db.run(lambda tx: data.begin(tx, actor(), made["id"]))
    api.delete(f"/v2/images/{made['id']}")

    import io

    with pytest.raises(Gone):
        data.receive(db, ticket, io.BytesIO(b"late"), 4)
    assert store.names_of(made["id"]) == [made["id"]]
    assert work() == 0
    assert store.names_of(made["id"]) == []


def test_an_upload_needs_formats_a_type_and_an_image_without_data(api: Client) -> None:
    made = make(api, disk_format=None)
    assert "disk_format" in put(api, made["id"], b"x", ok=400).text
    made = make(api)
    api("PUT", f"/v2/images/{made['id']}/file", raw=b"x", ok=415)
    put(api, made["id"], b"x")
    put(api, made["id"], b"y", ok=409)
    put(api, str(uuid.uuid4()), b"y", ok=404)
    put(api, make(api)["id"], b"", ok=400)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"disk_format": "vmdk"}, 400, "vmdk"), ({"container_format": "ova"}, 400, "ova"), ({"visibility": "secret"}, 400, "secret"),
        ({"min_disk": -1}, 400, "min_disk"), ({"min_disk": "x"}, 400, "min_disk"), ({"id": "not-a-uuid"}, 400, "not-a-uuid"),
        ({"status": "active"}, 403, "status"), ({"size": 5}, 403, "size"), ({"owner": OTHER_PROJECT}, 403, "owner"),
        ({"visibility": "public"}, 403, "publicize"), ({"extra": 5}, 400, "extra"), ({"name": "x" * 256}, 400, "name"),
        ({f"p{n}": "v" for n in range(129)}, 413, "128"), ({"tags": ["x" * 256]}, 400, "tags"), ({"protected": "yes"}, 400, "protected"),
        ({"name": "nul\0"}, 400, "NUL"),
    ],
)  # fmt: skip
def test_creation_refuses(api: Client, body: dict[str, Any], status: int, word: str) -> None:
    answer = api("POST", "/v2/images", body, ok=status)
    assert word in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_an_id_of_ones_own_is_taken_once(api: Client) -> None:
    mine = str(uuid.uuid4())
    assert make(api, id=mine)["id"] == mine
    api("POST", "/v2/images", {"id": mine}, ok=409)


def patched(api: Client, image_id: str, *changes: dict[str, Any], ok: int = 200) -> Any:
    return api("PATCH", f"/v2/images/{image_id}", list(changes), headers=PATCH, ok=ok).json if ok == 200 else api(
        "PATCH", f"/v2/images/{image_id}", list(changes), headers=PATCH, ok=ok
    )  # fmt: skip


def test_changes(api: Client) -> None:
    made = make(api, hw="a")
    after = patched(
        api, made["id"], {"op": "replace", "path": "/name", "value": "new"}, {"op": "add", "path": "/os_distro", "value": "debian"},
        {"op": "remove", "path": "/hw"}, {"op": "replace", "path": "/tags", "value": ["x", "x"]}, {"replace": "/min_ram", "value": 64},
        {"op": "add", "path": "/with~1slash", "value": "v"}, {"op": "replace", "path": "/protected", "value": True},
    )  # fmt: skip
    assert (after["name"], after["os_distro"], after["tags"], after["min_ram"], after["with/slash"]) == ("new", "debian", ["x"], 64, "v")
    assert "hw" not in after
    assert after["updated_at"] >= after["created_at"]
    api.delete(f"/v2/images/{made['id']}", ok=403)
    patched(api, made["id"], {"op": "replace", "path": "/protected", "value": False})
    api.delete(f"/v2/images/{made['id']}")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403), ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409), ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403), ({"op": "replace", "path": "/owner", "value": OTHER_PROJECT}, 403),
        ({"op": "replace", "path": "/disk_format", "value": "iso"}, 400), ({"op": "add", "path": "/name"}, 400),
        ({"op": "move", "path": "/name"}, 400), ({"op": "add", "path": "/a/b", "value": "x"}, 400), ({"op": "add", "path": "/x", "value": 1}, 400),
        ({"op": "replace", "path": "/visibility", "value": None}, 400), ({"op": "replace", "path": "/tags", "value": "x"}, 400),
    ],
)  # fmt: skip
def test_changes_that_are_refused(api: Client, change: dict[str, Any], status: int) -> None:
    patched(api, make(api)["id"], change, ok=status)


def test_a_patch_needs_its_media_type_and_a_queued_image_for_formats(api: Client) -> None:
    made = make(api)
    api("PATCH", f"/v2/images/{made['id']}", [], ok=415)
    put(api, made["id"], b"x")
    patched(api, made["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"}, ok=403)


def test_who_sees_what(api: Client) -> None:
    admin, other = api.as_("admin"), api.as_(f"member@{OTHER_PROJECT}")
    public = admin.post("/v2/images", {**RAW, "name": "pub", "visibility": "public"}, ok=201)
    private, shared, community = (make(api, name=v, visibility=v) for v in ("private", "shared", "community"))
    assert {i["name"] for i in api.get("/v2/images")["images"]} == {"pub", "private", "shared", "community"}
    assert {i["name"] for i in other.get("/v2/images")["images"]} == {"pub"}
    assert {i["name"] for i in other.get("/v2/images?visibility=community")["images"]} == {"community"}
    other.get(f"/v2/images/{community['id']}")
    for hidden in (private, shared):
        other("GET", f"/v2/images/{hidden['id']}", ok=404)
        other.delete(f"/v2/images/{hidden['id']}", ok=404)
    for seen in (public, community):
        other.delete(f"/v2/images/{seen['id']}", ok=403)
        patched(other, seen["id"], {"op": "replace", "path": "/name", "value": "mine"}, ok=403)
        put(other, seen["id"], b"x", ok=403)
    api.as_("reader")("POST", "/v2/images", RAW, ok=403)
    assert len(admin.get("/v2/images?visibility=all")["images"]) == 4


def test_sharing(api: Client) -> None:
    other = api.as_(f"member@{OTHER_PROJECT}")
    made = make(api)
    path = f"/v2/images/{made['id']}/members"
    assert api.post(path, {"member": OTHER_PROJECT}, ok=200)["status"] == "pending"
    api("POST", path, {"member": OTHER_PROJECT}, ok=409)
    other.get(f"/v2/images/{made['id']}")
    assert other.get("/v2/images")["images"] == []
    assert len(other.get("/v2/images?member_status=pending")["images"]) == 1
    api("PUT", f"{path}/{OTHER_PROJECT}", {"status": "accepted"}, ok=403)
    other("PUT", f"{path}/{OTHER_PROJECT}", {"status": "maybe"}, ok=400)
    assert other.put(f"{path}/{OTHER_PROJECT}", {"status": "accepted"}, ok=200)["status"] == "accepted"
    assert len(other.get("/v2/images")["images"]) == 1
    as_the_cli = {"member": OTHER_PROJECT, "status": "rejected"}  # what `image set --reject` sends
    assert other.put(f"{path}/{OTHER_PROJECT}", as_the_cli, ok=200)["status"] == "rejected"
    assert other.get("/v2/images")["images"] == []
    other.put(f"{path}/{OTHER_PROJECT}", {**as_the_cli, "status": "accepted"}, ok=200)
    assert len(other.get("/v2/images?visibility=shared")["images"]) == 1
    other.delete(f"{path}/{OTHER_PROJECT}", ok=403)
    assert [m["member_id"] for m in api.get(path)["members"]] == [OTHER_PROJECT]
    assert api.get(f"{path}/{OTHER_PROJECT}") == api.get(path)["members"][0]
    api.delete(f"{path}/{OTHER_PROJECT}")
    other("GET", f"/v2/images/{made['id']}", ok=404)
    other("GET", path, ok=404)


@pytest.mark.parametrize("query", ["visibility=x", "member_status=x", "member_status=", "visibility=shared&member_status=ALL"])
def test_a_list_of_images_of_no_known_kind_is_400(api: Client, query: str) -> None:
    assert query.rpartition("=")[0].rpartition("&")[2] in api("GET", f"/v2/images?{query}", ok=400).text


@pytest.mark.parametrize(("tag", "ok"), [("", 400), ("x" * 256, 400), ("x" * 255, 204), ("%F0%9F%92%A9", 204)])
def test_a_tag_in_the_path_has_1_to_255_characters(api: Client, tag: str, ok: int) -> None:
    path = f"/v2/images/{make(api)['id']}/tags/{tag}"
    api("PUT", path, ok=ok)
    api.delete(path, ok=ok)


def test_lists_are_filtered_sorted_and_paged(api: Client, db: Database) -> None:
    for n in range(5):
        make(api, name=f"i{n}", tags=["even" if n % 2 == 0 else "odd"], min_disk=n, flavour=f"f{n}")
    names = lambda query: [i["name"] for i in api.get(f"/v2/images?{query}")["images"]]  # noqa: E731
    assert names("") == ["i4", "i3", "i2", "i1", "i0"]
    assert names("sort=name:asc") == ["i0", "i1", "i2", "i3", "i4"]
    assert names("sort_key=name") == names("sort=name") == names("visibility=&sort_dir=desc") == ["i4", "i3", "i2", "i1", "i0"]
    assert names("sort_key=min_disk&sort_dir=desc&limit=2") == ["i4", "i3"]
    assert names("tag=even&sort=name:asc") == ["i0", "i2", "i4"]
    assert names("name=i3") == ["i3"]
    assert names('name=in:i1,"i2"&sort=name:asc') == ["i1", "i2"]
    assert names("flavour=f2") == ["i2"]
    assert names("status=active") == []
    assert names("created_at=gt:2020-01-01T00:00:00Z&limit=1") == ["i4"]
    assert names("limit=0") == []
    assert names("os_hidden=true") == []
    page = api.get("/v2/images?limit=2&sort=name:asc")
    seen = [i["name"] for i in page["images"]]
    assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
    while "next" in page:
        page = api.get(page["next"])
        seen += [i["name"] for i in page["images"]]
    assert seen == ["i0", "i1", "i2", "i3", "i4"]
    for bad in ("sort=bogus", "limit=x", "created_at=soon", "size_min=big", f"marker={uuid.uuid4()}", "protected=perhaps"):
        api("GET", f"/v2/images?{bad}", ok=400)
    counts = []
    for limit in (1, 5):
        with counted(db) as sent:
            api.get(f"/v2/images?limit={limit}")
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 3


def test_tags_schemas_and_names_that_are_no_ids(api: Client) -> None:
    made = make(api)
    api.put(f"/v2/images/{made['id']}/tags/blue", ok=204)
    api.put(f"/v2/images/{made['id']}/tags/blue", ok=204)
    assert api.get(f"/v2/images/{made['id']}")["tags"] == ["blue"]
    api.delete(f"/v2/images/{made['id']}/tags/blue")
    api.delete(f"/v2/images/{made['id']}/tags/blue", ok=404)
    api("GET", "/v2/images/cirros", ok=404)
    for name in ("image", "images", "member", "members"):
        assert api.get(f"/v2/schemas/{name}")["name"] == name
    api("GET", "/v2/schemas/unicorn", ok=404)


def test_the_owner_is_the_tokens_project(api: Client) -> None:
    assert make(api)["owner"] == PROJECT
    assert api.as_("admin").post("/v2/images", {"owner": OTHER_PROJECT}, ok=201)["owner"] == OTHER_PROJECT


def test_an_upload_that_stood_still_stays_dead(api: Client, db: Database, store: ImageStore, work: Callable[[], int]) -> None:
    import io

    from common.errors import Gone
    from image.service import data
    from tests.support.api import actor

    expire = "UPDATE image.image SET upload_until = common.now() - interval '1 second'"
    made = make(api)
    ticket = db.run(lambda tx: data.begin(tx, actor(), made["id"]))
    db.run(lambda tx: tx.execute(text(expire)))
    with pytest.raises(Gone):
        db.run(lambda tx: data._keep(tx, ticket))

    class Slow(io.BytesIO):
        """Its last byte comes when the job has swept the others."""

        def read1(self, size: int | None = -1) -> bytes:
            piece = super().read1(size)
            if not piece:
                db.run(lambda tx: tx.execute(text(expire)))
                work()
            return piece

    db.run(lambda tx: tx.execute(text("UPDATE image.image SET upload_until = NULL")))
    ticket = db.run(lambda tx: data.begin(tx, actor(), made["id"]))
    with pytest.raises(Gone):
        data.receive(db, ticket, Slow(b"too late"), 8)
    assert api.get(f"/v2/images/{made['id']}")["status"] == "queued"
    assert work() == 0
    assert store.names_of(made["id"]) == []


def test_a_sweep_takes_nothing_of_an_upload_that_ended_since_the_row_was_read(
    api: Client, db: Database, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from image.models import Image

    made, look = make(api), image_data._upload_pause
    put(api, made["id"], b"whole")

    def stale(run: Any, row: Any) -> Any:
        monkeypatch.undo()
        return look(run, Image(id=row.id, upload=row.upload))

    monkeypatch.setattr(image_data, "_upload_pause", stale)
    run_jobs(db, FLOWS, (BlockStore, store.blocks), (Converter, FakeConverter(store)), most=3)
    assert store.names_of(made["id"]) == [made["id"]]


def test_a_sweep_takes_nothing_of_uploads_begun_since(db: Database) -> None:
    from image.models import Image

    row = Image(id=str(uuid.uuid4()), upload=2)
    wanted = {name: image_data._wanted(row, f"{row.id}{name}") for name in ("", ".2", ".3", ".4", ".raw", ".raw.7")}
    assert [name for name, kept in wanted.items() if kept] == [".3", ".4"]


def test_a_refused_upload_does_not_freeze_the_format(api: Client, db: Database) -> None:
    from common.errors import Gone
    from image.service import data
    from tests.support.api import actor

    made = make(api)
    put(api, made["id"], tiny_qcow2(1 << 20), ok=400)
    patched(api, made["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"})
    put(api, made["id"], tiny_qcow2(1 << 20))
    other = make(api)
    ticket = db.run(lambda tx: data.begin(tx, actor(), other["id"]))
    patched(api, other["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"}, ok=403)
    db.run(lambda tx: tx.execute(text("UPDATE image.image SET disk_format = 'qcow2' WHERE data IS NULL")))
    with pytest.raises(Gone):
        db.run(lambda tx: data._finish(tx, ticket, data.Received(1, 1, "m", "s")))


def test_an_image_keeps_an_owner(api: Client) -> None:
    made = make(api)
    answer = patched(api.as_("admin"), made["id"], {"op": "replace", "path": "/owner", "value": None}, ok=400)
    assert "An image needs an owner." in answer.text
    assert patched(api.as_("admin"), made["id"], {"op": "replace", "path": "/owner", "value": OTHER_PROJECT})["owner"] == OTHER_PROJECT


def test_data_has_a_most(db: Database, api: Client, store: ImageStore, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from common.errors import TooLarge
    from image.service import data, guard
    from tests.support.api import actor

    monkeypatch.setattr(guard, "GIB", 1)
    image_id = make(api)["id"]
    for body, expected in ((b"", 1025), (b"x" * 1025, None)):
        ticket = db.run(lambda tx: data.begin(tx, actor(), image_id))
        with pytest.raises(TooLarge):
            data.receive(db, ticket, io.BytesIO(body), expected)
    put(api, image_id, b"x" * 1024)
    assert work() == 0
    assert store.names_of(image_id) == [f"{image_id}.3"]
