"""Where a test run's PostgreSQL is, and what a killed run leaves: cleared by the next one, and never while anybody might use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import postgres

MIB = 1 << 20
# One process makes a folder as a run does, starts what stands for its server, says which pid it has once it would go with it, and is killed.
KILLED = """
import subprocess, sys, time
from pathlib import Path
from tests.support import postgres
postgres.MEMORY = postgres.DISK = Path(sys.argv[1])
with postgres.held_folder() as folder:
    (folder / "data").mkdir()
    server = subprocess.Popen(postgres.Postgres(folder)._user(["env", "--default-signal=INT", "sleep", "60"]), start_new_session=True)
    (folder / "data" / "postmaster.pid").write_text(f"{server.pid}\\n{folder}\\n")
    while Path(f"/proc/{server.pid}/comm").read_text() != "sleep\\n":
        time.sleep(0.01)
    print(server.pid, flush=True)
    time.sleep(60)
"""


def folder_in(place: Path, pid: str | None, age: float = 3600.0) -> Path:
    folder = place / "wpgx"
    (folder / "data").mkdir(parents=True)
    if pid is not None:
        (folder / "data" / "postmaster.pid").write_text(pid)
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def gone_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("shm", "available", "place"), [(2048, 4096, "memory"), (2047, 9999, "disk"), (9999, 4095, "disk"), (9999, 0, "disk")]
)
def test_memory_is_used_where_both_it_and_the_tmpfs_have_room(tmp_path, monkeypatch, shm, available, place):
    (tmp_path / "memory").mkdir()
    (tmp_path / "meminfo").write_text(
        f"MemTotal: 99999999 kB\nMemFree: 99999999 kB\nMemAvailable:   {available << 10} kB\n" if available else ""
    )
    monkeypatch.setattr(postgres, "MEMORY", tmp_path / "memory")
    monkeypatch.setattr(postgres, "DISK", tmp_path / "disk")
    monkeypatch.setattr(postgres, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(postgres.shutil, "disk_usage", lambda _: postgres.shutil._ntuple_diskusage(0, 0, shm * MIB))
    assert postgres.spacious() == tmp_path / place
    (tmp_path / "meminfo").unlink()
    assert postgres.spacious() == tmp_path / "disk"


def test_this_machine_says_what_is_available():
    assert 0 < postgres._available() < 1 << 50


def test_what_dead_runs_left_is_cleared(tmp_path):
    crashed, stopped = folder_in(tmp_path / "a", f"{gone_pid()}\n/data\n"), folder_in(tmp_path / "b", None)
    (tmp_path / "a" / "other").mkdir()
    postgres.clear([tmp_path / "a", tmp_path / "b", tmp_path / "none"])
    assert not crashed.exists()
    assert not stopped.exists()
    assert (tmp_path / "a" / "other").exists()


@pytest.mark.parametrize("text", ["{own}\n/data\n", "", "x\n"])
def test_a_server_that_may_live_keeps_its_folder(tmp_path, text):
    folder = folder_in(tmp_path, text.format(own=os.getpid()))
    postgres.clear([tmp_path])
    assert folder.exists()


@pytest.mark.parametrize("started", [False, True])
def test_a_folder_that_is_being_made_is_left_alone(tmp_path, started):
    folder = folder_in(tmp_path, f"{gone_pid()}\n" if started else None, age=30.0)
    postgres.clear([tmp_path])
    assert folder.exists()


def test_a_link_is_not_followed(tmp_path):
    folder = folder_in(tmp_path / "a", None)
    (tmp_path / "wpglink").symlink_to(folder)
    postgres.clear([tmp_path])
    assert folder.exists()


def test_a_run_holds_its_folder_until_it_is_killed_and_takes_its_server_along(tmp_path):
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        server = int(run.stdout.readline())
        (folder,) = tmp_path.glob("wpg*")
        (folder / "data" / "postmaster.pid").write_text(f"{gone_pid()}\n")  # between two of its servers
        os.utime(folder, (time.time() - 3600,) * 2)
        postgres.clear([tmp_path])
        assert folder.exists()
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    end = time.monotonic() + 50
    while Path(f"/proc/{server}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{server}").exists()
    postgres.clear([tmp_path])
    assert not folder.exists()


def test_a_folder_goes_with_its_run(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "MEMORY", tmp_path)
    monkeypatch.setattr(postgres, "DISK", tmp_path)
    with postgres.held_folder() as folder:
        os.utime(folder, (time.time() - 3600,) * 2)
        postgres.clear([tmp_path])
        assert folder.exists()
    assert not folder.exists()
