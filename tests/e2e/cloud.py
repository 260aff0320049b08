"""The cloud that devstack/stack.sh brought up, as a tenant and as an operator of this one machine see it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

ROOT = Path(__file__).parents[2]
STATE = Path(os.environ.get("WOLKE_STATE", "/var/lib/wolke"))
BIN = Path(sys.executable).parent
T = TypeVar("T")


class CommandError(AssertionError):
    """A command failed; its output is the message."""


def run(command: list[str], *, check: bool = True, timeout: float = 400, **more: Any) -> str:
    """What a command prints; CommandError when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode:
        raise CommandError(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def eventually(look: Callable[[], T], *, seconds: float = 300, what: str = "", every: float = 0.5) -> T:
    """The first true thing that `look` returns; an AssertionError of it becomes ours when a look failed that began after the time."""
    end = time.monotonic() + seconds
    while True:
        last: object = None
        over = time.monotonic() > end
        try:
            found = look()
            if found:
                return found
            last = found
        except AssertionError as error:
            last = error
        if over:
            raise AssertionError(f"{what or 'it'} did not come about in {seconds:.0f} s: {last}")
        time.sleep(every)


def connect(cloud: str) -> openstack.connection.Connection:
    """The real SDK, as one of the clouds of devstack/clouds.yaml."""
    config = openstack.config.OpenStackConfig(config_files=[str(ROOT / "devstack/clouds.yaml")])
    return openstack.connection.Connection(config=config.get_one(cloud=cloud))


def told(commands: str, **environment: str) -> str:
    """What one process of the CLI says to these commands, a line each, none of which may fail."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment = {**clean, "OS_CLIENT_CONFIG_FILE": str(ROOT / "devstack/clouds.yaml"), "PYTHONWARNINGS": "ignore", **environment}
    script = 'printf "%s" "$0" | "$1" 2>&1'
    said = run(["sh", "-c", script, commands, str(BIN / "openstack")], env=environment, check=False)
    assert not re.search(r"HTTP|[Ee]rror|No |usage:|not found|[Mm]issing|[Ff]ailed|[Uu]nknown|not an openstack command", said), said
    return said


class Cli:
    """The real `openstack` command, as one of the clouds of devstack/clouds.yaml.

    What is asked again and again goes by the SDK: the command takes a second of processor time to start, which the guests want.
    """

    def __init__(self, cloud: str) -> None:
        self.cloud = cloud

    def __call__(self, command: str, *more: str, check: bool = True) -> str:
        """What `openstack COMMAND` prints."""
        environment = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(ROOT / "devstack/clouds.yaml"),
            "OS_CLOUD": self.cloud,
            "PYTHONWARNINGS": "ignore",
        }
        return run([str(BIN / "openstack"), *shlex.split(command), *more], check=check, env=environment)

    def all(self, *commands: str) -> str:
        """What `openstack` prints for these, one after the other in one process; none may fail."""
        return told("".join(f"{command}\n" for command in commands), OS_CLOUD=self.cloud)

    def json(self, command: str, *more: str) -> Any:
        """The same as data."""
        return json.loads(self(command, *more, "-f", "json"))

    def id(self, command: str, *more: str) -> str:
        """The id that a create or show prints."""
        return self(command, *more, "-f", "value", "-c", "id").strip()

    def fails(self, command: str, *more: str) -> str:
        """What the command says when it is refused; it must be."""
        try:
            said = self(command, *more)
        except CommandError as error:
            return str(error)
        raise AssertionError(f"openstack {command} was not refused: {said}")

    @cached_property
    def _sdk(self) -> openstack.connection.Connection:
        return connect(self.cloud)

    def find(self, noun: str, name: str) -> Any:
        """A resource by name or id as it is now; None: there is none. An answer that does not come is an AssertionError."""
        nouns = {
            "server": lambda: self._sdk.compute.find_server(name),
            "volume": lambda: self._sdk.block_storage.find_volume(name),
            "volume snapshot": lambda: self._sdk.block_storage.find_snapshot(name),
        }
        try:
            return nouns[noun]()
        except (SDKException, ClientException) as error:
            raise AssertionError(f"{noun} {name}: {error}") from error

    def status(self, noun: str, name: str) -> str:
        """The status of a resource; AssertionError when there is none."""
        found = self.find(noun, name)
        assert found, f"there is no {noun} {name}"
        return str(found.status)

    def until(self, noun: str, name: str, status: str, seconds: float = 300) -> None:
        """Wait for a status; an ERROR that is not asked for ends the wait."""

        def look() -> bool:
            now = self.status(noun, name)
            if now.upper() == "ERROR" != status.upper():
                raise RuntimeError(f"{noun} {name} is in error: {self(f'{noun} show {name}')}")
            return now == status

        eventually(look, seconds=seconds, what=f"{noun} {name} is {status}")

    def gone(self, noun: str, name: str, seconds: float = 300) -> None:
        """Wait until the resource is not there any more."""
        eventually(lambda: self.find(noun, name) is None, seconds=seconds, what=f"{noun} {name} is gone")

    def console(self, server: str) -> str:
        """What a server's console shows; nothing while it cannot be asked."""
        try:
            found = self._sdk.compute.find_server(server)
            return str((self._sdk.compute.get_server_console_output(found.id) or {}).get("output", "")) if found else ""
        except (SDKException, ClientException):
            return ""

    def console_until(self, server: str, pattern: str, seconds: float = 300) -> str:
        """The first match of `pattern` on the server's console."""

        def look() -> str | None:
            found = re.search(pattern, self.console(server))
            return found.group(0) if found else None

        return str(eventually(look, seconds=seconds, what=f"{pattern!r} on the console of {server}", every=1))

    def ready(self, server: str, times: int = 1, seconds: float = 300) -> None:
        """Wait until the guest has said so many times that it is up."""
        eventually(
            lambda: len(re.findall("guest: READY", self.console(server))) >= times,
            seconds=seconds,
            what=f"{server} says READY {times} times",
            every=1,
        )


class Guest:
    """A server reached by ssh from `outside`, through its floating IP, with the tenant's key."""

    def __init__(self, address: str, key: Path) -> None:
        self.address, self.key = address, key

    def __call__(self, command: str, *, check: bool = True, timeout: float = 300, connect: int = 60) -> str:
        """What `command` prints in the guest, which has so many seconds to answer."""
        ssh = ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", f"ConnectTimeout={connect}", "-o", "BatchMode=yes",
               "-o", "LogLevel=ERROR", "-i", str(self.key), f"cirros@{self.address}", command]  # fmt: skip
        return run(["ip", "netns", "exec", "wk-out", *ssh], check=check, timeout=timeout)

    def up(self, seconds: float = 300) -> Guest:
        """Wait until it lets us in."""

        def look() -> bool:
            try:
                return self("echo in", connect=5).strip() == "in"
            except (CommandError, subprocess.TimeoutExpired) as error:
                raise AssertionError(str(error)) from None

        eventually(look, seconds=seconds, what=f"ssh to {self.address}", every=1)
        return self

    def root(self, command: str, *, also_errors: bool = False, **more: Any) -> str:
        """The same as root; the guest's su asks for no password."""
        return self(f"/bin/su -c {shlex.quote('PATH=/sbin:/usr/sbin:$PATH; ' + command)}{' 2>&1' if also_errors else ''}", **more)

    def pings(self, address: str, count: int = 1, wait: int = 3) -> bool:
        """Whether an address answers from inside."""
        return " 0% packet loss" in self.root(f"ping -c {count} -W {wait} {address}", check=False)


def outside_pings(address: str) -> bool:
    """Whether an address answers from outside."""
    return " 0% packet loss" in run(["ip", "netns", "exec", "wk-out", "ping", "-c", "1", "-W", "2", address], check=False)


def sql(statement: str) -> list[list[str]]:
    """Rows of the cloud's database."""
    out = run(["psql", "-h", str(STATE / "pg"), "-U", "postgres", "-At", "-F", "\t", "-c", statement, "wolke"])
    return [line.split("\t") for line in out.splitlines()]


def hosts() -> list[str]:
    """The names of the hypervisors."""
    return sorted(path.name for path in (STATE / "hosts").iterdir() if (path / "chassis").exists())


def virsh(host: str, command: str, **more: Any) -> str:
    """virsh on a host."""
    uri = f"qemu+unix:///system?socket={STATE}/hosts/{host}/run/libvirt/libvirt-sock"
    return run(["virsh", "-q", "-c", uri, *shlex.split(command)], **more)


def on_host(host: str, command: str, **more: Any) -> str:
    """A command in a host's namespaces."""
    return run([str(ROOT / "devstack/host-exec.sh"), host, "sh", "-c", command], **more)


def service_pid(name: str) -> int:
    """The pid of a supervised process."""
    said = run(["sv", "status", str(STATE / "service" / name)])
    found = re.search(r"\(pid (\d+)\)", said)
    if not found:
        raise AssertionError(said)
    return int(found.group(1))
