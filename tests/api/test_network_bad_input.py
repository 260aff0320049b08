"""Every operation of the network API with values that do not belong there: a clear 4xx in Neutron's shape, never a 5xx."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from common.api.operation import Operation
from network.api import SERVICE
from tests.api.network_world import World, world
from tests.support.api import PROJECT

UUID = "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"
ODD: list[Any] = [
    None, True, 5, -1, 2**70, 1.5, "", " ", "x" * 300, "x" * 60, "\x00", "\ud800", "é", "5\n", "true\n", "yeſ", "%", "'; --", [], [None], {}, {"a": {"b": []}}, "../..", 0, UUID,
    "10.0.0.9", "fe80::1", "fd00::/64", "0.0.0.0/0", "10.0.0.0/33", "255.255.255.255", "::ffff:10.0.0.1", "01:00:5e:00:00:01", "10", "10.0.0.1/24",
    "1.2.3", "0x0a000001", "fe80::1%eth0", "١.٢.٣.٤", "²", "٢",
]  # fmt: skip
PATHS = ["none", "%00", quote("é"), "x" * 300, "%2e%2e", "%ff", "a%20b", "%27", UUID]
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "limit=1&marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "id=%00", "admin_state_up=x", "shared=", "shared=maybe", "mtu=x", "mtu=99999999999", "mtu=%C2%B2", "mtu=", "revision_number=%D9%A2",
    "fixed_ips=x", "fixed_ips=subnet_id%3D%00", "fixed_ips=", "security_groups=%00", "router:external=x", "page_reverse=x", "page_reverse=",
    "limit=99999999999999999999", "limit=1&page_reverse=true&marker=none", "fields=%00", "fields=", "tenant_id=%00", "project_id=" + "x" * 300,
    "ip_version=4.0", "ip_version=-4", "port_range_min=x", "status=%C3%A9", "&&==&", "name=", "sort_key=tenant_id&limit=1", "sort_key=created_at&limit=1",
    "name=a&name=b&name=", "enable_dhcp=%00", "is_default=2", "direction=%00", "protocol=%C3%A9",
]  # fmt: skip
BODIES = [operation for operation in SERVICE.operations if operation.body is not None]


def places(shape: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a shape, and those of what its lists hold."""
    for option in shape.get("anyOf", ()):
        yield from places(option, above)
    for name, inner in shape.get("properties", {}).items():
        yield (*above, name)
        yield from places(inner, (*above, name))
    if isinstance(shape.get("items"), dict):
        yield (*above, 0)
        yield from places(shape["items"], (*above, 0))


def put(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The body with `value` at `place`; what leads there is made."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        inner = body[0] if isinstance(body, list) and body else None
        return [put(inner, rest, value)]
    made = dict(body) if isinstance(body, dict) else {}
    made[key] = put(made.get(key), rest, value)
    return made


@pytest.fixture
def w(db) -> World:
    return world(db)


@pytest.fixture
def there(w) -> dict[str, str]:
    """One of each."""
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"])
    router = w.router(external_gateway_info={"network_id": ext["id"]})
    w.add_interface(router["id"], subnet_id=sub["id"])
    port = w.port(net["id"])
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext["id"]}}, ok=201)["floatingip"]
    return {
        "networks": net["id"], "subnets": sub["id"], "routers": router["id"], "ports": port["id"], "floatingips": fip["id"],
        "security-groups": port["security_groups"][0], "quotas": PROJECT, "external": ext["id"],
    }  # fmt: skip


def good(there: dict[str, str]) -> dict[str, Any]:
    """What each envelope needs at least."""
    return {
        "network": {"name": "n"},
        "subnet": {"network_id": there["networks"], "ip_version": 4, "cidr": "10.77.0.0/24"},
        "port": {"network_id": there["networks"]},
        "router": {"external_gateway_info": {"network_id": there["external"]}},
        "floatingip": {"floating_network_id": there["external"]},
        "security_group": {"name": "g"},
        "security_group_rule": {"security_group_id": there["security-groups"], "direction": "ingress", "protocol": "tcp"},
        "quota": {},
    }


def path_of(operation: Operation, there: dict[str, str], value: str = "") -> str:
    collection = operation.path.split("/")[1]
    return "/v2.0" + re.sub(r"\{\w+\}", value or there.get(collection, UUID), operation.path)


def wrong_answer(answer: Any) -> bool:
    return answer.status_code >= 500 or (answer.status_code >= 400 and not answer.json["NeutronError"]["message"])


@pytest.mark.parametrize("operation", BODIES, ids=lambda o: f"{o.method} {o.path}")
def test_bodies(w, there, operation):
    assert operation.body is not None
    shape, base = operation.body.shape, good(there)
    path, wrong = path_of(operation, there), []
    w.admin.put(f"/v2.0/quotas/{'a' * 32}", {"quota": dict.fromkeys(base.keys() - {"quota"}, -1)}, ok=200)

    def ask(body: Any) -> None:
        answer = w.admin(operation.method, path, body)
        if wrong_answer(answer):
            wrong.append((body, answer.status_code, answer.text[:300]))

    for place in places(shape):
        if place[0].endswith("s") and len(place) > 1:
            continue
        start = {place[0]: copy.deepcopy(base.get(place[0], {}))} if place[0] in base else {}
        if operation.method == "PUT" and place[0] in base:
            start = {place[0]: {}}
        for value in ODD:
            ask(put(start, place, value))
    for value in ODD:
        ask(value)
    assert not wrong, wrong[:3]


def test_paths_and_queries(w, there):
    wrong = []
    for operation in SERVICE.operations:
        for value in PATHS:
            answer = w.admin(operation.method, path_of(operation, there, value), {} if operation.method in ("POST", "PUT") else None)
            if wrong_answer(answer):
                wrong.append((operation.method, operation.path, value, answer.status_code, answer.text[:300]))
        for query in QUERIES if operation.method == "GET" else ():
            answer = w.admin("GET", path_of(operation, there) + "?" + query)
            if wrong_answer(answer):
                wrong.append((operation.method, operation.path, query, answer.status_code, answer.text[:300]))
    assert not wrong, wrong[:5]
