"""Every operation of compute with values that do not belong there: a clear 4xx in Nova's shape, never a 5xx."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from common.api.operation import Operation
from compute.api import SERVICE
from compute.service import console
from tests.support import odd
from tests.support.compute import World
from tests.support.samples import sample

QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "name=(", "name=a{3,1}", "name=%5B", "name=%28%3F%3C", "name=\\Q", "name=%5C1", "status=%C3%A9", "ip=(", "ip6=%5B", "changes-since=x", "changes-since=", "deleted=maybe",
    "all_tenants=x", "flavor=%C3%A9", "power_state=x", "is_public=x", "minRam=x", "minDisk=-1", "user_id=%C3%A9", "tenant_id=none", "offset=-1",
    "limit=99999999999999999999", "&&==&", "host=%C3%A9", "binary=x", "sort_key=host&sort_dir=asc&limit=1", "sort_key=task_state&limit=1", "name=%2A",
    "minRam=99999999999", "image=", "vm_state=x&task_state=y", "changes-since=0001-01-01T00:00:00Z", "changes-since=9999-12-31T23:59:59-14:00",
]  # fmt: skip
GOOD: dict[str, Any] = {
    "server": {"name": "n", "flavorRef": "1"}, "flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}, "keypair": {"name": "k"},
    "volumeAttachment": {"volumeId": odd.UUID}, "wolke-setDiskLimits": {"disk": "vda"}, "reboot": {"type": "SOFT"},
}  # fmt: skip
BODIES = [o for o in SERVICE.operations if o.body is not None]


def path_of(operation: Operation, server_id: str, value: str = "1") -> str:
    return "/v2.1" + re.sub(r"\{\w+\}", value, operation.path.replace("{server_id}", server_id))


@pytest.fixture
def ask(cloud: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(console, "ANSWER_SECONDS", 0.0)  # no agent is there to answer
    server_id = cloud.active()

    def call(operation: Operation, body: Any = None, query: str = "", value: str = "1", wrong: list | None = None, path: str = "") -> None:
        raw = json.dumps(body).encode() if operation.method in ("POST", "PUT") else None
        answer = cloud.admin(operation.method, (path or path_of(operation, server_id, value)) + query, raw=raw)
        fine = answer.status_code < 400 or (answer.status_code < 500 and next(iter(answer.json.values()))["message"])
        if not fine and answer.status_code != 503:
            wrong.append((operation.method, operation.path, query or value, body, answer.status_code, answer.text[:300]))

    return call


@pytest.mark.parametrize("operation", BODIES, ids=lambda o: f"{o.method} {o.path} {o.body_key or ''}")
def test_bodies(ask: Any, operation: Operation) -> None:
    wrong: list = []
    envelope = operation.body_key or next(iter(operation.body.shape.get("properties", {"a": 1})))
    made = sample(operation.body.shape)
    made = made.get(envelope) if isinstance(made, dict) else None
    good = {**made, **GOOD.get(envelope, {})} if isinstance(made, dict) else GOOD.get(envelope, made or {"name": "n"})
    for body in odd.bodies(operation, {envelope: good}):
        ask(operation, body, wrong=wrong)
    for value in odd.ODD:
        ask(operation, value, wrong=wrong)
        ask(operation, {envelope: value}, wrong=wrong)
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("field", ["networks", "block_device_mapping_v2", "security_groups", "personality"])
def test_lists_in_a_new_server(ask: Any, cloud: World, field: str) -> None:
    operation = next(o for o in SERVICE.operations if o.method == "POST" and o.path == "/servers")
    known = {
        "networks": ("uuid", "port", "fixed_ip"), "security_groups": ("name",), "personality": ("path", "contents"),
        "block_device_mapping_v2": ("uuid", "source_type", "destination_type", "boot_index", "volume_size", "device_name", "delete_on_termination"),
    }  # fmt: skip
    good = {"source_type": "blank", "destination_type": "volume", "volume_size": 1} if field == "block_device_mapping_v2" else {}
    wrong: list = []
    for name in known[field]:
        values = [*odd.ODD, cloud.network_id, "10.0.0.5", "image", "snapshot", "local", "fe80::1"]
        items = [item for value in values for item in ([{**good, name: value}], [{**good, name: value}, {**good, name: value}])]
        servers = [{"server": {"name": "n", "flavorRef": "1", "imageRef": cloud.image_id, field: item}} for item in items]
        for body in odd.worth_asking(operation, servers, name):
            ask(operation, body, wrong=wrong)
    assert not wrong, wrong[:3]


def test_paths_and_queries(ask: Any) -> None:
    wrong: list = []
    for operation in SERVICE.operations:
        envelope = operation.body_key or (next(iter(operation.body.shape.get("properties", {"a": 1}))) if operation.body else "a")
        body = {envelope: GOOD.get(envelope)}
        for value in odd.PATHS:
            ask(operation, body, value=value, wrong=wrong)
            ask(operation, body, path="/v2.1" + re.sub(r"\{\w+\}", value, operation.path), wrong=wrong)
        if operation.method == "GET":
            for query in QUERIES:
                ask(operation, query="?" + query, wrong=wrong)
    assert not wrong, wrong[:5]
