"""A PostgreSQL of the test run's own: on a unix socket in a temporary folder, in memory where there is room, gone at the end.

A run that was killed takes its server with it, and leaves its folder to the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import create_engine, text

ROLES = ("wolke_owner", "wolke_identity", "wolke_api", "wolke_worker", "wolke_ovn")
SETTINGS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200",
    "shared_buffers": "64MB", "max_wal_size": "256MB", "autovacuum": "off", "log_min_messages": "fatal",
}  # fmt: skip

PREFIX, LOCK = "wpg", "held"
MEMORY, DISK = Path("/dev/shm"), Path("/tmp")
MEMINFO = Path("/proc/meminfo")
# Bytes: a tmpfs may be large where there is little memory left for it.
ROOM, LEFT = 2 << 30, 4 << 30
# Seconds in which a folder is being made: it may not be locked yet, and its server not started.
YOUNG = 60.0


class Postgres:
    """A running server; `url(database, role)` reaches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._count = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """initdb on first use, then start and wait for it."""
        if not (self.folder / "data").exists():
            self._as_postgres(str(self._bin / "initdb"), "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")  # fmt: skip
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._user(command), stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        engine = create_engine(self.url("postgres", "postgres"))
        for _ in range(1200):
            with contextlib.suppress(Exception), engine.connect():
                break
            time.sleep(0.05)
        else:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        engine.dispose()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once (SIGINT: fast shutdown), and wait."""
        if self.process is not None:
            self.process.send_signal(how)  # setpriv has become the postmaster
            self.process.wait(30)
            self.process = None

    def url(self, database: str, role: str = "wolke_owner") -> str:
        """SQLAlchemy's URL for `database` as `role`."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the superuser, outside a transaction."""
        engine = create_engine(self.url(database, "postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def fresh(self, template: str = "wolke_template") -> str:
        """The name of a new database copied from `template`, to which nobody may be connected."""
        self._count += 1
        name = f"t{os.getpid()}_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER wolke_owner STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _user(self, command: list[str]) -> list[str]:
        """As postgres where we are root; a test run that is killed takes it along."""
        who = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        return ["setpriv", "--pdeathsig", "INT", *who, *command]

    def _as_postgres(self, *command: str) -> None:
        subprocess.run(self._user(list(command)), check=True, stdout=subprocess.DEVNULL, cwd=self.folder)


def spacious() -> Path:
    """Where a server's thousands of small files cost least: in memory, unless there is little left (a container's is 64 MiB)."""
    room = shutil.disk_usage(MEMORY).free if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else 0
    return MEMORY if room >= ROOM and _available() >= LEFT else DISK


def _available() -> int:
    """The bytes of memory that the kernel could still give; 0 where it does not say."""
    lines = MEMINFO.read_text().splitlines() if MEMINFO.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)


def clear(places: Iterable[Path] = (MEMORY, DISK)) -> None:
    """Remove the folders of runs that were killed; one that anybody might still use is left alone."""
    for place in places:
        for folder in place.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError), _held(folder, make=False) as ours:
                if ours and _dead(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _dead(folder: Path) -> bool:
    """Whether a folder that we hold is old enough to have been held by its run, and its postmaster is gone."""
    if time.time() - folder.stat().st_mtime < YOUNG:
        return False
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return True  # it was stopped, or never started
    except (ValueError, IndexError):
        return False
    return not Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def _held(folder: Path, *, make: bool) -> Iterator[bool]:
    """Whether nobody else holds the folder: as long as the block, or this process, lasts we do.

    make: it is ours, and who looks whether it is holds it for a moment at most. Otherwise one that never was held is free.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o600)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if make else fcntl.LOCK_NB))
        ours = True
    except BlockingIOError:
        ours = False
    try:
        yield ours
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_folder() -> Iterator[Path]:
    """A folder of this process's own, which no other run clears away; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=spacious()))
    with _held(folder, make=True):
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server with Wolke's roles, and `wolke_template` migrated to the head."""
    from migrations import command

    clear()
    with held_folder() as folder:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = Postgres(folder)
        try:
            server.start()
            for role in ROLES:
                server.execute(f"CREATE ROLE {role} LOGIN")
            server.execute("CREATE DATABASE wolke_template OWNER wolke_owner")
            command.upgrade(server.url("wolke_template"))
            yield server
        finally:
            server.stop()
