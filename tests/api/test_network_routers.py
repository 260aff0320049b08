"""Routers, floating IPs and security groups, as stories told to the API."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import delete, select

from network.models import FixedIp, FloatingIp, Port, Router, SecurityGroup
from network.service import security_group
from tests.api.network_world import World, world
from tests.support.api import PROJECT


@pytest.fixture
def w(db) -> World:
    return world(db)


@pytest.fixture
def routed(w):
    """A network behind a router with a gateway, and a port on it."""
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"])
    router = w.router(external_gateway_info={"network_id": ext["id"]})
    w.add_interface(router["id"], subnet_id=sub["id"])
    return {"ext": ext["id"], "net": net["id"], "sub": sub["id"], "router": router["id"], "port": w.port(net["id"])["id"]}


def test_a_router_lives(w):
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"])
    router = w.router()
    assert (router["external_gateway_info"], router["status"], router["admin_state_up"]) == (None, "ACTIVE", True)
    path = f"/v2.0/routers/{router['id']}"
    info = {"network_id": ext["id"], "external_fixed_ips": [{"ip_address": "203.0.113.77"}], "enable_snat": False}
    w.error("PUT", path, {"router": {"external_gateway_info": info}}, 403, "PolicyNotAuthorized")
    shown = w.admin.put(path, {"router": {"external_gateway_info": info}}, ok=200)["router"]["external_gateway_info"]
    assert (shown["external_fixed_ips"][0]["ip_address"], shown["enable_snat"]) == ("203.0.113.77", False)
    added = w.add_interface(router["id"], subnet_id=sub["id"])
    assert (added["id"], added["subnet_id"], added["network_id"]) == (router["id"], sub["id"], net["id"])
    [leg] = w.api.get(f"/v2.0/ports?device_id={router['id']}")["ports"]
    assert (leg["id"], leg["device_owner"]) == (added["port_id"], "network:router_interface")
    assert leg["fixed_ips"] == [{"subnet_id": sub["id"], "ip_address": "10.0.0.1"}]
    assert leg["security_groups"] == []
    assert len(w.admin.get(f"/v2.0/ports?device_id={router['id']}")["ports"]) == 2
    w.error("DELETE", path, None, 409, "RouterInUse")
    w.error("PUT", f"/v2.0/ports/{leg['id']}", {"port": {"device_id": "x"}}, 403, "PolicyNotAuthorized")
    moved = {"port": {"fixed_ips": [{"ip_address": "10.0.0.1"}, {"ip_address": "10.0.0.77"}]}}
    assert len(w.api.put(f"/v2.0/ports/{leg['id']}", moved, ok=200)["port"]["fixed_ips"]) == 2
    w.error("DELETE", f"/v2.0/ports/{leg['id']}", None, 409, "ServicePortInUse")
    w.error("DELETE", f"/v2.0/subnets/{sub['id']}", None, 409, "SubnetInUse")
    removed = w.api.put(f"{path}/remove_router_interface", {"subnet_id": sub["id"]}, ok=200)
    assert removed["port_id"] == leg["id"]
    w.error("PUT", f"{path}/remove_router_interface", {"subnet_id": sub["id"]}, 404, "RouterInterfaceNotFoundForSubnet")
    assert w.api.put(path, {"router": {"external_gateway_info": {}}}, ok=200)["router"]["external_gateway_info"] is None
    w.api.delete(path)
    w.error("GET", path, None, 404, "RouterNotFound")


def test_interfaces_by_port(w):
    net, router = w.network(), w.router()
    w.subnet(net["id"])
    port = w.port(net["id"])
    w.add_interface(router["id"], port_id=port["id"])
    assert w.api.get(f"/v2.0/ports/{port['id']}")["port"]["device_id"] == router["id"]
    second = w.router()
    assert w.add_interface(second["id"], ok=409, port_id=port["id"])["NeutronError"]["type"] == "PortInUse"
    w.api.put(f"/v2.0/routers/{router['id']}/remove_router_interface", {"port_id": port["id"]}, ok=200)
    w.error("GET", f"/v2.0/ports/{port['id']}", None, 404, "PortNotFound")


def test_nobody_takes_the_gateway_of_anothers_shared_network(w):
    shared = w.network(by=w.admin, shared=True)
    sub, router = w.subnet(shared["id"], by=w.admin), w.router()
    w.error("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": sub["id"]}, 403, "PolicyNotAuthorized")
    w.add_interface(router["id"], port_id=w.port(shared["id"])["id"])


def test_bad_interfaces(w):
    net, foreign, router = w.network(), w.network(by=w.other), w.router()
    sub = w.subnet(net["id"])
    other = w.subnet(foreign["id"], by=w.other)
    lonely = w.subnet(net["id"], "10.3.0.0/24", gateway_ip=None)
    twin = w.subnet(w.network()["id"])
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    w.add_interface(router["id"], subnet_id=sub["id"])
    w.error("PUT", path, {"subnet_id": twin["id"]}, 400, "BadRequest")
    w.error("PUT", path, {"subnet_id": lonely["id"]}, 400, "BadRequest")
    w.error("PUT", path, {"subnet_id": other["id"]}, 404, "SubnetNotFound")
    w.error("PUT", path, {}, 400, "BadRequest")
    w.error("PUT", path.replace(router["id"], "nope"), {"subnet_id": sub["id"]}, 404, "RouterNotFound")
    w.error("POST", "/v2.0/routers", {"router": {"external_gateway_info": {"network_id": net["id"]}}}, 400, "BadRequest")


def test_a_router_is_plugged_in_within_the_quota(w):
    sub, router = w.subnet(w.network()["id"]), w.router()
    w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": {"port": 0}}, ok=200)
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    assert "['port']" in w.error("PUT", path, {"subnet_id": sub["id"]}, 409, "OverQuota")
    w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": {"port": 1}}, ok=200)
    w.add_interface(router["id"], subnet_id=sub["id"])


def test_a_leg_keeps_an_address(w, routed):
    [leg] = w.api.get(f"/v2.0/ports?device_id={routed['router']}")["ports"]
    [gateway] = w.admin.get("/v2.0/ports?device_owner=network:router_gateway")["ports"]
    for port, by in ((leg, w.api), (leg, w.admin), (gateway, w.admin)):
        assert port["id"] in w.error("PUT", f"/v2.0/ports/{port['id']}", {"port": {"fixed_ips": []}}, 400, "BadRequest", by)
        assert w.admin.get(f"/v2.0/ports/{port['id']}")["port"]["fixed_ips"] == port["fixed_ips"]


def test_a_leg_without_an_address_can_be_unplugged(w, db):
    sub, router = w.subnet(w.network()["id"]), w.router()
    leg = w.add_interface(router["id"], subnet_id=sub["id"])["port_id"]
    with db.transaction() as tx:
        tx.execute(delete(FixedIp).where(FixedIp.port_id == leg))
    path = f"/v2.0/routers/{router['id']}"
    w.error("PUT", f"{path}/remove_router_interface", {"subnet_id": sub["id"]}, 404, "RouterInterfaceNotFoundForSubnet")
    removed = w.api.put(f"{path}/remove_router_interface", {"port_id": leg}, ok=200)
    assert (removed["port_id"], removed["subnet_id"], removed["subnet_ids"]) == (leg, None, [])
    w.api.delete(path)


def test_a_moved_leg_keeps_the_rules_of_interfaces(w, routed):
    other = w.subnet(w.network()["id"], "10.1.0.0/24")
    w.add_interface(routed["router"], subnet_id=other["id"])
    overlapping, free = w.subnet(routed["net"], "10.1.0.0/25"), w.subnet(routed["net"], "10.2.0.0/24")
    [leg] = [port for port in w.api.get(f"/v2.0/ports?device_id={routed['router']}")["ports"] if port["network_id"] == routed["net"]]
    path, move = f"/v2.0/ports/{leg['id']}", lambda *subnets: {"port": {"fixed_ips": [{"subnet_id": one} for one in subnets]}}
    assert "overlaps" in w.error("PUT", path, move(overlapping["id"]), 400, "BadRequest")
    body = {"floatingip": {"floating_network_id": routed["ext"], "port_id": routed["port"]}}
    floating = w.api.post("/v2.0/floatingips", body, ok=201)["floatingip"]["id"]
    w.error("PUT", path, move(free["id"]), 409, "RouterInterfaceInUseByFloatingIP")
    assert w.api.get(path)["port"]["fixed_ips"] == leg["fixed_ips"]
    w.api.put(path, move(routed["sub"], free["id"]), ok=200)
    w.api.delete(f"/v2.0/floatingips/{floating}")
    assert [fixed["subnet_id"] for fixed in w.api.put(path, move(free["id"]), ok=200)["port"]["fixed_ips"]] == [free["id"]]


def test_the_gateways_new_address_reaches_the_legs(w, routed, db):
    [gateway] = w.admin.get("/v2.0/ports?device_owner=network:router_gateway")["ports"]
    query = select(Port.generation).where(Port.device_id == routed["router"], Port.device_owner == "network:router_interface")
    with db.transaction() as tx:
        before = tx.scalars(query).one()
    new = next(ip for ip in ("203.0.113.88", "203.0.113.89") if ip != gateway["fixed_ips"][0]["ip_address"])
    w.admin.put(f"/v2.0/ports/{gateway['id']}", {"port": {"fixed_ips": [{"ip_address": new}]}}, ok=200)
    with db.transaction() as tx:
        assert tx.scalars(query).one() > before


def test_a_floating_ip_lives(w, routed):
    made = w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": routed["ext"]}}, ok=201)["floatingip"]
    assert (made["status"], made["port_id"], made["router_id"]) == ("DOWN", None, None)
    path = f"/v2.0/floatingips/{made['id']}"
    led = w.api.put(path, {"floatingip": {"port_id": routed["port"]}}, ok=200)["floatingip"]
    assert (led["router_id"], led["port_details"]["network_id"]) == (routed["router"], routed["net"])
    assert led["fixed_ip_address"] == w.api.get(f"/v2.0/ports/{routed['port']}")["port"]["fixed_ips"][0]["ip_address"]
    second = {"floatingip": {"floating_network_id": routed["ext"], "port_id": routed["port"]}}
    w.error("POST", "/v2.0/floatingips", second, 409, "FloatingIPPortAlreadyAssociated")
    router = f"/v2.0/routers/{routed['router']}"
    w.error("PUT", router, {"router": {"external_gateway_info": None}}, 409, "RouterExternalGatewayInUseByFloatingIp")
    w.error("PUT", f"{router}/remove_router_interface", {"subnet_id": routed["sub"]}, 409, "RouterInterfaceInUseByFloatingIP")
    assert [one["id"] for one in w.api.get(f"/v2.0/floatingips?port_id={routed['port']}")["floatingips"]] == [made["id"]]
    assert w.api.put(path, {"floatingip": {"description": "d"}}, ok=200)["floatingip"]["port_id"] == routed["port"]
    assert w.api.put(path, {"floatingip": {"port_id": None}}, ok=200)["floatingip"]["router_id"] is None
    w.api.put(path, {"floatingip": {"port_id": routed["port"]}}, ok=200)
    w.api.delete(f"/v2.0/ports/{routed['port']}")
    assert w.api.get(path)["floatingip"]["port_id"] is None
    w.error("GET", path, None, 404, "FloatingIPNotFound", w.other)
    w.api.delete(path)
    assert w.admin.get("/v2.0/ports?device_owner=network:floatingip")["ports"] == []


def test_a_floating_ip_goes_through_the_gateway_of_its_subnet(w):
    """Answers of the port go to the subnet's gateway, so only the router there can translate them back."""
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"])
    side, main = sorted(w.router(external_gateway_info={"network_id": ext["id"]})["id"] for _ in range(2))
    w.add_interface(side, port_id=w.port(net["id"])["id"])
    body = {"floatingip": {"floating_network_id": ext["id"], "port_id": w.port(net["id"])["id"]}}
    made = w.api.post("/v2.0/floatingips", body, ok=201)["floatingip"]
    assert made["router_id"] == side, "the only way there is"
    w.api.delete(f"/v2.0/floatingips/{made['id']}")
    w.add_interface(main, subnet_id=sub["id"])
    assert w.api.post("/v2.0/floatingips", body, ok=201)["floatingip"]["router_id"] == main


def test_bad_floating_ips(w, routed):
    far = w.network()
    w.subnet(far["id"], "10.77.0.0/24")
    port = w.port(far["id"])
    base = {"floating_network_id": routed["ext"]}
    w.error("POST", "/v2.0/floatingips", {"floatingip": {**base, "port_id": port["id"]}}, 404, "ExternalGatewayForFloatingIPNotFound")
    w.error("POST", "/v2.0/floatingips", {"floatingip": {**base, "port_id": "nope"}}, 404, "PortNotFound")
    bad = {**base, "port_id": routed["port"], "fixed_ip_address": "10.0.0.250"}
    w.error("POST", "/v2.0/floatingips", {"floatingip": bad}, 400, "BadRequest")
    w.error("POST", "/v2.0/floatingips", {"floatingip": {"floating_network_id": routed["net"]}}, 400, "BadRequest")
    assert w.admin.get("/v2.0/ports?device_owner=network:floatingip")["ports"] == []
    given = {"floatingip": {**base, "floating_ip_address": "203.0.113.200"}}
    w.error("POST", "/v2.0/floatingips", given, 403, "PolicyNotAuthorized")
    made = w.admin.post("/v2.0/floatingips", given, ok=201)["floatingip"]
    assert made["floating_ip_address"] == "203.0.113.200"
    w.error("POST", "/v2.0/floatingips", given, 409, "IpAddressInUse", w.admin)


def test_the_gateway_change_reaches_the_legs(w, routed, db):
    """SNAT stands on the interface's unit in OVN: it must be brought about again."""

    def generations() -> dict[str, int]:
        query = select(Port.device_owner, Port.generation).where(Port.device_id == routed["router"], Port.desired == "present")
        with db.transaction() as tx:
            return dict(tx.execute(query).all())

    before = generations()
    info = {"network_id": routed["ext"], "enable_snat": False}
    w.admin.put(f"/v2.0/routers/{routed['router']}", {"router": {"external_gateway_info": info}}, ok=200)
    assert all(after > before[owner] for owner, after in generations().items())


def test_security_groups_live(w):
    [default] = w.api.get("/v2.0/security-groups")["security_groups"]
    assert default["name"] == "default"
    assert len(default["security_group_rules"]) == 4
    group = w.api.post("/v2.0/security-groups", {"security_group": {"name": "web"}}, ok=201)["security_group"]
    assert {(rule["direction"], rule["ethertype"]) for rule in group["security_group_rules"]} == {("egress", "IPv4"), ("egress", "IPv6")}
    body = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": "22"}
    rule = w.api.post("/v2.0/security-group-rules", {"security_group_rule": body}, ok=201)["security_group_rule"]
    assert (rule["ethertype"], rule["port_range_max"], rule["remote_ip_prefix"]) == ("IPv4", 22, None)
    again = {"security_group_rule": {**body, "protocol": "6", "remote_ip_prefix": "0.0.0.0/0"}}
    assert rule["id"] in w.error("POST", "/v2.0/security-group-rules", again, 409, "SecurityGroupRuleExists")
    path = f"/v2.0/security-groups/{group['id']}"
    assert w.api.put(path, {"security_group": {"name": "www"}}, ok=200)["security_group"]["name"] == "www"
    port = w.port(w.network()["id"], security_groups=[group["id"]])
    w.error("DELETE", path, None, 409, "SecurityGroupInUse")
    w.api.delete(f"/v2.0/ports/{port['id']}")
    w.api.delete(f"/v2.0/security-group-rules/{rule['id']}")
    w.api.delete(path)
    w.error("DELETE", f"/v2.0/security-groups/{default['id']}", None, 409, "SecurityGroupCannotRemoveDefault")
    w.error("PUT", f"/v2.0/security-groups/{default['id']}", {"security_group": {"name": "x"}}, 409, "SecurityGroupCannotUpdateDefault")
    w.error("POST", "/v2.0/security-groups", {"security_group": {"name": "default"}}, 409, "SecurityGroupDefaultAlreadyExists")
    assert [one["name"] for one in w.admin.get("/v2.0/security-groups?project_id=fresh")["security_groups"]] == ["default"]
    assert len(w.other.get("/v2.0/security-group-rules")["security_group_rules"]) == 4
    w.error("GET", f"/v2.0/security-groups/{default['id']}", None, 404, "SecurityGroupNotFound", w.other)


@pytest.mark.parametrize(
    ("more", "status", "type"),
    [
        ({"ethertype": "ipv4\n"}, 400, "InvalidInput"),
        ({"ethertype": "\u0131pv4"}, 400, "InvalidInput"),
        ({"ethertype": ""}, 400, "InvalidInput"),
        ({"protocol": "icmpv6"}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"protocol": "nope"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, 400, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, 400, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 5}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 5, "port_range_max": 4}, 400, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 5, "port_range_max": 6}, 400, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "icmp", "port_range_max": 4}, 400, "SecurityGroupMissingIcmpType"),
        ({"protocol": "icmp", "port_range_min": 256}, 400, "SecurityGroupInvalidIcmpValue"),
        ({"remote_ip_prefix": "fd00::/64"}, 400, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/40"}, 400, "InvalidInput"),
        ({"remote_group_id": "nope"}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": "nope"}, 404, "SecurityGroupNotFound"),
    ],
)
def test_a_rule_that_cannot_be(w, more, status, type):
    group = w.api.get("/v2.0/security-groups")["security_groups"][0]["id"]
    body = {"security_group_rule": {"security_group_id": group, "direction": "ingress", **more}}
    w.error("POST", "/v2.0/security-group-rules", body, status, type)


@pytest.mark.parametrize(
    ("ethertype", "given", "shown", "normalized"),
    [
        ("IPv4", "10.0.0.5/24", "10.0.0.5/24", "10.0.0.0/24"),
        ("ipv4", "10.0.0.5", "10.0.0.5/32", "10.0.0.5/32"),
        ("IPV6", "FD00::1/64", "fd00::1/64", "fd00::/64"),
        (None, None, None, None),
    ],
)
def test_a_prefix_is_shown_as_given_and_normalized(w, ethertype, given, shown, normalized):
    group = w.api.get("/v2.0/security-groups")["security_groups"][0]["id"]
    body = {"security_group_id": group, "direction": "ingress", "ethertype": ethertype, "remote_ip_prefix": given}
    rule = w.api.post("/v2.0/security-group-rules", {"security_group_rule": body}, ok=201)["security_group_rule"]
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == (shown, normalized)
    twin = {"security_group_rule": {**body, "remote_ip_prefix": normalized}}
    assert rule["id"] in w.error("POST", "/v2.0/security-group-rules", twin, 409, "SecurityGroupRuleExists")


def test_rules_that_name_a_group_go_with_it(w):
    made = [w.api.post("/v2.0/security-groups", {"security_group": {"name": n}}, ok=201)["security_group"]["id"] for n in "ab"]
    body = {"security_group_rule": {"security_group_id": made[0], "direction": "ingress", "remote_group_id": made[1]}}
    w.api.post("/v2.0/security-group-rules", body, ok=201)
    w.api.delete(f"/v2.0/security-groups/{made[1]}")
    assert w.api.get(f"/v2.0/security-group-rules?security_group_id={made[0]}&direction=ingress")["security_group_rules"] == []


def test_two_first_uses_make_one_default_group(db):
    """The second waits for the first's transaction, whatever locks the callers hold."""
    first_made, may_commit = threading.Event(), threading.Event()
    found: list[str] = []

    def slow() -> None:
        with db.transaction() as tx:
            found.append(security_group.ensure_default(tx, PROJECT))
            first_made.set()
            assert may_commit.wait(10)

    def fast() -> None:
        with db.transaction() as tx:
            found.append(security_group.ensure_default(tx, PROJECT))

    threads = [threading.Thread(target=slow)]
    threads[0].start()
    assert first_made.wait(10)
    threads += [threading.Thread(target=fast) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    may_commit.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4
    assert len(set(found)) == 1
    with db.transaction() as tx:
        assert len(tx.scalars(select(SecurityGroup)).all()) == 1


def test_what_is_deleted_stays_as_a_wish(w, routed, db):
    w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": routed["ext"]}}, ok=201)
    path = f"/v2.0/routers/{routed['router']}"
    w.api.put(f"{path}/remove_router_interface", {"subnet_id": routed["sub"]}, ok=200)
    w.api.delete(path)
    with db.transaction() as tx:
        assert tx.scalars(select(Router)).one().desired == "absent"
        assert tx.scalars(select(FloatingIp)).one().desired == "present"
