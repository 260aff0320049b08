"""The real clients against the image and volume APIs on sockets, with a worker behind them and a real Ceph: the CLI and openstacksdk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest

import image.engine
from common.api.app import build
from common.api.server import Server
from common.auth import Authenticator
from common.clock import Deadline
from common.config import CONF
from common.db import Database
from common.jobs import Engines, Kernel
from common.jobs.worker import Worker
from common.rbd import BlockStore, Ceph
from identity.public import token_checker
from image.api import SERVICE as IMAGE
from image.engine.convert import Converter
from image.engine.store import ImageStore
from image.flows import image_data, image_delete
from image.names import twin_name
from tests.support.identity import ADMIN_PASSWORD, Cloud, cheap_hashes
from volume.api import SERVICE as VOLUME
from volume.flows import snapshot_create, snapshot_delete, volume_create, volume_delete, volume_extend
from volume.names import POOL

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"),
]
FLOWS = [
    image_data.FLOW, image_delete.FLOW, volume_create.FLOW, volume_extend.FLOW, volume_delete.FLOW, snapshot_create.FLOW,
    snapshot_delete.FLOW,
]  # fmt: skip


@pytest.fixture
def cloud(db: Database, ceph: Ceph, tmp_path: Path) -> Iterator[Path]:
    """Identity, image and volume on sockets, with a worker at work; the path of their clouds.yaml."""
    store = ImageStore(ceph)
    image.engine.use(store)
    engines = Engines((BlockStore, ceph), (Converter, Converter(store)))
    worker = Worker(Kernel(db, FLOWS, engines), threads=2, poll_seconds=0.1)
    db.on_commit = lambda _topics: worker.wake()
    worker.start()
    with contextlib.ExitStack() as stack:
        stack.enter_context(cheap_hashes())
        sockets = {name: stack.enter_context(listening(name)) for name in ("identity", "image", "volume")}
        identity, check = Cloud(db), token_checker(db)
        for service in (IMAGE, VOLUME):
            service.connect(db, Authenticator(check, seconds=0.5))
        for name, app in (("identity", identity.app), ("image", build(IMAGE)), ("volume", build(VOLUME))):
            stack.enter_context(serving(Server(app, name, sockets[name])))
        auth = {
            "auth_url": f"http://127.0.0.1:{CONF.api.identity_port}/v3", "username": "admin", "password": ADMIN_PASSWORD,
            "project_name": "admin", "user_domain_id": "default", "project_domain_id": "default",
        }  # fmt: skip
        path = tmp_path / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {"test": {"auth": auth, "region_name": "RegionOne", "identity_api_version": "3"}}}))
        yield path
    worker.stop()
    image.engine.use(None)


@contextlib.contextmanager
def listening(name: str) -> Iterator[socket.socket]:
    """A socket on a port that the service's option then names."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as made:
        CONF.set_override(f"{name}_port", made.getsockname()[1], "api")
        try:
            yield made
        finally:
            CONF.clear_override(f"{name}_port", "api")


@contextlib.contextmanager
def serving(server: Server) -> Iterator[None]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(10)


@pytest.fixture
def cli(cloud: Path) -> Callable[..., Any]:
    def run(*words: str, form: str | None = "json") -> Any:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        environment |= {"OS_CLIENT_CONFIG_FILE": str(cloud), "OS_CLOUD": "test", "PYTHONWARNINGS": "ignore"}
        command = [str(Path(sys.executable).with_name("openstack")), *words, *(["-f", form] if form else [])]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return json.loads(done.stdout) if form else done.stdout

    return run


def until(read: Callable[[], str], *wanted: str) -> None:
    deadline = Deadline(180)
    while (seen := read()) not in wanted:
        assert not deadline.passed, f"still {seen}, not {wanted}"
        threading.Event().wait(0.1)


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    with raw.open("wb") as file:
        file.write(os.urandom(3 << 20))
        file.truncate(64 << 20)
    subprocess.run(["qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", raw, made], check=True)
    return made


def everything(ceph: Ceph) -> set[str]:
    return {*ceph.names("images"), *ceph.names(POOL)}


def left(ceph: Ceph, before: set[str]) -> None:
    """Nothing is, of what the test made: neither by name nor in the trash."""
    until(lambda: str(everything(ceph) - before), "set()")
    until(lambda: str(ceph.purge("images") + ceph.purge(POOL)), "0")


def read_back(ceph: Ceph, pool: str, name: str, length: int) -> bytes:
    ceph.snapshot(pool, name, "look")
    try:
        return b"".join(ceph.read(pool, name, 0, length, snapshot="look"))
    finally:
        ceph.remove_snapshot(pool, name, "look")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_line(cli: Callable[..., Any], qcow2: Path, ceph: Ceph, tmp_path: Path) -> None:
    before = everything(ceph)
    made = cli("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", str(qcow2), "--property", "os=x", "img")
    assert made["status"] == "active" or cli("image", "show", "img")["status"] == "active"
    shown = cli("image", "show", "img")
    assert shown["size"] == qcow2.stat().st_size
    assert shown["properties"]["os"] == "x"
    assert shown["properties"]["os_hash_value"] == hashlib.sha512(qcow2.read_bytes()).hexdigest()
    cli("image", "save", "--file", str(tmp_path / "back"), "img", form=None)
    assert (tmp_path / "back").read_bytes() == qcow2.read_bytes()
    cli("image", "set", "--tag", "t", "--min-ram", "64", "--property", "a=b", "img", form=None)
    assert [i["Name"] for i in cli("image", "list", "--tag", "t")] == ["img"]

    cli("volume", "create", "--size", "1", "--image", "img", "root")
    until(lambda: cli("volume", "show", "root")["status"], "available")
    root = cli("volume", "show", "root")
    assert root["bootable"] in ("true", True)
    assert read_back(ceph, POOL, f"volume-{root['id']}", 64 << 20) == (tmp_path / "disk.raw").read_bytes()
    cli("volume", "create", "--size", "2", "--property", "k=v", "data")
    until(lambda: cli("volume", "show", "data")["status"], "available")
    cli("volume", "snapshot", "create", "--volume", "data", "snap")
    until(lambda: cli("volume", "snapshot", "show", "snap")["status"], "available")
    cli("volume", "create", "--snapshot", "snap", "copy")
    until(lambda: cli("volume", "show", "copy")["status"], "available")
    cli("volume", "set", "--size", "3", "copy", form=None)
    until(lambda: cli("volume", "show", "copy")["status"], "available")
    assert {v["Name"]: v["Size"] for v in cli("volume", "list")} == {"root": 1, "data": 2, "copy": 3}
    assert cli("volume", "type", "list")[0]["Name"] == "__DEFAULT__"
    assert [s["Name"] for s in cli("volume", "snapshot", "list")] == ["snap"]
    cli("volume", "set", "--name", "renamed", "--property", "x=y", "data", form=None)
    cli("volume", "snapshot", "delete", "snap", form=None)
    until(lambda: str(len(cli("volume", "snapshot", "list"))), "0")
    cli("volume", "delete", "root", "renamed", "copy", form=None)
    cli("image", "delete", "img", form=None)
    until(lambda: str(cli("volume", "list")), "[]")
    left(ceph, before)


def test_the_sdk(cloud: Path, qcow2: Path, ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(ceph)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud))
    connection = openstack.connection.from_config(cloud="test")
    made = connection.create_image(
        "sdk", filename=str(qcow2), disk_format="qcow2", container_format="bare", wait=True, visibility="private"
    )
    assert made.status == "active"
    assert connection.image.find_image("sdk").id == made.id
    assert [found.name for found in connection.image.images(limit=1)] == ["sdk"]
    assert connection.image.download_image(made).content == qcow2.read_bytes()
    until(lambda: str(ceph.info("images", twin_name(made.id)) is not None), "True")
    block = connection.block_storage
    volume = block.create_volume(size=1, image_id=made.id, name="v", metadata={"a": "b"})
    block.wait_for_status(volume, "available", interval=1, wait=300)
    snapshot = block.create_snapshot(volume_id=volume.id, name="s")
    block.wait_for_status(snapshot, "available", interval=1, wait=300)
    assert block.find_volume("v").id == volume.id
    assert [found.name for found in block.volumes(details=True)] == ["v"]
    assert [kind.name for kind in block.types()] == ["__DEFAULT__"]
    block.set_volume_metadata(volume, c="d")
    block.extend_volume(volume, 2)
    block.wait_for_status(volume, "available", interval=1, wait=300)
    block.delete_snapshot(snapshot)
    block.wait_for_delete(snapshot, interval=1, wait=300)
    block.delete_volume(volume)
    block.wait_for_delete(volume, interval=1, wait=300)
    connection.image.delete_image(made)
    with pytest.raises(openstack.exceptions.NotFoundException):
        connection.image.get_image(made.id)
    left(ceph, before)
