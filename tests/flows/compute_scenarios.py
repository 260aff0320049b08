"""The stories of servers for the gate: made, made on a volume, without room, deleted, deleted under way."""

from __future__ import annotations

from sqlalchemy import func, select

from common.db import Database
from common.models import Job
from common.rbd import BlockStore
from common.rbd_memory import Memory
from compute.models import Allocation, Server
from compute.names import disk_name
from compute.service import limits
from network.models import Port
from tests.flows.gate import Scenario
from tests.support.api import actor
from tests.support.compute import FLOWS, World, add_flavor, volume_type, world
from volume.models import Attachment, Volume


class Create(Scenario):
    """A server is made and its host starts it; a disk's limits may change under way."""

    name = "server.create"
    flows = FLOWS
    can_edit = True

    def __init__(self) -> None:
        self.blocks = Memory()
        self.cloud: World | None = None
        self.server_id = ""

    def engines(self) -> list[tuple[type, object]]:
        return [(BlockStore, self.blocks)]

    def begin(self, db: Database) -> str:
        self.cloud = world(db, blocks=self.blocks)
        self.server_id = self.cloud.create(**self.wish(self.cloud))["id"]
        return self.server_id

    def wish(self, cloud: World) -> dict:
        return {}

    def outside(self, db: Database) -> None:
        if self.cloud is not None:
            for agent in self.cloud.agents:
                agent.settle()

    def edit(self, db: Database, subject_id: str) -> None:
        db.run(lambda tx: limits.change(tx, actor("admin"), subject_id, "vda", {"total_iops_sec": 50}))

    def delete(self) -> None:
        """As a tenant does."""
        self.cloud.api.delete(f"/v2.1/servers/{self.server_id}", ok=None)

    def check(self, db: Database) -> None:
        self.outside(db)
        with db.transaction() as tx:
            server = tx.execute(select(Server)).scalar_one()
            assert tx.execute(select(Allocation.server_id)).scalars().all() == [server.id]
            ports = tx.execute(select(Port.host_id).where(Port.device_id == server.id, Port.desired == "present")).scalars().all()
        assert ports == ["hv1"]
        assert server.settled
        assert server.fault is None
        assert self.cloud.show(server.id)["status"] == "ACTIVE"
        self.check_disks(server.id)

    def check_disks(self, server_id: str) -> None:
        assert self.blocks.names("vms") == [disk_name(server_id)]

    def check_gone(self, db: Database) -> None:
        with db.transaction() as tx:
            for table in (Server, Allocation, Attachment, Volume, Job):
                assert tx.execute(select(func.count()).select_from(table)).scalar() == 0, table
            mine = select(func.count()).select_from(Port).where(Port.device_id == self.server_id, Port.desired == "present")
            assert tx.execute(mine).scalar() == 0
        assert self.blocks.names("vms") == []
        assert self.blocks.names("volumes") == []
        assert self.blocks.names("images") == [self.cloud.image_id]

    def check_failed(self, db: Database) -> None:
        with db.transaction() as tx:
            server = tx.execute(select(Server)).scalar_one()
            assert tx.execute(select(Allocation)).all() == []
            assert tx.execute(select(Port.host_id).where(Port.device_id == server.id)).scalars().all() == [""]
        assert server.fault["code"] == 500
        assert self.cloud.show(server.id)["status"] == "ERROR"


class CreateOnVolume(Create):
    """A server boots from a volume that is made of the image in the same request; it may be deleted under way, the volume with it."""

    name = "server.create-on-volume"

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    def wish(self, cloud: World) -> dict:
        cloud.db.run(volume_type)
        device = {
            "source_type": "image", "destination_type": "volume", "uuid": cloud.image_id, "boot_index": 0, "volume_size": 1,
            "delete_on_termination": True,
        }  # fmt: skip
        return {"imageRef": "", "block_device_mapping_v2": [device]}

    def edit(self, db: Database, subject_id: str) -> None:
        self.gone = True
        self.delete()

    def check(self, db: Database) -> None:
        if self.gone:
            self.check_gone(db)
        else:
            super().check(db)

    def check_disks(self, server_id: str) -> None:
        assert self.blocks.names("vms") == []
        assert len(self.blocks.names("volumes")) == 1


class NoRoom(Create):
    """No host has room: the server fails with the reasons and takes nothing."""

    name = "server.create-no-room"
    can_edit = False

    def wish(self, cloud: World) -> dict:
        add_flavor(cloud.db, "huge", ram_mib=16384)
        return {"flavorRef": "huge"}

    def check(self, db: Database) -> None:
        self.check_failed(db)
        assert self.blocks.names("vms") == []
        assert self.cloud.show(self.server_id)["fault"]["message"].startswith("No valid host was found. Of 1 host: 1 without")


class Delete(Create):
    """A server that runs is deleted: nothing is left."""

    name = "server.delete"
    can_edit = False

    def begin(self, db: Database) -> str:
        super().begin(db)
        self.cloud.settle()
        assert self.cloud.show(self.server_id)["status"] == "ACTIVE"
        self.delete()
        return self.server_id

    def check(self, db: Database) -> None:
        self.check_gone(db)

    def check_failed(self, db: Database) -> None:
        with db.transaction() as tx:
            assert tx.execute(select(Server)).scalar_one().desired == "absent"


class DeleteUnderWay(Create):
    """The delete comes between any two steps of the making."""

    name = "server.delete-under-way"

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    def edit(self, db: Database, subject_id: str) -> None:
        self.gone = True
        self.delete()

    def check(self, db: Database) -> None:
        if self.gone:
            self.check_gone(db)
        else:
            super().check(db)


class DeleteFailed(NoRoom):
    """A server that failed is deleted."""

    name = "server.delete-failed"

    def begin(self, db: Database) -> str:
        super().begin(db)
        self.cloud.work()
        self.delete()
        return self.server_id

    def check(self, db: Database) -> None:
        self.check_gone(db)

    def check_failed(self, db: Database) -> None:
        with db.transaction() as tx:
            assert tx.execute(select(Server)).scalar_one().desired == "absent"


SCENARIOS = [Create, CreateOnVolume, NoRoom, Delete, DeleteUnderWay, DeleteFailed]
