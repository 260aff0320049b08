"""The agent's smaller parts: documents, keys, locks, logs, domain XML."""

from __future__ import annotations

import copy
import multiprocessing
import os
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from compute.agent import ceph, signing
from compute.agent.consoles import KEEP_BYTES, TAIL_BYTES, FileConsoles
from compute.agent.document import BadDocument, parse
from compute.agent.domain_xml import NAMESPACE, Builder, Ceph, read_disks, read_foreign_disks, read_mark
from compute.agent.limits import Limits
from compute.agent.observed import Mark, Phase
from compute.agent.state import AlreadyRunning, Stamps, StateDir
from tests.unit.agent_world import NETWORK, OTHER, SERVER, disk, network, nic, raw_document, server

FULL = raw_document(server(disks=[disk(limits={"total_iops_sec": 5})]), networks=[network()])
TWO = raw_document(*FULL["servers"], server(OTHER, nics=[]), networks=[network()])


def test_a_whole_document_is_read() -> None:
    found = parse(FULL)
    assert found.servers[SERVER].disks[0].limits == Limits(total_iops_sec=5)
    assert found.servers[SERVER].nics[0].fixed_ips[0].ip == "10.0.0.11"


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("epoch",), None, "document.epoch"), (("epoch",), 2**63, "document.epoch"), (("servers",), {}, "document.servers"),
        (("networks",), "x", "document.networks"), (("digest",), 1, "document.digest"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_the_document_is_named(path: tuple[Any, ...], value: object, place: str) -> None:
    with pytest.raises(BadDocument) as raised:
        parse(spoilt(path, value))
    assert place in str(raised.value)


def spoilt(path: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A document of two servers with one other value at `path`."""
    raw = copy.deepcopy(TWO)
    inner: Any = raw
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("desired",), "gone", "server.desired"), (("vcpus",), -1, "server.vcpus"), (("nics", 0, "tap"), "a" * 16, "nics[0].tap"),
        (("nics", 0, "mac"), "x", "nics[0].mac"), (("nics", 0, "fixed_ips", 0, "ip"), "10.0.0.300", "10.0.0.300"), (("nics",), 5, "server.nics"),
        (("disks", 0, "limits", "read_iops_sec"), "1", "limits.read_iops_sec"), (("disks", 0, "limits", "read_iops_sec"), -5, "is -5"),
        (("disks", 0, "detach_deadline_s"), 10**400, "detach_deadline_s"), (("disks", 0, "device"), "vda' dev='x", "disks[0].device"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_server_costs_no_other_server(path: tuple[Any, ...], value: object, place: str) -> None:
    found = parse(spoilt(("servers", 0, *path), value))
    assert list(found.servers) == [OTHER]
    assert list(found.unread["servers"]) == [SERVER]
    assert place in found.unread["servers"][SERVER]
    assert found.listed == {SERVER, OTHER, NETWORK}


@pytest.mark.parametrize("entry", [None, 5, [], {}, {"id": "../etc/passwd"}, {"id": 7, "desired": "absent"}])
def test_an_entry_without_an_id_is_named_by_its_place(entry: object) -> None:
    found = parse(spoilt(("servers", 0), entry))
    assert (list(found.servers), list(found.unread["servers"])) == ([OTHER], ["servers[0]"])


def test_of_two_entries_of_one_server_a_good_one_does_not_count() -> None:
    for bad, good in ((0, 1), (1, 0)):
        raw = spoilt(("servers", good), server())
        raw["servers"][bad] = server(vcpus=-1)
        found = parse(raw)
        assert (list(found.servers), list(found.unread["servers"])) == ([], [SERVER])


def test_a_wrong_network_or_question_costs_no_server() -> None:
    found = parse(spoilt(("networks", 0, "metadata_port", "ips"), "10.0.0.2"))
    assert (found.networks, list(found.servers), list(found.unread["networks"])) == ({}, [SERVER, OTHER], [NETWORK])
    assert "metadata_port.ips" in found.unread["networks"][NETWORK]
    found = parse(spoilt(("questions",), [{"id": "q", "kind": "console_output", "server_id": "x"}]))
    assert (found.questions, list(found.servers), list(found.unread["questions"])) == ((), [SERVER, OTHER], ["q"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(FULL)), inner),
    )
)
def test_nothing_but_bad_document_is_raised(raw: object) -> None:
    try:
        parse(raw)
    except BadDocument:
        pass


def test_a_signature_holds_for_exactly_what_was_said() -> None:
    key = Ed25519PrivateKey.generate()
    public = signing.public_text(key)
    said = signing.sign(key, "h", 2, 7, {"b": 1, "a": "ü"})
    assert signing.verify(public, said, "h", 2, 7, {"a": "ü", "b": 1})
    for wrong in (
        ("i", 2, 7, {"a": "ü", "b": 1}),
        ("h", 3, 7, {"a": "ü", "b": 1}),
        ("h", 2, 8, {"a": "ü", "b": 1}),
        ("h", 2, 7, {"a": "u", "b": 1}),
    ):
        assert not signing.verify(public, said, *wrong)
    assert not signing.verify(public, "not base64!", "h", 2, 7, {})
    assert not signing.verify("", said, "h", 2, 7, {})


def test_an_identity_is_made_once_and_for_this_user_only(tmp_path: Path) -> None:
    first, second = StateDir(str(tmp_path)).identity(), StateDir(str(tmp_path)).identity()
    assert (first.host_id, first.public_key) == (second.host_id, second.public_key)
    assert uuid.UUID(first.host_id)
    assert stat.S_IMODE((tmp_path / "agent" / "host-key").stat().st_mode) == 0o600
    (tmp_path / "agent" / "host-key").write_bytes(b"short")
    with pytest.raises(ValueError, match="host-key is damaged"):
        StateDir(str(tmp_path)).identity()


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def test_stamps_rise_whatever_the_clock_does_and_across_lives(tmp_path: Path) -> None:
    clock, path = Clock(1000), tmp_path / "registrations"
    stamps = Stamps(path, clock)
    assert [stamps.next(), stamps.next()] == [1000, 1001]
    clock.now = 5
    assert [stamps.next(), Stamps(path, clock).next(), Stamps(path, clock).next()] == [1002, 1003, 1004]
    clock.now = 2000
    assert Stamps(path, clock).next() == 2000


@pytest.mark.parametrize("content", [None, b"", b"900\n", b"\xff\xfe", b"-1", b"9" * 30])
def test_a_lost_damaged_or_old_file_is_made_good_by_the_clock(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "registrations"
    used = Stamps(path, Clock(1000)).next()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert used < Stamps(path, Clock(1001)).next() < 2000
    assert int(path.read_text()) == 1001


def test_a_stamp_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "registrations", []

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))

    monkeypatch.setattr(os, "fsync", fsync)
    used = Stamps(path, Clock(7)).next()
    assert synced == [str(tmp_path / f".registrations.{os.getpid()}"), str(tmp_path)]
    assert Stamps(path, Clock(0)).next() == used + 1


def test_where_the_disk_takes_nothing_stamps_still_rise(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "nowhere" / "registrations", Clock(7))
    assert [stamps.next(), stamps.next()] == [7, 8]


def hold(path: str, ready: Any, done: Any) -> None:
    StateDir(path).lock()
    ready.set()
    done.wait(100)


def test_a_host_has_one_agent_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path), ready, done))
    other.start()
    assert ready.wait(100)
    with pytest.raises(AlreadyRunning):
        StateDir(str(tmp_path)).lock()
    other.kill()
    other.join()
    StateDir(str(tmp_path)).lock()


def wolke_agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compute.agent.main", *arguments], capture_output=True, text=True, check=False, timeout=100
    )


def test_the_command_prints_who_it_is_and_ends_in_one_sentence_when_it_may_not_run(tmp_path: Path) -> None:
    conf = tmp_path / "wolke.conf"
    conf.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\n")
    made = wolke_agent("--config-file", str(conf), "--generate-key")
    state = StateDir(str(tmp_path))
    assert made.stdout.split() == [state.identity().host_id, state.identity().public_key]
    state.lock()
    refused = wolke_agent("--config-file", str(conf))
    assert (refused.returncode, refused.stderr) == (1, f"wolke-agent: another agent holds {state.path}/lock; one agent runs on a host\n")
    lost = wolke_agent("--config-file", f"{tmp_path}/none")
    assert (lost.returncode, lost.stderr) == (1, f"wolke-agent: Failed to find some config files: {tmp_path}/none\n")


def test_the_plan_on_disk_is_whole_and_private(tmp_path: Path) -> None:
    state = StateDir(str(tmp_path))
    state.save_plan(FULL)
    assert stat.S_IMODE(state.plan_file.stat().st_mode) == 0o600
    assert [name for name in os.listdir(state.path) if name.startswith(".")] == []


def test_a_console_is_read_from_its_end_and_cut_before_it_fills_the_disk(tmp_path: Path) -> None:
    consoles = FileConsoles(tmp_path)
    with pytest.raises(FileNotFoundError):
        consoles.tail(SERVER, None)
    with consoles.path(SERVER).open("ab") as guest:
        guest.write(b"".join(b"line %d\n" % number for number in range(200_000)))
        guest.flush()
        assert guest.tell() > KEEP_BYTES
        consoles.trim()
        assert len(consoles.tail(SERVER, None)) == TAIL_BYTES
        guest.write(b"after \xff\n")
    assert consoles.path(SERVER).stat().st_size == len(b"after \xff\n")
    assert consoles.tail(SERVER, 2) == "line 199999\nafter \ufffd\n"
    assert consoles.tail(SERVER, 0) == ""
    assert consoles.present() == {SERVER}
    consoles.remove(SERVER)
    assert (consoles.present(), os.listdir(tmp_path)) == (frozenset(), [])


def test_domain_xml_says_what_is_wished_and_no_secret() -> None:
    wish = parse(
        raw_document(server(name="a <b>\x01", disks=[disk(limits={"total_iops_sec": 5}), disk("data", desired="absent")], nics=[nic()]))
    ).servers[SERVER]
    mark = Mark(2, 3, 1, Phase.STARTING)
    builder = Builder(
        "qemu", Ceph("/etc/ceph/ceph.conf", "hv1", str(uuid.UUID(int=1))).source, lambda server_id: Path(f"/logs/{server_id}.log")
    )
    root = ET.fromstring(builder.domain(wish, mark))
    assert (root.findtext("name"), root.findtext("uuid"), root.findtext("memory")) == (f"wolke-{SERVER}", SERVER, "128")
    assert read_mark(root) == mark
    assert {key: value.limits for key, value in read_disks(root, live=False).items()} == {"root": Limits(total_iops_sec=5)}
    source = root.find("devices/disk/source")
    assert source is not None
    assert (source.get("protocol"), source.get("name")) == ("rbd", "vms/root_disk")
    target = root.find("devices/interface/target")
    assert target is not None
    assert (target.get("dev"), target.get("managed")) == (nic()["tap"], "no")
    log = root.find("devices/serial/log")
    assert log is not None
    assert (log.get("file"), log.get("append")) == (f"/logs/{SERVER}.log", "on")
    assert len(root.findall("devices/controller[@model='pcie-root-port']")) >= 16 + 4


def test_a_domain_without_our_element_is_not_ours() -> None:
    assert read_mark(ET.fromstring("<domain><metadata/></domain>")) is None
    text = "<domain><metadata><server xmlns='{}' epoch='1' phase='{}' generation='{}'/></metadata></domain>"
    assert read_mark(ET.fromstring(text.format(NAMESPACE, "started", 1))) is not None
    for phase, generation in (("asleep", 1), ("started", "one")):
        assert read_mark(ET.fromstring(text.format(NAMESPACE, phase, generation))) is None


def test_a_missing_keyring_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "ceph-conf"
    tool.write_text(f"#!/bin/sh\necho {tmp_path}/none,{tmp_path}/ring\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ceph.CephError, match=r"no key of client\.hv1 in .*none"):
        ceph.key("/etc/ceph/ceph.conf", "hv1")
    (tmp_path / "ring").write_text("[client.hv1]\n\tkey = AQID\n")
    assert ceph.key("/etc/ceph/ceph.conf", "hv1") == b"\x01\x02\x03"


def test_a_disk_that_someone_else_plugged_is_told_from_ours() -> None:
    found = ET.fromstring(
        "<domain><devices><disk><target dev='vda'/><alias name='ua-root'/></disk><disk><target dev='sda'/></disk>"
        "<disk><target dev='vdb'/><alias name='virtio-disk1'/></disk></devices></domain>"
    )
    assert list(read_disks(found, live=True)) == ["root"]
    assert read_foreign_disks(found) == {"sda", "vdb"}
