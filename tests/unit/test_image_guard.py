"""The guard passes what is what it says, in pieces of any size, and refuses the rest before the end."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from common.errors import BadRequest
from image.service.guard import Guard

MIB = 1 << 20


def make(tmp_path: Path, fmt: str, *options: str, size: int = 4 * MIB) -> bytes:
    path = tmp_path / f"image.{fmt}"
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, *options, str(path), str(size)], check=True, cwd=tmp_path)
    return path.read_bytes()


def run(declared: str, data: bytes, piece: int = 65536) -> int:
    guard = Guard(declared)
    for start in range(0, len(data), piece):
        guard.feed(data[start : start + piece])
    return guard.finish()


@pytest.mark.parametrize("piece", [1, 100, 4096, 65536, 4 * MIB])
def test_qcow2_passes_and_tells_its_disks_size(tmp_path: Path, piece: int) -> None:
    assert run("qcow2", make(tmp_path, "qcow2")[:40000], piece) == 4 * MIB


def test_raw_passes_with_its_own_size() -> None:
    assert run("raw", b"anything" * 1000) == 8000
    assert run("raw", b"x") == 1


def test_a_disk_with_a_partition_table_is_raw() -> None:
    boot = bytearray(64 * 1024)
    boot[446:462] = struct.pack("<B3BB3BII", 0x80, 0, 2, 0, 0x83, 0, 0, 0, 2048, 4096)
    boot[510:512] = b"\x55\xaa"
    assert run("raw", bytes(boot)) == len(boot)


def test_a_boot_sector_without_partitions_is_raw() -> None:
    boot = bytearray(64 * 1024)
    boot[510:512] = b"\x55\xaa"
    assert run("raw", bytes(boot)) == len(boot)


@pytest.mark.parametrize("fmt", ["vmdk", "vdi", "vhdx", "qed"])
@pytest.mark.parametrize("declared", ["raw", "qcow2"])
def test_other_formats_are_refused_whatever_is_declared(tmp_path: Path, fmt: str, declared: str) -> None:
    with pytest.raises(BadRequest):
        run(declared, make(tmp_path, fmt))


def test_the_declared_format_must_be_the_one_found(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"Image content is qcow2; it does not match the declared disk_format raw"):
        run("raw", make(tmp_path, "qcow2"))
    with pytest.raises(BadRequest, match="Image content is raw; it does not match the declared disk_format qcow2"):
        run("qcow2", b"plain" * 20000)


def test_a_mismatch_is_found_before_the_end(tmp_path: Path) -> None:
    guard = Guard("raw")
    with pytest.raises(BadRequest):
        guard.feed(make(tmp_path, "qcow2") + bytes(4 * MIB))


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(bytes(MIB))
    with pytest.raises(BadRequest, match="backing file"):
        run("qcow2", make(tmp_path, "qcow2", "-b", "base.raw", "-F", "raw", size=MIB))


def test_a_data_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="data_file"):
        run("qcow2", make(tmp_path, "qcow2", "-o", "data_file=data.raw,data_file_raw=on"))


def test_an_encrypted_one_is_refused(tmp_path: Path) -> None:
    data = bytearray(make(tmp_path, "qcow2"))
    data[32:36] = struct.pack(">I", 2)
    with pytest.raises(BadRequest, match="encrypted"):
        run("qcow2", bytes(data))


def test_unknown_features_are_refused(tmp_path: Path) -> None:
    data = bytearray(make(tmp_path, "qcow2"))
    data[72] = 0x80
    with pytest.raises(BadRequest, match="features"):
        run("qcow2", bytes(data))


@pytest.mark.parametrize("size", [0, (1024 << 30) + 512, 2**63])
def test_a_disk_of_no_sane_size_is_refused(tmp_path: Path, size: int) -> None:
    data = bytearray(make(tmp_path, "qcow2"))
    data[24:32] = struct.pack(">Q", size)
    with pytest.raises(BadRequest, match="bytes"):
        run("qcow2", bytes(data))


@pytest.mark.parametrize("declared", ["raw", "qcow2"])
def test_no_data_is_refused(declared: str) -> None:
    with pytest.raises(BadRequest, match="empty"):
        Guard(declared).finish()


def test_a_header_alone_is_not_an_image() -> None:
    with pytest.raises(BadRequest):
        run("qcow2", b"QFI\xfb" + bytes(20))
