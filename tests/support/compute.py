"""A compute API on a fresh database with an image, a network, a flavor and hosts, and agents that say what a test has them say."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.db import Database
from common.models import Job
from common.rbd import MIB, BlockStore
from common.rbd_memory import Memory
from compute.agent.signing import public_text, sign
from compute.api import SERVICE
from compute.flows import server_create, server_delete
from compute.models import Flavor, Server
from compute.service import host as hosts
from compute.service.agents import AgentEndpoint
from image.models import Image
from network.service import network as networks
from network.service import subnet as subnets
from tests.support.api import OTHER_PROJECT, PROJECT, Client, Tokens, actor, client
from tests.support.work import run_jobs
from volume.flows import volume_create, volume_delete
from volume.models import Volume, VolumeType

FLOWS = (server_create.FLOW, server_delete.FLOW, volume_create.FLOW, volume_delete.FLOW)
RESOURCES = {"vcpus": 4, "memory_mib": 4096, "disk_gib": 100, "hypervisor_type": "QEMU", "hypervisor_version": 7002000, "cpu_info": {}}


class Agent:
    """A host's agent that believes what it pulls: `settle` reports everything as wished."""

    def __init__(self, db: Database, name: str, *, zone: str = "nova", **resources: Any) -> None:
        self.id, self.name, self.db = str(uuid.uuid4()), name, db
        self.key = Ed25519PrivateKey.generate()
        self.resources = {**RESOURCES, "hostname": name, **resources}
        self.endpoint = AgentEndpoint(db)
        self.epoch = self.seq = self.stamp = 0
        self.document: dict[str, Any] | None = None
        db.run(lambda tx: hosts.add(tx, name, host_id=self.id, chassis=f"chassis-{name}", public_key=None, zone=zone))

    def registration(self) -> dict[str, Any]:
        """The next message by which the agent registers."""
        self.stamp += 1
        public = public_text(self.key)
        signature = sign(self.key, self.id, 0, self.stamp, {"name": self.name, "public_key": public})
        return {"host_id": self.id, "name": self.name, "public_key": public, "stamp": self.stamp, "signature": signature}

    def register(self) -> int:
        self.epoch, self.seq = self.endpoint.register({}, **self.registration())["agent_epoch"], 0
        return self.epoch

    def pull(self, digest: str | None = None) -> dict[str, Any]:
        self.seq += 1
        signature = sign(self.key, self.id, self.epoch, self.seq, digest)
        answer = self.endpoint.pull({}, host_id=self.id, agent_epoch=self.epoch, seq=self.seq, digest=digest, signature=signature)
        if "unchanged" not in answer:
            self.document = answer
        return answer

    def body(self, *servers: dict[str, Any], **more: Any) -> dict[str, Any]:
        document = self.document or {"epoch": 1, "digest": None}
        return {
            "epoch": document["epoch"], "digest": document["digest"], "address": "172.31.0.11", "resources": self.resources,
            "servers": list(servers), "unknown": [], "answers": [], **more,
        }  # fmt: skip

    def report(self, *servers: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.seq += 1
        body = self.body(*servers, **more)
        signature = sign(self.key, self.id, self.epoch, self.seq, body)
        return self.endpoint.report({}, host_id=self.id, agent_epoch=self.epoch, seq=self.seq, body=body, signature=signature)

    def up(self) -> Agent:
        self.register()
        self.pull()
        self.report()
        return self

    def settle(self) -> list[dict[str, Any]]:
        """Pull, and report every server as it is wished; what was reported."""
        self.pull()
        assert self.document is not None
        said = [as_wished(server) for server in self.document["servers"]]
        self.report(*said)
        return said


def as_wished(server: dict[str, Any]) -> dict[str, Any]:
    """The entry of a report for a server that is as its document wishes."""
    state = server["desired"] if server["startable"] or server["desired"] == "absent" else "pending"
    here = state != "absent" and server["startable"]
    disks = [
        {
            "id": disk["id"], "generation": disk["generation"], "state": disk["desired"] if here else "absent", "device": disk["device"],
            "limits": disk["limits"],
        }
        for disk in server["disks"]
    ]  # fmt: skip
    return {
        "id": server["id"], "generation": server["generation"], "state": state, "shutdown_by_guest": False,
        "reboots": server["reboots"] if here else 0, "fault": None, "reason": None, "disks": disks, "nics": [], "started_at": None,
    }  # fmt: skip


@dataclass
class World:
    """`api` asks as a member of PROJECT, `admin` as the cloud's administrator, `other` as a member of another project."""

    db: Database
    api: Client
    admin: Client
    other: Client
    blocks: Memory
    agents: list[Agent] = field(default_factory=list)
    image_id: str = ""
    network_id: str = ""

    def agent(self, name: str = "hv1", **more: Any) -> Agent:
        made = Agent(self.db, name, **more).up()
        self.agents.append(made)
        return made

    def body(self, **more: Any) -> dict[str, Any]:
        return {"server": {"name": "vm", "imageRef": self.image_id, "flavorRef": "1", **more}}

    def create(self, by: Client | None = None, ok: int = 202, **more: Any) -> Any:
        answer = (by or self.api).post("/v2.1/servers", self.body(**more), ok=ok)
        return answer["server"] if ok == 202 else next(iter(answer.values()))["message"]

    def show(self, server_id: str, by: Client | None = None) -> Any:
        return (by or self.api).get(f"/v2.1/servers/{server_id}")["server"]

    def act(self, server_id: str, action: str, value: Any = None, ok: int = 202, by: Client | None = None) -> Any:
        answer = (by or self.api).post(f"/v2.1/servers/{server_id}/action", {action: value}, ok=ok)
        return next(iter(answer.values()))["message"] if answer and ok >= 400 else answer

    def work(self) -> int:
        """Run all that is due; how many jobs are left, waiting."""
        return run_jobs(self.db, FLOWS, (BlockStore, self.blocks), most=12)

    def settle(self) -> None:
        """Jobs and agents, until both have nothing to do."""
        for _ in range(4):
            self.work()
            for agent in self.agents:
                agent.settle()

    def active(self, **more: Any) -> str:
        """A server that runs; its id."""
        made = self.create(**more)
        self.settle()
        shown = self.show(made["id"], self.admin)
        assert shown["status"] == "ACTIVE", shown
        return str(made["id"])

    def row(self, server_id: str) -> Server | None:
        return self.db.run(lambda tx: tx.get(Server, server_id))

    def jobs(self) -> list[Job]:
        from sqlalchemy import select

        return self.db.run(lambda tx: list(tx.execute(select(Job)).scalars()))

    def volume(self, size: int = 1, **more: Any) -> str:
        """An available volume of PROJECT; its id."""
        values = {"project_id": PROJECT, "user_id": "u", "size_gib": size, "availability_zone": "nova", "observed_generation": 1, **more}

        def add(tx: Any) -> str:
            row = Volume(**values, type_id=volume_type(tx))
            tx.add(row)
            tx.flush()
            return row.id

        return self.db.run(add)

    def network(self, name: str, project: str = PROJECT, **more: Any) -> str:
        return add_network(self.db, name, project, **more)


def volume_type(tx: Any) -> str:
    """The default volume type's id."""
    from sqlalchemy import select

    found = tx.execute(select(VolumeType.id).where(VolumeType.is_default)).scalar()
    if found is None:
        row = VolumeType(name="default", is_default=True)
        tx.add(row)
        tx.flush()
        found = row.id
    return str(found)


def add_network(db: Database, name: str, project: str = PROJECT, **more: Any) -> str:
    """A network with one subnet, 10.0.0.0/24, whose pool leaves the addresses up to .100 to who asks for one; its id."""
    subnet = {"ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.101", "end": "10.0.0.254"}]}
    who = actor("admin", project)

    def add(tx: Any) -> str:
        made = networks.create(tx, who, {"name": name, **more})
        subnets.create(tx, who, {"network_id": made.id, **subnet})
        return made.id

    return db.run(add)


def add_image(db: Database, blocks: Memory, *, owner: str = PROJECT, size: int = 16 * MIB, **more: Any) -> str:
    """A public raw image with its data in the block store; its id."""
    image_id = str(uuid.uuid4())
    blocks.create("images", image_id, size)
    blocks.snapshot("images", image_id, "snap")
    values = {
        "id": image_id, "name": "cirros", "owner": owner, "visibility": "public", "disk_format": "raw", "container_format": "bare",
        "data": image_id, "size": size, "virtual_size": size, "upload": 1, **more,
    }  # fmt: skip
    db.run(lambda tx: tx.add(Image(**values)))
    return image_id


def add_flavor(db: Database, flavor_id: str = "1", **more: Any) -> None:
    """A flavor of 1 vCPU, 128 MiB, 1 GiB."""
    values = {"id": flavor_id, "name": f"m1.f{flavor_id}", "vcpus": 1, "ram_mib": 128, "disk_gib": 1, **more}
    db.run(lambda tx: tx.add(Flavor(**values)))


def world(db: Database, names: Iterable[str] = ("hv1",), tokens: Tokens | None = None, blocks: Memory | None = None) -> World:
    """A small cloud: one image, one network of PROJECT, one flavor, hosts."""
    made = client(SERVICE, db, tokens)
    blocks = blocks or Memory()
    found = World(db, made.as_(f"member@{PROJECT}"), made.as_("admin@" + "a" * 32), made.as_(f"member@{OTHER_PROJECT}"), blocks)
    add_flavor(db)
    found.image_id = add_image(db, blocks)
    found.network_id = add_network(db, "private")
    for name in names:
        found.agent(name)
    return found
