"""Every operation of the network API with values that do not belong there: a clear 4xx in Neutron's shape, never a 5xx."""

from __future__ import annotations

import re
from typing import Any

import pytest

from common.api.operation import Operation
from network.api import SERVICE
from tests.api.network_world import World, world
from tests.support import odd
from tests.support.api import PROJECT

ODD: list[Any] = [
    *odd.ODD, "x" * 60, "10.0.0.9", "fe80::1", "fd00::/64", "0.0.0.0/0", "10.0.0.0/33", "255.255.255.255", "::ffff:10.0.0.1", "01:00:5e:00:00:01", "10",
    "10.0.0.1/24", "1.2.3", "0x0a000001", "fe80::1%eth0", "١.٢.٣.٤", "²", "٢",
]  # fmt: skip
QUERIES = [
    "limit=-1", "limit=--5", "limit=x", "limit=0", "limit=1&marker=none", "limit=1&marker=%00", "sort_key=none", "sort_key=name&sort_dir=up", "name=%ff", "name=%00",
    "id=%00", "admin_state_up=x", "shared=", "shared=maybe", "mtu=x", "mtu=99999999999", "mtu=%C2%B2", "mtu=", "revision_number=%D9%A2",
    "fixed_ips=x", "fixed_ips=subnet_id%3D%00", "fixed_ips=", "security_groups=%00", "router:external=x", "page_reverse=x", "page_reverse=",
    "limit=99999999999999999999", "limit=1&page_reverse=true&marker=none", "fields=%00", "fields=", "tenant_id=%00", "project_id=" + "x" * 300,
    "ip_version=4.0", "ip_version=-4", "port_range_min=x", "status=%C3%A9", "&&==&", "name=", "sort_key=tenant_id&limit=1", "sort_key=created_at&limit=1",
    "name=a&name=b&name=", "enable_dhcp=%00", "is_default=2", "direction=%00", "protocol=%C3%A9",
]  # fmt: skip
QUOTAS = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
BODIES = [operation for operation in SERVICE.operations if operation.body is not None]


@pytest.fixture
def w(db) -> World:
    return world(db)


@pytest.fixture
def there(w) -> dict[str, str]:
    """One of each."""
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"])
    spare, free = w.network("spare"), w.subnet(w.network("free")["id"], "10.66.0.0/24")
    router = w.router(external_gateway_info={"network_id": ext["id"]})
    w.add_interface(router["id"], subnet_id=sub["id"])
    port = w.port(net["id"])
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext["id"]}}, ok=201)["floatingip"]
    return {
        "networks": net["id"], "subnets": sub["id"], "routers": router["id"], "ports": port["id"], "floatingips": fip["id"],
        "security-groups": port["security_groups"][0], "quotas": PROJECT, "external": ext["id"], "spare": spare["id"], "free": free["id"],
        "address": port["fixed_ips"][0]["ip_address"],
    }  # fmt: skip


def good(there: dict[str, str]) -> dict[str, Any]:
    """Bodies that the handlers take, by the operation."""
    pair = {"ip_address": "10.0.0.7", "mac_address": "fa:16:3e:00:00:07"}
    gateway = {"external_gateway_info": {"network_id": there["external"], "enable_snat": True}}
    rule = {
        "security_group_id": there["security-groups"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 1,
        "port_range_max": 2,
    }
    return {
        "POST /networks": {"network": {"name": "n"}}, "PUT /networks/{id}": {"network": {"name": "n"}},
        "POST /subnets": {"subnet": {"network_id": there["spare"], "ip_version": 4, "cidr": "10.77.0.0/24"}},
        "PUT /subnets/{id}": {"subnet": {"host_routes": [{"destination": "10.9.0.0/24", "nexthop": "10.0.0.8"}]}},
        "POST /ports": {"port": {"network_id": there["networks"], "fixed_ips": [{"subnet_id": there["subnets"]}]}},
        "PUT /ports/{id}": {"port": {"allowed_address_pairs": [pair], "security_groups": [there["security-groups"]]}},
        "POST /routers": {"router": gateway}, "PUT /routers/{id}": {"router": gateway},
        "PUT /routers/{id}/add_router_interface": {"subnet_id": there["free"]},
        "PUT /routers/{id}/remove_router_interface": {"subnet_id": there["subnets"]},
        "POST /floatingips": {"floatingip": {"floating_network_id": there["external"], "description": "d"}},
        "PUT /floatingips/{id}": {"floatingip": {"port_id": there["ports"], "fixed_ip_address": there["address"]}},
        "POST /security-groups": {"security_group": {"name": "g"}}, "PUT /security-groups/{id}": {"security_group": {"description": "d"}},
        "POST /security-group-rules": {"security_group_rule": rule}, "PUT /quotas/{quota_project}": {"quota": {"network": 5}},
    }  # fmt: skip


def again(w: World, operation: Operation, there: dict[str, str], made: Any) -> None:
    """Undo what a request that was taken did, where no other would be taken after it."""
    if operation.path.endswith("_router_interface"):
        verb, subnet = ("remove", there["free"]) if "/add_" in operation.path else ("add", there["subnets"])
        w.admin.put(f"/v2.0/routers/{there['routers']}/{verb}_router_interface", {"subnet_id": subnet}, ok=200)
    elif operation.method == "POST" and operation.path in ("/subnets", "/security-group-rules"):
        rows = [row for value in made.values() for row in (value if isinstance(value, list) else [value])]
        for row in rows:
            w.admin.delete(f"/v2.0{operation.path}/{row['id']}")


def path_of(operation: Operation, there: dict[str, str], value: str = "") -> str:
    collection = operation.path.split("/")[1]
    return "/v2.0" + re.sub(r"\{\w+\}", value or there.get(collection, odd.UUID), operation.path)


def wrong_answer(answer: Any) -> bool:
    return answer.status_code >= 500 or (answer.status_code >= 400 and not answer.json["NeutronError"]["message"])


@pytest.mark.parametrize("operation", BODIES, ids=odd.title)
def test_bodies(w, there, operation):
    assert operation.body is not None
    start, path, wrong = good(there)[odd.title(operation)], path_of(operation, there), []
    w.admin.put(f"/v2.0/quotas/{'a' * 32}", {"quota": dict.fromkeys(QUOTAS, -1)}, ok=200)

    def ask(body: Any) -> Any:
        answer = w.admin(operation.method, path, body)
        if wrong_answer(answer):
            wrong.append((body, answer.status_code, answer.text[:300]))
        elif answer.status_code < 300:
            again(w, operation, there, answer.json)
        return answer

    odd.must_fit(operation, start)
    answer = ask(start)
    assert answer.status_code < 300, f"It does not take what odd values are to be put into, {start}: {answer.text}"
    for place in odd.places_of(operation, start):
        several = place[0].endswith("s")
        if several and len(place) > 1:
            continue
        for body in odd.worth_asking(operation, [odd.put({} if several else start, place, value) for value in ODD], place):
            ask(body)
    for value in ODD:
        ask(value)
    assert not wrong, wrong[:3]


def test_paths_and_queries(w, there):
    wrong = []
    for operation in SERVICE.operations:
        for value in odd.PATHS if "{" in operation.path else ():
            answer = w.admin(operation.method, path_of(operation, there, value), {} if operation.method in ("POST", "PUT") else None)
            if wrong_answer(answer):
                wrong.append((operation.method, operation.path, value, answer.status_code, answer.text[:300]))
        for query in QUERIES if operation.method == "GET" else ():
            answer = w.admin("GET", path_of(operation, there) + "?" + query)
            if wrong_answer(answer):
                wrong.append((operation.method, operation.path, query, answer.status_code, answer.text[:300]))
    assert not wrong, wrong[:5]
