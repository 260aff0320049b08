"""New servers: everything that a request asks is checked and written in one transaction, or nothing is."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select

from common import jobs
from common.auth import Actor
from common.config import CONF
from common.db import Tx, lock_projects, new_uuid
from common.errors import BadRequest, NotFound
from compute.flows import server_create as flow
from compute.models import Flavor, Host, Keypair, Server
from compute.service import actions, boot, flavor, keypair, metadata, nics, quota
from compute.service.boot import Plan
from compute.service.wishes import NewServer, Nic

PASSWORD_LENGTH = 12
MOST_NAME = 255


@dataclass(frozen=True)
class Prepared:
    """A request, checked: what every one of its servers has in common."""

    flavor: Flavor
    disks: Plan
    nics: list[Nic]
    groups: list[str] | None
    key: Keypair | None
    reservation_id: str


def create(tx: Tx, actor: Actor, wish: NewServer) -> list[Server]:
    """Make the servers. Raises BadRequest, Conflict, OverQuota."""
    lock_projects(tx, actor.project)
    size = _flavor(tx, actor, wish.flavor_id)
    metadata.check(tx, actor.project, dict(wish.metadata))
    _check_zone(tx, wish)
    ready = Prepared(
        flavor=size, disks=boot.plan(tx, actor, wish, size), nics=nics.resolve(tx, actor, wish.nics, count=wish.maximum),
        groups=nics.groups(tx, actor, wish.security_groups), key=_key(tx, actor, wish.key_name),
        reservation_id="r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8)),
    )  # fmt: skip
    count = _count(tx, actor, wish, size)
    return [_one(tx, actor, wish, ready, index, count) for index in range(count)]


def _count(tx: Tx, actor: Actor, wish: NewServer, size: Flavor) -> int:
    """As many servers as quota allows, between the request's bounds. Raises OverQuota."""
    count = quota.most(tx, actor.project, quota.Usage(1, size.vcpus, size.ram_mib), wish.maximum)
    if count < wish.minimum:
        quota.check(tx, actor.project, quota.Usage(wish.minimum, wish.minimum * size.vcpus, wish.minimum * size.ram_mib))
    return count


def _one(tx: Tx, actor: Actor, wish: NewServer, ready: Prepared, index: int, count: int) -> Server:
    server_id = new_uuid()
    suffix = "" if count == 1 else f"-{index + 1}"
    name = wish.name[: MOST_NAME - len(suffix)] + suffix
    size, image = ready.flavor, ready.disks.image
    server = Server(
        id=server_id, name=name, hostname=hostname(name, server_id), project_id=actor.project, user_id=actor.user_id,
        image_id=image.id if image else None, flavor_id=size.id, flavor=_figures(size), vcpus=size.vcpus, memory_mib=size.ram_mib,
        disk_gib=ready.disks.root_gib, root_gib=ready.disks.root_gib, key_name=wish.key_name,
        public_key=ready.key.public_key if ready.key else None, user_data=wish.user_data, meta=dict(wish.metadata),
        access_ip_v4=wish.access_ip_v4, access_ip_v6=wish.access_ip_v6, disk_config=wish.disk_config,
        reservation_id=ready.reservation_id, launch_index=index, availability_zone=wish.availability_zone, forced_host=wish.forced_host,
    )  # fmt: skip
    tx.add(server)
    tx.flush()
    nics.plug(tx, actor, server_id, ready.nics, ready.groups, wish.availability_zone or CONF.compute.availability_zone)
    boot.attach_all(tx, actor, server_id, ready.disks)
    actions.record(tx, actor, server_id, "create")
    jobs.enqueue(tx, flow.FLOW, server_id, actor=actor.user_id, project_id=actor.project)
    return server


def _figures(size: Flavor) -> dict[str, Any]:
    """The flavor as the server remembers it."""
    return {
        "id": size.id, "name": size.name, "vcpus": size.vcpus, "ram": size.ram_mib, "disk": size.disk_gib,
        "ephemeral": size.ephemeral_gib, "swap": size.swap_mib, "extra_specs": dict(size.extra_specs),
    }  # fmt: skip


def _flavor(tx: Tx, actor: Actor, flavor_id: str) -> Flavor:
    try:
        return flavor.get(tx, actor, flavor_id)
    except NotFound as error:
        raise BadRequest(error.message) from None


def _key(tx: Tx, actor: Actor, name: str | None) -> Keypair | None:
    if name is None:
        return None
    try:
        return keypair.get(tx, actor.user_id, name)
    except NotFound:
        raise BadRequest("Invalid key_name provided.") from None


def _check_zone(tx: Tx, wish: NewServer) -> None:
    zone, host = wish.availability_zone, wish.forced_host
    if zone and not tx.execute(select(exists().where(Host.availability_zone == zone))).scalar():
        raise BadRequest("The requested availability zone is not available")
    if host and not tx.execute(select(exists().where(Host.name == host))).scalar():
        raise BadRequest(f"Compute host {host} could not be found.")


def hostname(name: str, server_id: str) -> str:
    """A host name (RFC 1123, at most 63 characters) that is like the server's name."""
    made = re.sub(r"[^a-z0-9.-]+", "-", name.lower().replace("_", "-").replace(" ", "-"))[:63].strip("-.")
    return made or f"server-{server_id}"[:63]


def password() -> str:
    """A new password for the administrator of a guest."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(PASSWORD_LENGTH))
