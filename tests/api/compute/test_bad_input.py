"""Every operation of compute with values that do not belong there: a clear 4xx in Nova's shape, never a 5xx."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import delete

from common.api.operation import Operation
from compute.api import SERVICE
from compute.service import console
from tests.support import odd
from tests.support.api import PROJECT, Client
from tests.support.compute import World, add_flavor
from tests.support.odd import FRESH
from tests.support.samples import sample
from volume.models import Attachment

QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name=(", "name=a{3,1}", "name=%5B", "name=%28%3F%3C", "name=\\Q", "name=%5C1", "status=%C3%A9", "ip=(", "ip6=%5B", "changes-since=x", "changes-since=", "deleted=maybe",
    "all_tenants=x", "flavor=%C3%A9", "power_state=x", "is_public=x", "minRam=x", "minDisk=-1", "user_id=%C3%A9", "tenant_id=none", "offset=-1",
    "limit=99999999999999999999", "&&==&", "host=%C3%A9", "binary=x", "sort_key=host&sort_dir=asc&limit=1", "sort_key=task_state&limit=1", "name=%2A",
    "minRam=99999999999", "image=", "vm_state=x&task_state=y", "changes-since=0001-01-01T00:00:00Z", "changes-since=9999-12-31T23:59:59-14:00",
]  # fmt: skip
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhk7xnou9+QZPyYVASkzhWccuUQYz0B7uXuWzg/vsFu n"
BODIES = [o for o in SERVICE.operations if o.body is not None]
MANY = ("instances", "cores", "ram", "key_pairs")


def path_of(operation: Operation, server_id: str, value: str = "1") -> str:
    path = operation.path.replace("{server_id}", server_id).replace("{flavor_id}/action", "own/action")
    return "/v2.1" + re.sub(r"\{\w+\}", value, path)


@dataclass
class Asker:
    """`wrong` holds what was answered as it must not be."""

    cloud: World
    server_id: str
    wrong: list[Any] = field(default_factory=list)

    @property
    def client(self) -> Client:
        """The administrator, in the server's project."""
        return self.cloud.admin.as_(f"admin@{PROJECT}")

    def __call__(self, operation: Operation, body: Any = None, query: str = "", value: str = "1", path: str = "") -> int:
        raw = odd.fresh(json.dumps(body)).encode() if operation.method in ("POST", "PUT") else None
        answer = self.client(operation.method, (path or path_of(operation, self.server_id, value)) + query, raw=raw)
        fine = answer.status_code < 400 or (answer.status_code < 500 and next(iter(answer.json.values()))["message"])
        # No agent is there to say what is on the console.
        if not fine and (answer.status_code, operation.body_key) != (503, "os-getConsoleOutput"):
            self.wrong.append((operation.method, operation.path, query or value, body, answer.status_code, answer.text[:300]))
        return int(answer.status_code)

    def start(self, operation: Operation) -> Any:
        """A body that the handler takes."""
        assert operation.body is not None
        return good(self.cloud).get(operation.body_key or f"{operation.method} {operation.path}") or sample(operation.body.shape)

    def ready(self, operation: Operation, *, first: bool = False) -> None:
        """Bring about what a request needs, and one that was taken has ended; what takes long, once."""
        server = f"/v2.1/servers/{self.server_id}/action"
        if operation.body_key == "os-start" and first:
            self.client.post(server, {"os-stop": None}, ok=202)
            self.cloud.settle()
        elif operation.body_key == "removeSecurityGroup":
            self.client.post(server, {"addSecurityGroup": {"name": "default"}})
        elif operation.body_key == "removeTenantAccess":
            self.client.post("/v2.1/flavors/own/action", {"addTenantAccess": {"tenant": PROJECT}})
        elif operation.path.endswith("/os-volume_attachments"):
            self.cloud.db.run(lambda tx: tx.execute(delete(Attachment)))
        elif operation.path.endswith("os-extra_specs/{key}") and first:
            self.client.post("/v2.1/flavors/1/os-extra_specs", {"extra_specs": {"1": "u"}}, ok=200)


@pytest.fixture
def ask(cloud: World, monkeypatch: pytest.MonkeyPatch) -> Asker:
    monkeypatch.setattr(console, "ANSWER_SECONDS", 0.0)  # no agent is there to answer
    cloud.admin.put(f"/v2.1/os-quota-sets/{PROJECT}", {"quota_set": dict.fromkeys(MANY, -1)}, ok=200)
    add_flavor(cloud.db, "own", is_public=False)
    return Asker(cloud, cloud.active())


def good(cloud: World) -> dict[str, Any]:
    """Bodies that the handlers take, by the action or the operation; for others the least that the shape takes."""
    service, group = {"host": "hv1", "binary": "nova-compute"}, {"name": "default"}
    nic, disk = {"uuid": cloud.network_id}, {"boot_index": 0, "uuid": cloud.image_id, "source_type": "image", "destination_type": "local"}
    new = {"name": "n", "flavorRef": "1", "imageRef": cloud.image_id, "networks": [nic], "block_device_mapping_v2": [disk]}
    flavor = {"name": FRESH, "ram": 1, "vcpus": 1, "disk": 1}
    return {
        "POST /servers": {"server": {**new, "metadata": {"k": "v"}}}, "PUT /servers/{server_id}": {"server": {"name": "m"}},
        "os-start": {"os-start": None}, "os-getConsoleOutput": {"os-getConsoleOutput": {"length": 1}}, "reboot": {"reboot": {"type": "SOFT"}},
        "addSecurityGroup": {"addSecurityGroup": group}, "removeSecurityGroup": {"removeSecurityGroup": group},
        "wolke-setDiskLimits": {"wolke-setDiskLimits": {"disk": "vda", "total_bytes_sec": 1 << 20}},
        **{f"{method} /servers/{{server_id}}/metadata": {"metadata": {"k": "v"}} for method in ("POST", "PUT")},
        "PUT /servers/{server_id}/metadata/{key}": {"meta": {"1": "v"}},
        "POST /servers/{server_id}/os-volume_attachments": {"volumeAttachment": {"volumeId": cloud.volume()}},
        "POST /flavors": {"flavor": flavor}, "POST /flavors/{flavor_id}/os-extra_specs": {"extra_specs": {"hw:cpu_policy": "shared"}},
        "PUT /flavors/{flavor_id}/os-extra_specs/{key}": {"1": "v"}, "addTenantAccess": {"addTenantAccess": {"tenant": FRESH}},
        "removeTenantAccess": {"removeTenantAccess": {"tenant": PROJECT}},
        "POST /os-keypairs": {"keypair": {"name": FRESH, "public_key": PUBLIC_KEY}},
        "PUT /os-services/enable": service, "PUT /os-services/disable": service,
        "PUT /os-services/disable-log-reason": {**service, "disabled_reason": "why"}, "PUT /os-quota-sets/{target_id}": {"quota_set": {"cores": 5}},
    }  # fmt: skip


@pytest.mark.parametrize("operation", BODIES, ids=odd.title)
def test_bodies(ask: Asker, operation: Operation) -> None:
    start = ask.start(operation)
    envelope = next(iter(start))
    ask.ready(operation, first=True)
    status = ask(operation, start)
    assert status < 300 or (status, envelope) == (503, "os-getConsoleOutput"), ask.wrong or f"It does not take {start}: {status}"
    for body in odd.bodies(operation, [start]):
        ask.ready(operation)
        ask(operation, body)
    for value in odd.ODD:
        ask(operation, value)
        ask(operation, {envelope: value})
    assert not ask.wrong, ask.wrong[:3]


@pytest.mark.parametrize("field", ["networks", "block_device_mapping_v2", "security_groups", "personality"])
def test_lists_in_a_new_server(ask: Asker, cloud: World, field: str) -> None:
    operation = next(o for o in SERVICE.operations if o.method == "POST" and o.path == "/servers")
    known = {
        "networks": ("uuid", "port", "fixed_ip"), "security_groups": ("name",), "personality": ("path", "contents"),
        "block_device_mapping_v2": ("uuid", "source_type", "destination_type", "boot_index", "volume_size", "device_name", "delete_on_termination"),
    }  # fmt: skip
    good = {"source_type": "blank", "destination_type": "volume", "volume_size": 1} if field == "block_device_mapping_v2" else {}
    for name in known[field]:
        values = [*odd.ODD, cloud.network_id, "10.0.0.5", "image", "snapshot", "local", "fe80::1"]
        items = [item for value in values for item in ([{**good, name: value}], [{**good, name: value}, {**good, name: value}])]
        servers = [{"server": {"name": "n", "flavorRef": "1", "imageRef": cloud.image_id, field: item}} for item in items]
        for body in odd.worth_asking(operation, servers, name):
            ask(operation, body)
    assert not ask.wrong, ask.wrong[:3]


def test_paths_and_queries(ask: Asker) -> None:
    for operation in SERVICE.operations:
        body = ask.start(operation) if operation.body else None
        for value in odd.PATHS if "{" in operation.path else ():
            ask(operation, body, value=value)
            ask(operation, body, path="/v2.1" + re.sub(r"\{\w+\}", value, operation.path))
        if operation.method == "GET":
            for query in QUERIES:
                ask(operation, query="?" + query)
    assert not ask.wrong, ask.wrong[:5]
