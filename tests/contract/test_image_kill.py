"""A worker that converts an image is killed: its qemu-img dies with it, and another worker makes the twin. On a real Ceph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from common import jobs
from common.clock import Deadline
from common.db import Database, clock
from common.jobs import Engines, Kernel
from common.models import Job
from common.rbd import BlockStore, Ceph
from image.engine.convert import Converter
from image.engine.store import ImageStore
from image.flows import image_data
from image.models import Image
from image.names import twin_name
from tests.support.engines import ROOT

pytestmark = pytest.mark.engine
WORKER = """
    import sys, threading
    from common.db import Database
    from common.jobs import Engines, Kernel
    from common.jobs.worker import Worker
    from common.rbd import BlockStore, Ceph
    from image.engine.convert import Converter
    from image.engine.store import ImageStore
    from image.flows import image_data
    url, conf, user = sys.argv[1:]
    ceph = Ceph(conf, user, timeout=30)
    engines = Engines((BlockStore, ceph), (Converter, Converter(ImageStore(ceph))))
    Worker(Kernel(Database(url), [image_data.FLOW], engines), poll_seconds=0.1).start()
    threading.Event().wait()
"""
# In the place of qemu-img: tells its pid, and takes its time.
SLOW = """\
#!/bin/sh
echo $$ > {pid}
exec sleep 600
"""


def until(condition: Callable[[], object], seconds: float = 180) -> None:
    deadline = Deadline(seconds)
    while not condition():
        assert not deadline.passed, "the condition did not come about"
        threading.Event().wait(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def image_id(db: Database, ceph: Ceph, tmp_path: Path) -> str:
    """A qcow2 image whose upload is over."""
    raw, made, store = tmp_path / "raw", tmp_path / "qcow2", ImageStore(ceph)
    raw.write_bytes(os.urandom(1 << 20) + bytes(1 << 20))
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, made], check=True)
    name, data = str(uuid.uuid4()), made.read_bytes()
    with store.upload(name, len(data)) as upload:
        upload.append(data)
    row = Image(
        id=name, owner="p", disk_format="qcow2", container_format="bare", data=name, size=len(data), virtual_size=2 << 20, upload=1,
        generation=2, observed_generation=1,
    )  # fmt: skip
    with db.transaction() as tx:
        tx.add(row)
        tx.flush()
        jobs.enqueue(tx, image_data.FLOW, name)
    return name


def test_a_killed_worker_takes_its_conversion_along(db: Database, ceph: Ceph, image_id: str, tmp_path: Path) -> None:
    told, stub = tmp_path / "pid", tmp_path / "bin"
    stub.mkdir()
    (stub / "qemu-img").write_text(SLOW.format(pid=told))
    (stub / "qemu-img").chmod(0o755)
    conf, user = ceph.identity
    url = db.engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "PATH": f"{stub}:{os.environ['PATH']}"}
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER), url, conf, user], env=environment, cwd=ROOT)
    try:
        until(lambda: told.exists() and told.read_text().strip())
        child, store = int(told.read_text()), ImageStore(ceph)
        assert alive(child)
        assert store.progress(image_id, 1).running
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    until(lambda: not alive(child), seconds=30)
    kernel = Kernel(db, [image_data.FLOW], Engines((BlockStore, ceph), (Converter, Converter(store))))

    def turn() -> bool:
        db.run(lambda tx: tx.execute(update(Job).values(due_at=clock(), lease_until=None)))
        kernel.run_one()
        return db.run(lambda tx: tx.execute(select(Job.id)).first()) is None

    # Ceph takes the dead worker's watch for a live one for 30 s.
    until(turn, seconds=300)
    assert db.run(lambda tx: tx.execute(select(Image)).scalar_one()).settled
    assert store.names_of(image_id) == [image_id, twin_name(image_id)]
    expected = (tmp_path / "raw").read_bytes()
    assert b"".join(store.read(twin_name(image_id), 0, len(expected))) == expected
    store.ensure_only(image_id)
