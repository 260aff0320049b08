"""What a guest reads at 169.254.169.254, and that no one else can read it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from compute.agent import metadata_server
from compute.agent.metadata import Plan
from compute.agent.metadata_answers import OPENSTACK_VERSIONS, answer
from compute.agent.metadata_server import Listener, Pool, _listen
from tests.unit.agent_world import NETWORK, OTHER, PORT, SERVER, network, nic, raw_document, server

SCRIPT = b"#!/bin/sh\necho hello\n\xff"
METADATA = {
    "public_keys": {"mykey": "ssh-ed25519 AAAA me"}, "meta": {"role": "web"}, "user_data": base64.b64encode(SCRIPT).decode(),
    "availability_zone": "nova", "launch_index": 0, "instance_type": "m1.nano", "security_groups": ["default", "web"],
    "floating_ips": {"10.0.0.11": "198.51.100.20"}, "reservation_id": "r-1", "created": "2026-01-01T00:00:00Z",
}  # fmt: skip
GUEST = server(metadata=METADATA, hostname="vm-1", name="vm 1", project_id="p1")


def body(path: str, guest: Mapping[str, Any] = GUEST) -> bytes | None:
    found = answer(guest, path)
    return None if found is None else found.body


@pytest.mark.parametrize("version", [*OPENSTACK_VERSIONS, "latest"])
def test_openstack_meta_data_of_every_version(version: str) -> None:
    raw = body(f"/openstack/{version}/meta_data.json")
    assert raw is not None
    found = json.loads(raw)
    assert (found["uuid"], found["hostname"], found["name"], found["meta"]) == (SERVER, "vm-1", "vm 1", {"role": "web"})
    assert found["public_keys"] == {"mykey": "ssh-ed25519 AAAA me"}
    assert found["keys"] == [{"name": "mykey", "type": "ssh", "data": "ssh-ed25519 AAAA me"}]
    newest = version in ("2018-08-27", "latest")
    assert ("project_id" in found, "dedicated_cpus" in found) == (version >= "2015-10-15", newest)


def test_openstack_folders_list_what_can_be_read() -> None:
    assert body("/openstack") == "\n".join([*OPENSTACK_VERSIONS, "latest"]).encode() == body("/openstack/")
    listed = (body("/openstack/latest/") or b"").decode().split("\n")
    assert listed == ["meta_data.json", "network_data.json", "user_data", "vendor_data.json", "vendor_data2.json"]
    assert all(body(f"/openstack/latest/{name}") is not None for name in listed)
    assert (body("/openstack/2012-08-10") or b"").split() == [b"meta_data.json", b"user_data"]


def test_user_data_comes_byte_for_byte_and_is_missed_where_there_is_none() -> None:
    bare = {**GUEST, "metadata": {**METADATA, "user_data": None}}
    for path in ("/openstack/latest/user_data", "/latest/user-data", "/2009-04-04/user-data"):
        assert body(path) == SCRIPT
        assert body(path, bare) is None
    assert body("/latest/", bare) == b"meta-data/"


def test_network_data_describes_the_nics() -> None:
    found = json.loads(body("/openstack/latest/network_data.json") or b"")
    assert found["links"][0]["ethernet_mac_address"] == "fa:16:3e:00:00:01"
    assert found["networks"][0] == {"id": "network0", "type": "ipv4_dhcp", "link": found["links"][0]["id"], "network_id": NETWORK}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/latest/meta-data/local-ipv4", b"10.0.0.11"), ("/2009-04-04/meta-data/public-ipv4", b"198.51.100.20"),
        ("/latest/meta-data/public-keys/", b"0=mykey"), ("/latest/meta-data/public-keys/0/", b"openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", b"ssh-ed25519 AAAA me"), ("/latest/meta-data/placement/", b"availability-zone"),
        ("/latest/meta-data/placement/availability-zone", b"nova"), ("/latest/meta-data/security-groups", b"default\nweb"),
        ("/latest/meta-data/instance-type", b"m1.nano"), ("/latest/meta-data/hostname", b"vm-1"),
    ],
)  # fmt: skip
def test_ec2_style(path: str, wanted: bytes) -> None:
    assert body(path) == wanted


def test_every_listed_ec2_key_can_be_read() -> None:
    def walk(path: str) -> None:
        for name in (body(path) or b"").decode().split("\n"):
            inner = path + (name.partition("=")[0] + "/" if "=" in name else name)
            assert body(inner) is not None, inner
            if inner.endswith("/"):
                walk(inner)

    walk("/latest/meta-data/")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/latest/meta-data/nothing",
        "/openstack/2011-01-01/meta_data.json",
        "/openstack/latest/../x",
        "/latest/meta-data/hostname/x",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    assert body(path) is None


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    def make(*servers: dict[str, Any]) -> Plan:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(raw_document(*servers, networks=[network()])))
        made = Plan(path)
        made.refresh()
        return made

    return make


def test_an_address_is_answered_for_its_one_owner_only(plan: Callable[..., Plan]) -> None:
    mac = "fa:16:3e:00:00:01"
    found = plan(GUEST)
    assert (found.owner(NETWORK, "10.0.0.11", mac) or {})["id"] == SERVER
    assert (found.owner(NETWORK, "10.0.0.11", None) or {})["id"] == SERVER
    assert found.owner(NETWORK, "10.0.0.11", "fa:16:3e:00:00:02") is None
    assert found.owner(NETWORK, "10.0.0.12", mac) is None
    assert found.owner(PORT, "10.0.0.11", mac) is None
    twin = server(OTHER, project_id="p2", metadata=METADATA, nics=[nic(OTHER, mac="fa:16:3e:00:00:02")])
    assert plan(GUEST, twin).owner(NETWORK, "10.0.0.11", mac) is None
    assert plan(GUEST, {**twin, "desired": "absent"}).owner(NETWORK, "10.0.0.11", mac) is None  # its guest may still run
    elsewhere = server(OTHER, nics=[nic(OTHER, network_id=PORT)])
    assert plan(GUEST, elsewhere).owner(NETWORK, "10.0.0.11", mac) is not None


def pair(ip: str, mac: str = "fa:16:3e:00:00:02") -> dict[str, str]:
    return {"ip_address": ip, "mac_address": mac}


MAY = [
    {"port_security_enabled": False}, {"allowed_address_pairs": [pair("10.0.0.11")]}, {"allowed_address_pairs": [pair("10.0.0.0/24")]},
    {"allowed_address_pairs": [pair("10.0.0.99/24")]}, {"allowed_address_pairs": [pair("0.0.0.0/0")]},
    {"allowed_address_pairs": [pair("10.0.9.9"), pair("10.0.0.11", "fa:16:3e:00:00:01")]},
    {"allowed_address_pairs": "all"}, {"allowed_address_pairs": [{}]}, {"fixed_ips": None}, {"port_security_enabled": 0},
]  # fmt: skip
MAY_NOT = [
    {}, {"port_security_enabled": True}, {"allowed_address_pairs": [pair("10.0.0.12")]}, {"allowed_address_pairs": [pair("10.0.0.128/25")]},
    {"allowed_address_pairs": [pair("10.0.0.12", "fa:16:3e:00:00:01")]}, {"allowed_address_pairs": [pair("::/0")]},
    {"allowed_address_pairs": [pair("10.0.0.11")], "network_id": PORT}, {"port_security_enabled": False, "network_id": PORT},
]  # fmt: skip


@pytest.mark.parametrize(("changes", "answered"), [*((one, False) for one in MAY), *((one, True) for one in MAY_NOT)])
@pytest.mark.parametrize("desired", ["running", "stopped", "absent"])
def test_an_address_that_another_port_may_claim_is_not_answered(
    plan: Callable[..., Plan], changes: dict[str, Any], answered: bool, desired: str
) -> None:
    other = {"mac": "fa:16:3e:00:00:02", "fixed_ips": [{"ip": "10.0.0.12", "prefix": 24, "version": 4}], **changes}
    for project, expected in (("p2", answered), ("p1", True)):
        found = plan(GUEST, server(OTHER, project_id=project, desired=desired, nics=[nic(OTHER, **other)]))
        for mac in ("fa:16:3e:00:00:01", None):
            assert (found.owner(NETWORK, "10.0.0.11", mac) is not None) is expected


def test_a_server_may_claim_its_own_address(plan: Callable[..., Plan]) -> None:
    for own in ({"port_security_enabled": False}, {"allowed_address_pairs": [pair("10.0.0.0/24")]}):
        second = nic(OTHER, mac="fa:16:3e:00:00:02", fixed_ips=[{"ip": "10.0.0.12", "prefix": 24, "version": 4}], **own)
        found = plan({**GUEST, "nics": [nic(**own), second]})
        assert found.owner(NETWORK, "10.0.0.11", "fa:16:3e:00:00:01") is not None
        assert found.owner(NETWORK, "10.0.0.12", "fa:16:3e:00:00:02") is not None


@pytest.mark.parametrize(
    "entry", [None, 5, {}, {"id": OTHER}, {"id": OTHER, "nics": 5}, {"id": OTHER, "nics": [None]}, {"id": OTHER, "nics": [{}]}]
)
def test_an_entry_that_cannot_be_read_costs_no_other_guest_its_metadata(plan: Callable[..., Plan], entry: Any) -> None:
    assert plan(entry, GUEST).owner(NETWORK, "10.0.0.11", None) is not None


def test_a_damaged_plan_leaves_the_last_one_in_force(plan: Callable[..., Plan], tmp_path: Path) -> None:
    found = plan(GUEST)
    for damage in ("", "{", "[]", '{"servers": 5, "networks": []}', '{"servers": []}'):
        (tmp_path / "plan.json").write_text(damage)
        found.refresh()
        assert found.owner(NETWORK, "10.0.0.11", None) is not None
    assert found.networks == {NETWORK}


@pytest.fixture
def served() -> Iterator[tuple[Pool, tuple[str, int]]]:
    pool = Pool(lambda network_id, ip, mac: GUEST if (network_id, ip) == (NETWORK, "127.0.0.1") else None)
    sock = _listen(("127.0.0.1", 0))
    listener = Listener(sock, NETWORK, pool)
    yield pool, sock.getsockname()
    listener.close()


def get(address: tuple[str, int], path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_over_http_headers_of_the_guest_change_nothing(served: tuple[Pool, tuple[str, int]]) -> None:
    _, address = served
    assert get(address, "/latest/meta-data/local-ipv4", **{"X-Forwarded-For": "10.0.0.99", "X-Instance-ID": OTHER}) == (200, b"10.0.0.11")
    assert get(address, "/nothing")[0] == 404
    assert get(address, "/latest/user-data", "HEAD") == (200, b"")
    assert get(address, "/openstack/latest/meta_data.json", "POST")[0] == 501


def test_a_guest_that_holds_connections_gets_no_more_and_is_cut(
    served: tuple[Pool, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, address = served
    idle = [socket.create_connection(address, timeout=30) for _ in range(metadata_server.PER_GUEST)]
    while len(pool._open) < len(idle):
        time.sleep(0.01)
    with pytest.raises((http.client.HTTPException, OSError)):
        get(address, "/latest/user-data")
    with monkeypatch.context() as now:
        now.setattr(metadata_server, "REQUEST_S", 0.0)
        pool.end_slow()
    assert all(sock.recv(1) == b"" for sock in idle)
    for sock in idle:
        sock.close()
    while pool._open:
        time.sleep(0.01)
    assert get(address, "/latest/user-data") == (200, SCRIPT)


def test_guests_that_hold_all_they_may_keep_no_other_waiting() -> None:
    pool = Pool(lambda network_id, ip, mac: GUEST)
    held = []
    for number in range(metadata_server.WORKERS // 2 - 1):
        for _ in range(8):
            client, server_side = socket.socketpair()
            held.append(client)
            pool.take(NETWORK, f"10.0.1.{number}", server_side)
    assert sum(pool._of.values()) < metadata_server.WORKERS - 1
    client, server_side = socket.socketpair()
    client.settimeout(30)
    client.sendall(b"GET /latest/meta-data/local-ipv4 HTTP/1.0\r\n\r\n")
    pool.take(NETWORK, "10.0.0.11", server_side)
    assert client.recv(100).startswith(b"HTTP/1.0 200")
    for sock in (*held, client):
        sock.close()


def test_a_connection_that_waits_for_a_thread_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_server, "WORKERS", 1)
    pool = Pool(lambda network_id, ip, mac: GUEST)
    holder, first = socket.socketpair()
    pool.take(NETWORK, "10.0.1.1", first)
    while not pool._open:
        time.sleep(0.01)
    client, second = socket.socketpair()
    client.settimeout(30)
    client.sendall(b"GET /latest/meta-data/local-ipv4 HTTP/1.0\r\n\r\n")
    pool.take(NETWORK, "10.0.0.11", second)
    with monkeypatch.context() as now:
        now.setattr(metadata_server, "REQUEST_S", 0.0)
        pool.end_slow()  # cuts the holder, not the one that has had no thread yet
    assert client.recv(100).startswith(b"HTTP/1.0 200")
    for sock in (holder, client):
        sock.close()


def test_the_senders_mac_is_that_of_the_first_frame() -> None:
    with _listen(("127.0.0.1", 0)) as sock, socket.create_connection(sock.getsockname()) as client:
        accepted, _ = sock.accept()
        with accepted:
            assert metadata_server.sender_mac(accepted) == "00:00:00:00:00:00"  # loopback's
        assert metadata_server.sender_mac(client) is None
