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
    """Add `host add`, `host list` and `host remove`."""
    commands = subparsers.add_parser("host", help="hypervisors").add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="let a hypervisor register; again: change what is named")
    add.add_argument("name")
    add.add_argument("--id", type=_uuid, help="the host's UUID; without it, the one that it registers with first")
    add.add_argument("--chassis", help="the system-id of its Open vSwitch; the name, if not given")
    add.add_argument("--public-key", help="its Ed25519 key in base64, or a file with it; without it, the one that it registers with first")
    add.add_argument("--availability-zone")
    add.set_defaults(func=_add)
    commands.add_parser("list", help="all hypervisors").set_defaults(func=_list)
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


def _list(_asked: argparse.Namespace) -> int:
    def run(tx: Tx) -> str:
        lines = ["id                                    name              zone        state    enabled  servers"]
        for item in host.all_hosts(tx):
            row = item.row
            state = "up" if item.up else "down"
            lines.append(f"{row.id}  {row.name:16}  {row.availability_zone:10}  {state:7}  {row.enabled!s:7}  {item.servers}")
        return "\n".join(lines)

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
