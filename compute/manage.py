"""`wolke-manage host …`: the hypervisors that may speak to this cloud."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from common.cmd import process
from common.db import Tx
from common.errors import ApiError
from compute.service import host

Commands = argparse._SubParsersAction


def add_commands(subparsers: Commands[argparse.ArgumentParser]) -> None:
    """Add `host add`, `host list`, `host show`, `host rekey` and `host remove`."""
    commands = subparsers.add_parser("host", help="hypervisors").add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="let a hypervisor register; again: change what is named")
    add.add_argument("name")
    add.add_argument("--id", type=_uuid, help="the host's UUID; without it, the one that it registers with first")
    add.add_argument("--chassis", help="the system-id of its Open vSwitch; the name, if not given")
    add.add_argument("--public-key", help="its Ed25519 key in base64, or a file with it; without it, the one that it registers with first")
    add.add_argument("--availability-zone")
    add.set_defaults(func=_add)
    commands.add_parser("list", help="all hypervisors").set_defaults(func=_list)
    show = commands.add_parser("show", help="one hypervisor, and what its agent left alone because no row knows it")
    show.add_argument("name")
    show.set_defaults(func=_show)
    rekey = commands.add_parser("rekey", help="believe another key of a hypervisor, no more the old one")
    rekey.add_argument("name")
    rekey.add_argument("--public-key", required=True, help="its new Ed25519 key in base64, or a file with it")
    rekey.set_defaults(func=_rekey)
    remove = commands.add_parser("remove", help="forget a hypervisor that holds no servers")
    remove.add_argument("name")
    remove.set_defaults(func=_remove)


def _uuid(text: str) -> str:
    return str(uuid.UUID(text))


def _add(asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        return host.add(
            tx, asked.name, host_id=asked.id, chassis=asked.chassis, public_key=_key(asked.public_key), zone=asked.availability_zone
        )

    return _in_transaction(run)


def _key(given: str | None) -> str | None:
    if given is None or not Path(given).is_file():
        return given
    return Path(given).read_text().strip()


def _rekey(asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        host.rekey(tx, asked.name, str(_key(asked.public_key)))
        return f"{asked.name} has another key"

    return _in_transaction(run)


def _list(_asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        lines = ["id                                    name              zone        state    enabled  servers  unknown"]
        for item in host.all_hosts(tx):
            row = item.row
            lines.append(
                f"{row.id}  {row.name:16}  {row.availability_zone:10}  {_state(item):7}  {row.enabled!s:7}  {item.servers:7}  {row.unknown_count}"
            )
        return "\n".join(lines)

    return _in_transaction(run)


def _state(item: host.HostView) -> str:
    return "up" if item.up else "down"


def _show(asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        item = host.named(tx, asked.name)
        row = item.row
        facts = {
            "id": row.id, "name": row.name, "availability zone": row.availability_zone, "state": _state(item), "enabled": row.enabled,
            "chassis": row.chassis, "address": row.address, "public key": row.public_key, "servers": item.servers, "life": row.agent_epoch,
            "registered at": row.registered_at, "last heard": row.seen_at, "unknown": row.unknown_count,
        }  # fmt: skip
        lines = [f"{name:18} {'-' if value is None else value}" for name, value in facts.items()]
        lines += [f"  {line}" for line in row.unknown]
        left = row.unknown_count - len(row.unknown)
        return "\n".join(lines + ([f"  and {left} more"] if left > 0 else []))

    return _in_transaction(run)


def _remove(asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        host.remove(tx, asked.name)
        return f"{asked.name} is removed"

    return _in_transaction(run)


def _in_transaction(run: Callable[[Tx], str]) -> int:
    db = process.database()
    try:
        print(db.run(run))
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    finally:
        db.close()
    return 0
