"""Requests that come at once: what each must not break of the other's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from common.db import Tx
from network.service import floating_ip
from network.service import port as ports
from network.service import router as routers
from tests.api.network_world import World, world
from tests.support.api import PROJECT, actor


@pytest.fixture
def w(db) -> World:
    return world(db)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each answered; all start together."""
    ready, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(n: int, call: Callable[[], Any]) -> None:
        ready.wait(10)
        found[n] = call()

    threads = [threading.Thread(target=run, args=(n, call)) for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def behind(w: World, first: Callable[[Tx], object], call: Callable[[], Any]) -> Any:
    """What `call` answered that came to a lock of `first`'s transaction, and went on after its COMMIT."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with w.db.transaction() as tx:
        first(tx)
        tx.flush()
        thread.start()
        limit = time.monotonic() + 20
        while not tx.scalar(waiting):
            assert time.monotonic() < limit
            assert thread.is_alive(), found
            tx.execute(text("SELECT pg_stat_clear_snapshot()"))
            time.sleep(0.02)
    thread.join(60)
    return found[0]


def codes(answers: list[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def test_a_quota_holds_against_many(w):
    w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": {"network": 3}}, ok=200)
    answers = at_once(*[lambda: w.api("POST", "/v2.0/networks", {"network": {}})] * 8)
    assert codes(answers) == [201] * 3 + [409] * 5


def test_one_address_goes_to_one_port(w):
    net = w.network()["id"]
    w.subnet(net)
    body = {"port": {"network_id": net, "fixed_ips": [{"ip_address": "10.0.0.50"}]}}
    assert codes(at_once(*[lambda: w.api("POST", "/v2.0/ports", body)] * 6)) == [201] + [409] * 5


def test_a_small_subnet_is_shared_out_exactly(w):
    net = w.network()["id"]
    w.subnet(net, "10.0.0.0/29", enable_dhcp=False)
    answers = at_once(*[lambda: w.api("POST", "/v2.0/ports", {"port": {"network_id": net}})] * 8)
    assert codes(answers) == [201] * 5 + [409] * 3
    ips = [answer.json["port"]["fixed_ips"][0]["ip_address"] for answer in answers if answer.status_code == 201]
    assert len(set(ips)) == 5


def test_a_network_is_not_deleted_under_a_new_port(w):
    for _ in range(5):
        net = w.network()["id"]
        w.subnet(net)
        made, gone = at_once(
            lambda net=net: w.api("POST", "/v2.0/ports", {"port": {"network_id": net}}),
            lambda net=net: w.api("DELETE", f"/v2.0/networks/{net}"),
        )
        assert (made.status_code, gone.status_code) in ((201, 409), (404, 204))


def test_overlapping_subnets_do_not_slip_in_together(w):
    net = w.network()["id"]
    body = {"subnet": {"network_id": net, "ip_version": 4, "cidr": "10.0.0.0/24"}}
    assert codes(at_once(*[lambda: w.api("POST", "/v2.0/subnets", body)] * 4)) == [201, 400, 400, 400]


def test_one_gateway_per_router_and_one_leg_per_subnet(w):
    ext, net = w.external()["id"], w.network()["id"]
    sub, router = w.subnet(net)["id"], w.router()["id"]
    body = {"router": {"external_gateway_info": {"network_id": ext}}}
    assert codes(at_once(*[lambda: w.api("PUT", f"/v2.0/routers/{router}", body)] * 3)) == [200] * 3
    assert len(w.admin.get(f"/v2.0/ports?device_id={router}")["ports"]) == 1
    path = f"/v2.0/routers/{router}/add_router_interface"
    assert codes(at_once(*[lambda: w.api("PUT", path, {"subnet_id": sub})] * 3)) == [200, 400, 400]


def test_crossing_locks_give_answers(w):
    """Association against deletion of the port, and a port's move against its subnet's change, ten times over."""
    ext, net = w.external()["id"], w.network()["id"]
    sub = w.subnet(net)["id"]
    router = w.router(external_gateway_info={"network_id": ext})["id"]
    w.add_interface(router, subnet_id=sub)
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext}}, ok=201)["floatingip"]["id"]
    for n in range(10):
        doomed, moved = w.port(net)["id"], w.port(net)["id"]
        move = {"port": {"fixed_ips": [{"ip_address": f"10.0.0.{200 + n}"}]}}
        answers = at_once(
            lambda doomed=doomed: w.api("PUT", f"/v2.0/floatingips/{fip}", {"floatingip": {"port_id": doomed}}),
            lambda doomed=doomed: w.api("DELETE", f"/v2.0/ports/{doomed}"),
            lambda moved=moved, move=move: w.api("PUT", f"/v2.0/ports/{moved}", move),
            lambda n=n: w.api("PUT", f"/v2.0/subnets/{sub}", {"subnet": {"enable_dhcp": bool(n % 2)}}),
        )
        assert answers[0].status_code in (200, 404)
        assert [answer.status_code for answer in answers[1:]] == [204, 200, 200]
        assert w.api.get(f"/v2.0/floatingips/{fip}")["floatingip"]["port_id"] is None


def test_a_floating_ip_is_not_led_through_a_router_that_leaves(w):
    ext, net = w.external()["id"], w.network()["id"]
    sub = w.subnet(net)["id"]
    router = w.router(external_gateway_info={"network_id": ext})["id"]
    w.add_interface(router, subnet_id=sub)
    port = w.port(net)["id"]
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext}}, ok=201)["floatingip"]["id"]
    answer = behind(
        w,
        lambda tx: routers.remove_interface(tx, actor(), router, {"subnet_id": sub}),
        lambda: w.api("PUT", f"/v2.0/floatingips/{fip}", {"floatingip": {"port_id": port}}),
    )
    assert answer.status_code == 409, answer.text
    assert w.api.get(f"/v2.0/floatingips/{fip}")["floatingip"]["router_id"] is None


@pytest.mark.parametrize("leave", ["delete", "move"])
def test_a_floating_ip_led_elsewhere_is_not_taken_off_by_its_old_port(w, leave):
    ext, net = w.external()["id"], w.network()["id"]
    sub = w.subnet(net)["id"]
    w.add_interface(w.router(external_gateway_info={"network_id": ext})["id"], subnet_id=sub)
    old, new = w.port(net)["id"], w.port(net)["id"]
    body = {"floatingip": {"floating_network_id": ext, "port_id": old}}
    fip = w.api.post("/v2.0/floatingips", body, ok=201)["floatingip"]["id"]
    calls = {
        "delete": lambda: w.api("DELETE", f"/v2.0/ports/{old}"),
        "move": lambda: w.api("PUT", f"/v2.0/ports/{old}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.254"}]}}),
    }
    answer = behind(w, lambda tx: floating_ip.update(tx, actor(), fip, {"port_id": new}), calls[leave])
    assert answer.status_code in (200, 204), answer.text
    led = w.api.get(f"/v2.0/floatingips/{fip}")["floatingip"]
    assert (led["port_id"], led["status"]) == (new, "DOWN")
    assert led["fixed_ip_address"]
    assert led["router_id"]


@pytest.fixture
def leg(w) -> dict[str, Any]:
    """A leg of a router with a gateway, a second range on its network to move to, a port and a floating IP."""
    ext, net = w.external()["id"], w.network()["id"]
    sub, free = w.subnet(net)["id"], w.subnet(net, "10.1.0.0/24")["id"]
    router = w.router(external_gateway_info={"network_id": ext})["id"]
    port = w.add_interface(router, subnet_id=sub)["port_id"]
    fip = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext}}, ok=201)["floatingip"]["id"]
    target = w.port(net, fixed_ips=[{"subnet_id": sub}])["id"]
    return {"id": port, "router": router, "move": {"fixed_ips": [{"subnet_id": free}]}, "fip": fip, "target": target}


def test_a_leg_is_not_moved_from_under_a_floating_ip_that_comes(w, leg):
    answer = behind(
        w,
        lambda tx: floating_ip.update(tx, actor(), leg["fip"], {"port_id": leg["target"]}),
        lambda: w.api("PUT", f"/v2.0/ports/{leg['id']}", {"port": leg["move"]}),
    )
    assert answer.json["NeutronError"]["type"] == "RouterInterfaceInUseByFloatingIP"


def test_a_floating_ip_is_not_led_over_a_leg_that_moves_away(w, leg):
    answer = behind(
        w,
        lambda tx: ports.update(tx, actor(), leg["id"], leg["move"]),
        lambda: w.api("PUT", f"/v2.0/floatingips/{leg['fip']}", {"floatingip": {"port_id": leg["target"]}}),
    )
    assert answer.status_code == 409, answer.text


def test_a_leg_is_not_moved_onto_a_range_that_comes(w, leg):
    other = w.subnet(w.network()["id"], "10.1.0.0/16")["id"]
    answer = behind(
        w,
        lambda tx: routers.add_interface(tx, actor(), leg["router"], {"subnet_id": other}),
        lambda: w.api("PUT", f"/v2.0/ports/{leg['id']}", {"port": leg["move"]}),
    )
    assert answer.status_code == 400, answer.text
    assert "overlaps" in answer.json["NeutronError"]["message"]
