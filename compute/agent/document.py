"""The desired state of one host, as a pull answers it, in types that cannot be half read.

`parse()` is the only way in: an answer that does not fit raises `BadDocument` and the agent goes on with the last good one; an entry that does
not fit is set aside with the reason, and what it is about is left as it is.
The shape is fixed in docs/design/0001-rooms.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, TypeVar, cast

from compute.agent.limits import LIMITS, Limits

Desired = Literal["running", "stopped", "absent"]
T = TypeVar("T")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TAP = re.compile(r"[a-z][a-z0-9-]{0,14}")  # IFNAMSIZ is 16 with the closing zero
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
MOST = 2**63 - 1


class BadDocument(ValueError):
    """A pull's answer does not have the agreed shape; the message names the place."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A virtio disk on an RBD image; `id` is "root" or the attachment's."""

    id: str
    generation: int
    serial: str
    device: str
    boot: bool
    present: bool
    detach_deadline_s: float
    pool: str
    image: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port."""

    ip: str
    prefix: int
    version: int


@dataclass(frozen=True, slots=True)
class Nic:
    """A virtio NIC on a tap that the agent makes and plugs."""

    port_id: str
    generation: int
    mac: str
    tap: str
    mtu: int
    network_id: str
    fixed_ips: tuple[FixedIp, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """What one server should be on this host."""

    id: str
    generation: int
    name: str
    desired: Desired
    reboots: int
    reboot_type: Literal["SOFT", "HARD"]
    startable: bool
    vcpus: int
    memory_mib: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]

    @property
    def present_disks(self) -> tuple[Disk, ...]:
        """The disks that the domain should have."""
        return tuple(disk for disk in self.disks if disk.present)


@dataclass(frozen=True, slots=True)
class Network:
    """A network with a guest here, and where its metadata answers."""

    id: str
    mtu: int
    port_id: str
    mac: str
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Something to read and report; `length` in lines, None for all that is kept."""

    id: str
    kind: str
    server_id: str
    length: int | None


@dataclass(frozen=True, slots=True)
class Document:
    """The whole desired state of a host; `raw` is the answer itself, which the metadata process reads.

    unread: of `servers`, `networks` and `questions`, what is listed and cannot be read, by id (by its place where that cannot be read), and why.
    """

    epoch: int
    digest: str
    servers: Mapping[str, Server]
    networks: Mapping[str, Network]
    questions: tuple[Question, ...]
    unread: Mapping[str, Mapping[str, str]]
    raw: Mapping[str, Any]

    @property
    def listed(self) -> frozenset[str]:
        """Ids of the servers and networks that the controller knows here, whether they can be read or not."""
        return frozenset().union(self.servers, self.networks, self.unread["servers"], self.unread["networks"])


class _Reader:
    """Reads fields of one JSON object and names the place of a wrong one."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise BadDocument(f"{where} is {type(value).__name__}, not an object")
        self._value: dict[str, Any] = value
        self.where = where

    def text(self, name: str, form: re.Pattern[str] | None = None) -> str:
        value = self._value.get(name)
        if not isinstance(value, str):
            raise BadDocument(f"{self.where}.{name} is {value!r}, not text")
        if form is not None and not form.fullmatch(value):
            raise BadDocument(f"{self.where}.{name} is {value!r}, which is not of the form {form.pattern}")
        return value

    def choice(self, name: str, *allowed: str, default: str | None = None) -> str:
        value = self._value.get(name, default)
        if value not in allowed:
            raise BadDocument(f"{self.where}.{name} is {value!r}, not one of {', '.join(allowed)}")
        return cast(str, value)

    def ip(self, value: object) -> str:
        try:
            return str(ip_address(str(value)))
        except ValueError as error:
            raise BadDocument(f"{self.where} has the address {value!r}: {error}") from None

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._value.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
            raise BadDocument(f"{self.where}.{name} is {value!r}, not a whole number")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._value.get(name, default)
        if not isinstance(value, bool):
            raise BadDocument(f"{self.where}.{name} is {value!r}, not true or false")
        return value

    def optional(self, name: str) -> Any:
        return self._value.get(name)

    def inner(self, name: str) -> _Reader:
        return _Reader(self._value.get(name) or {}, f"{self.where}.{name}")

    def items(self, name: str) -> list[Any]:
        value = self._value.get(name, [])
        if not isinstance(value, list):
            raise BadDocument(f"{self.where}.{name} is {value!r}, not a list")
        return value

    def each(self, name: str, read: Callable[[_Reader], T]) -> tuple[T, ...]:
        return tuple(read(_Reader(item, f"{self.where}.{name}[{index}]")) for index, item in enumerate(self.items(name)))

    def readable(self, name: str, read: Callable[[_Reader], T]) -> tuple[dict[str, T], dict[str, str]]:
        """The entries by id, and why those that cannot be read cannot: one bad value must not keep the host from all others."""
        found: dict[str, T] = {}
        unread: dict[str, str] = {}
        for index, item in enumerate(self.items(name)):
            key = _id(item) or f"{name}[{index}]"
            try:
                found[key] = read(_Reader(item, name.removesuffix("s")))
            except BadDocument as error:
                unread[key] = str(error)
        return {key: value for key, value in found.items() if key not in unread}, unread


def _id(item: object) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) and NAME.fullmatch(value) else None


def _limits(r: _Reader) -> Limits:
    return Limits(**{name: r.integer(name, 0) for name in LIMITS})


def _disk(r: _Reader) -> Disk:
    return Disk(
        id=r.text("id", NAME),
        generation=r.integer("generation", 0),
        serial=r.text("serial", NAME)[:20],  # virtio-blk keeps 20 bytes
        device=r.text("device", NAME),
        boot=r.flag("boot", False),
        present=r.choice("desired", "present", "absent", default="present") == "present",
        detach_deadline_s=float(r.integer("detach_deadline_s", 60)),
        pool=r.text("pool", NAME),
        image=r.text("image"),
        limits=_limits(r.inner("limits")),
    )


def _fixed_ip(r: _Reader) -> FixedIp:
    return FixedIp(r.ip(r.optional("ip")), r.integer("prefix", 0), r.integer("version", 4))


def _nic(r: _Reader) -> Nic:
    return Nic(
        port_id=r.text("port_id", UUID),
        generation=r.integer("generation", 0),
        mac=r.text("mac", MAC),
        tap=r.text("tap", TAP),
        mtu=r.integer("mtu"),
        network_id=r.text("network_id", UUID),
        fixed_ips=r.each("fixed_ips", _fixed_ip),
    )


def _server(r: _Reader) -> Server:
    return Server(
        id=r.text("id", UUID),
        generation=r.integer("generation"),
        name=r.text("name"),
        desired=cast(Desired, r.choice("desired", "running", "stopped", "absent")),
        reboots=r.integer("reboots", 0),
        reboot_type=cast(Literal["SOFT", "HARD"], r.choice("reboot_type", "SOFT", "HARD", default="SOFT")),
        startable=r.flag("startable", True),
        vcpus=r.integer("vcpus", 1),
        memory_mib=r.integer("memory_mib", 1),
        disks=r.each("disks", _disk),
        nics=r.each("nics", _nic),
    )


def _network(r: _Reader) -> Network:
    port = r.inner("metadata_port")
    ips = port.optional("ips")
    if not isinstance(ips, list):
        raise BadDocument(f"{port.where}.ips is {ips!r}, not a list")
    return Network(
        id=r.text("id", UUID),
        mtu=r.integer("mtu"),
        port_id=port.text("id", NAME),
        mac=port.text("mac", MAC),
        ips=tuple(port.ip(ip) for ip in ips),
    )


def _question(r: _Reader) -> Question:
    length = r.optional("length")
    if length is not None:
        length = r.integer("length")
    return Question(r.text("id", NAME), r.text("kind"), r.text("server_id", UUID), length)


def _has_metadata(r: _Reader) -> Network | None:
    return _network(r) if r.optional("metadata_port") else None


def parse(raw: object) -> Document:
    """The typed document of a pull's answer.

    A server, network or question of which a field is missing or has a value that it cannot have is in `unread`. Raises BadDocument where that is
    so of the document's own fields.
    """
    r = _Reader(raw, "document")
    servers, bad_servers = r.readable("servers", _server)
    networks, bad_networks = r.readable("networks", _has_metadata)
    questions, bad_questions = r.readable("questions", _question)
    return Document(
        epoch=r.integer("epoch"),
        digest=r.text("digest"),
        servers=servers,
        networks={key: network for key, network in networks.items() if network is not None},
        questions=tuple(questions.values()),
        unread={"servers": bad_servers, "networks": bad_networks, "questions": bad_questions},
        raw=cast(Mapping[str, Any], raw),
    )
