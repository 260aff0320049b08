"""Networks, subnets and ports, as stories told to the API."""

from __future__ import annotations

import pytest

from common.api.shapes import Checker
from network.api.shapes.floating_ip import FLOATING_IP
from network.api.shapes.network import NETWORK
from network.api.shapes.port import PORT
from network.api.shapes.router import ROUTER
from network.api.shapes.security_group import GROUP, RULE
from network.api.shapes.subnet import SUBNET
from tests.api.network_world import POOL, World, world
from tests.support.api import OTHER_PROJECT, PROJECT, counted


@pytest.fixture
def w(db) -> World:
    return world(db)


def test_versions_need_no_token(w):
    assert w.api.as_(None).get("/")["versions"][0]["id"] == "v2.0"
    assert {item["collection"] for item in w.api.as_(None).get("/v2.0/")["resources"]} >= {"networks", "security_groups"}
    assert w.api.as_(None)("GET", "/v2.0/networks").status_code == 401


def test_a_network_lives(w):
    net = w.network(description="d")
    assert net["project_id"] == net["tenant_id"] == PROJECT
    assert (net["status"], net["admin_state_up"], net["shared"], net["router:external"], net["mtu"]) == ("ACTIVE", True, False, False, 1442)
    assert net["revision_number"] == 1
    assert net["subnets"] == []
    assert "provider:network_type" not in net
    path = f"/v2.0/networks/{net['id']}"
    assert w.admin.get(path)["network"]["provider:network_type"] == "geneve"
    changed = w.api.put(path, {"network": {"name": "other", "admin_state_up": "false"}}, ok=200)["network"]
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("other", False, 2)
    w.api.delete(path)
    w.error("GET", path, None, 404, "NetworkNotFound")
    w.error("DELETE", path, None, 404, "NetworkNotFound")


def test_several_at_once_or_none(w):
    made = w.api.post("/v2.0/networks", {"networks": [{"name": "a"}, {"name": "b"}]}, ok=201)["networks"]
    assert [net["name"] for net in made] == ["a", "b"]
    w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": {"network": 3}}, ok=200)
    w.error("POST", "/v2.0/networks", {"networks": [{}, {}]}, 409, "OverQuota")
    assert len(w.api.get("/v2.0/networks")["networks"]) == 2


def test_visibility(w):
    mine, shared = w.network("mine"), w.network("shared", w.admin, shared=True)
    public = w.external()
    w.subnet(shared["id"], by=w.admin)
    assert {net["id"] for net in w.other.get("/v2.0/networks")["networks"]} == {shared["id"], public["id"]}
    w.error("GET", f"/v2.0/networks/{mine['id']}", None, 404, "NetworkNotFound", w.other)
    w.error("PUT", f"/v2.0/networks/{shared['id']}", {"network": {"name": "x"}}, 403, "PolicyNotAuthorized", w.other)
    assert [sub["network_id"] for sub in w.other.get("/v2.0/subnets")["subnets"]] == [shared["id"]]
    assert w.port(shared["id"], w.other)["project_id"] == OTHER_PROJECT
    assert w.port(shared["id"], w.other, 403, fixed_ips=[{"ip_address": "10.0.0.77"}])["type"] == "PolicyNotAuthorized"
    path = f"/v2.0/ports/{w.port(shared['id'], w.other)['id']}"
    w.error("PUT", path, {"port": {"fixed_ips": []}}, 403, "PolicyNotAuthorized", w.other)
    assert len(w.other.get(path)["port"]["fixed_ips"]) == 1
    for unsafe in ({"fixed_ips": []}, {"port_security_enabled": False}, {"allowed_address_pairs": [{"ip_address": "10.0.0.7"}]}):
        assert w.port(shared["id"], w.other, 403, **unsafe)["type"] == "PolicyNotAuthorized"
    assert w.port(public["id"], w.other, 403)["type"] == "PolicyNotAuthorized"
    w.error("GET", "/v2.0/ports/none", None, 404, "PortNotFound", w.other)


@pytest.mark.parametrize("field", [{"shared": True}, {"router:external": True}, {"provider:network_type": "geneve"}, {"is_default": True}])
def test_guarded_fields_of_a_network(w, field):
    assert "disallowed by policy" in w.error("POST", "/v2.0/networks", {"network": field}, 403, "PolicyNotAuthorized")
    w.network(by=w.admin, **field)


def test_provider_networks(w):
    net = w.external()
    shown = w.admin.get(f"/v2.0/networks/{net['id']}")["network"]
    assert (shown["provider:network_type"], shown["provider:physical_network"], shown["mtu"]) == ("flat", "ext", 1500)
    flat = {"provider:network_type": "flat", "provider:physical_network": "ext"}
    w.error("POST", "/v2.0/networks", {"network": flat}, 409, "FlatNetworkInUse", w.admin)
    w.error("POST", "/v2.0/networks", {"network": {**flat, "provider:physical_network": "no"}}, 400, "InvalidInput", w.admin)
    w.error("POST", "/v2.0/networks", {"network": {"provider:network_type": "vlan"}}, 400, "InvalidInput", w.admin)
    for mtu in (9000, "9000"):
        w.error("POST", "/v2.0/networks", {"network": {"mtu": mtu}}, 400, "InvalidInput")
    assert w.network(mtu="1400")["mtu"] == 1400  # the CLI sends text


@pytest.mark.parametrize(
    "body", [{}, {"network": {"bad": 1}}, {"network": {"name": 5}}, {"network": {}, "networks": [{}]}, {"network": []}]
)
def test_a_bad_body_is_refused(w, body):
    assert w.api("POST", "/v2.0/networks", body).status_code == 400


def test_if_match(w):
    path = f"/v2.0/networks/{w.network()['id']}"
    w.api("PUT", path, {"network": {"name": "n"}}, ok=412, headers={"If-Match": "revision_number=7"})
    w.api("PUT", path, {"network": {"name": "n"}}, ok=200, headers={"If-Match": "revision_number=1"})
    w.api("PUT", path, {"network": {"name": "n"}}, ok=400, headers={"If-Match": "seven"})


@pytest.mark.parametrize("noun", ["network", "subnet", "port", "router", "floatingip", "security-group", "security-group-rule"])
def test_if_match_of_a_delete(w, noun):
    ext, net = w.external(), w.network()
    made = {
        "network": lambda: w.network(),
        "subnet": lambda: w.subnet(net["id"]),
        "port": lambda: w.port(net["id"]),
        "router": lambda: w.router(),
        "floatingip": lambda: w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext["id"]}}, ok=201)["floatingip"],
        "security-group": lambda: w.api.post("/v2.0/security-groups", {"security_group": {"name": "g"}}, ok=201)["security_group"],
        "security-group-rule": lambda: w.api.get("/v2.0/security-group-rules")["security_group_rules"][0],
    }[noun]()
    path, at = f"/v2.0/{noun}s/{made['id']}", made["revision_number"]
    refused = w.api("DELETE", path, ok=412, headers={"If-Match": f"revision_number={at + 1}"}).json["NeutronError"]
    assert refused["type"] == "RevisionNumberConstraintFailed"
    w.api("DELETE", path, ok=400, headers={"If-Match": "seven"})
    w.api.get(path)
    w.api("DELETE", path, ok=204, headers={"If-Match": f"revision_number={at}"})
    w.api("DELETE", path, ok=404, headers={"If-Match": f"revision_number={at}"})


def test_a_subnet_lives(w):
    net = w.network()
    sub = w.subnet(net["id"], "10.1.2.3/29", dns_nameservers=["9.9.9.9"], name="s")
    assert (sub["cidr"], sub["gateway_ip"], sub["enable_dhcp"]) == ("10.1.2.0/29", "10.1.2.1", True)
    assert sub["allocation_pools"] == [{"start": "10.1.2.2", "end": "10.1.2.6"}]
    assert w.api.get(f"/v2.0/networks/{net['id']}")["network"]["subnets"] == [sub["id"]]
    path = f"/v2.0/subnets/{sub['id']}"
    pools = [{"start": "10.1.2.4", "end": "10.1.2.5"}]
    changed = w.api.put(path, {"subnet": {"allocation_pools": pools, "dns_nameservers": None, "gateway_ip": None}}, ok=200)["subnet"]
    assert (changed["allocation_pools"], changed["dns_nameservers"], changed["gateway_ip"]) == (pools, [], None)
    port = w.port(net["id"])
    w.error("DELETE", path, None, 409, "SubnetInUse")
    w.error("DELETE", f"/v2.0/networks/{net['id']}", None, 409, "NetworkInUse")
    w.api.delete(f"/v2.0/ports/{port['id']}")
    w.api.delete(path)
    w.api.delete(f"/v2.0/networks/{net['id']}")
    assert w.api.get("/v2.0/ports")["ports"] == w.api.get("/v2.0/subnets")["subnets"] == []


@pytest.mark.parametrize(
    ("more", "status", "type"),
    [
        ({"cidr": "10.0.0.128/25"}, 400, "InvalidInput"),
        ({"cidr": "10.9.0.0/32"}, 400, "InvalidInput"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64", "ip_version": 6}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.2.0.1"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.1.0.255"}, 400, "InvalidInput"),
        ({"gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"gateway_ip": "10"}, 400, "BadRequest"),
        ({"cidr": "10/8"}, 400, "BadRequest"),
        ({"dns_nameservers": ["9"]}, 400, "BadRequest"),
        ({"host_routes": [{"destination": "10/8", "nexthop": "10.1.0.2"}]}, 400, "BadRequest"),
        ({"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "7"}]}, 400, "BadRequest"),
        ({"allocation_pools": [{"start": "10", "end": "10.1.0.3"}]}, 400, "BadRequest"),
        ({"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, 400, "InvalidInput"),
        ({"host_routes": [{"destination": "fd00::/64", "nexthop": "10.1.0.2"}]}, 400, "InvalidInput"),
        ({"host_routes": [{"destination": "fd00::/64", "nexthop": "fd00::1"}]}, 400, "InvalidInput"),
        ({"dns_nameservers": ["fd00::1"]}, 400, "InvalidInput"),
        ({"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.3"}]}, 400, "InvalidAllocationPool"),
        ({"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.1.3"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.1.0.1", "end": "10.1.0.3"}]}, 409, "GatewayConflictWithAllocationPools"),
        (
            {"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.30"}, {"start": "10.1.0.20", "end": "10.1.0.40"}]},
            409,
            "OverlappingAllocationPools",
        ),
        ({"network_id": "nope"}, 404, "NetworkNotFound"),
    ],
)
def test_a_subnet_that_cannot_be(w, more, status, type):
    net = w.network()
    w.subnet(net["id"])
    w.error("POST", "/v2.0/subnets", {"subnet": {"network_id": net["id"], "ip_version": 4, "cidr": "10.1.0.0/24", **more}}, status, type)


def test_the_metadata_port_follows_dhcp(w):
    net = w.network()
    sub = w.subnet(net["id"])
    [port] = w.api.get("/v2.0/ports?device_owner=network:distributed")["ports"]
    assert port["fixed_ips"] == [{"subnet_id": sub["id"], "ip_address": POOL["start"]}]
    w.error("DELETE", f"/v2.0/ports/{port['id']}", None, 409, "ServicePortInUse")
    w.api.put(f"/v2.0/subnets/{sub['id']}", {"subnet": {"enable_dhcp": False}}, ok=200)
    assert w.api.get("/v2.0/ports")["ports"] == []
    w.port(net["id"], fixed_ips=[{"ip_address": POOL["start"]}])
    w.api.put(f"/v2.0/subnets/{sub['id']}", {"subnet": {"enable_dhcp": True}}, ok=200)
    [port] = w.api.get("/v2.0/ports?device_owner=network:distributed")["ports"]
    assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["10.0.0.102"]


def test_the_metadata_port_leaves_the_first_address_to_a_router(w):
    net = w.network()
    w.subnet(net["id"], "10.5.0.0/30", gateway_ip=None)
    w.subnet(net["id"], "10.6.0.0/30", gateway_ip=None, enable_dhcp=False, allocation_pools=[{"start": "10.6.0.1", "end": "10.6.0.1"}])
    [port] = w.api.get("/v2.0/ports?device_owner=network:distributed")["ports"]
    assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["10.5.0.2"]
    [other] = [each for each in w.api.get("/v2.0/subnets")["subnets"] if not each["enable_dhcp"]]
    w.api.put(f"/v2.0/subnets/{other['id']}", {"subnet": {"enable_dhcp": True}}, ok=200)
    [port] = w.api.get("/v2.0/ports?device_owner=network:distributed")["ports"]
    assert {fixed["ip_address"] for fixed in port["fixed_ips"]} == {"10.5.0.2", "10.6.0.1"}


def test_a_port_lives(w):
    net = w.network()
    sub = w.subnet(net["id"])
    port = w.port(net["id"], name="p", fixed_ips=[{"ip_address": "10.0.0.9"}], allowed_address_pairs=[{"ip_address": "10.0.0.100"}])
    assert port["fixed_ips"] == [{"subnet_id": sub["id"], "ip_address": "10.0.0.9"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["status"] == "DOWN"
    assert len(port["security_groups"]) == 1
    assert port["allowed_address_pairs"] == [{"mac_address": port["mac_address"], "ip_address": "10.0.0.100"}]
    assert "binding:host_id" not in port
    assert w.admin.get(f"/v2.0/ports/{port['id']}")["port"]["binding:vif_type"] == "unbound"
    assert w.port(net["id"], ok=409, fixed_ips=[{"ip_address": "10.0.0.9"}])["type"] == "IpAddressInUse"
    assert w.port(net["id"], ok=409, mac_address=port["mac_address"])["type"] == "MacAddressInUse"
    path = f"/v2.0/ports/{port['id']}"
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.10"}], "security_groups": [], "device_id": "dev"}}
    changed = w.api.put(path, body, ok=200)["port"]
    assert {fixed["ip_address"] for fixed in changed["fixed_ips"]} == {"10.0.0.9", "10.0.0.10"}
    assert changed["security_groups"] == []
    same = {"port": {"fixed_ips": [{"subnet_id": sub["id"]}, {"ip_address": "10.0.0.10"}]}}
    kept = w.api.put(path, same, ok=200)["port"]["fixed_ips"]
    assert {fixed["ip_address"] for fixed in kept} == {"10.0.0.9", "10.0.0.10"}
    assert [one["id"] for one in w.api.get("/v2.0/ports?fixed_ips=ip_address%3D10.0.0.10&device_id=dev")["ports"]] == [port["id"]]
    w.api.delete(path)
    assert w.port(net["id"], fixed_ips=[{"ip_address": "10.0.0.9"}], mac_address=port["mac_address"])["id"] != port["id"]


@pytest.mark.parametrize(
    ("more", "status", "type"),
    [
        ({"fixed_ips": [{"ip_address": "10.7.0.1"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.0.0.0"}]}, 400, "InvalidIpForSubnet"),
        ({"fixed_ips": [{"subnet_id": "nope"}]}, 400, "InvalidInput"),
        ({"security_groups": ["nope"]}, 404, "SecurityGroupNotFound"),
        ({"mac_address": "01:00:5e:00:00:01"}, 400, "InvalidInput"),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, 400, "InvalidInput"),
        ({"device_owner": "network:router_interface"}, 403, "PolicyNotAuthorized"),
        ({"device_owner": "compute:nova", "device_id": "another's server"}, 403, "PolicyNotAuthorized"),
        ({"binding:host_id": "hv1"}, 403, "PolicyNotAuthorized"),
        ({"port_security_enabled": False, "security_groups": ["x"]}, 409, "PortSecurityAndIPRequiredForSecurityGroups"),
    ],
)
def test_a_port_that_cannot_be(w, more, status, type):
    net = w.network()
    w.subnet(net["id"])
    assert w.port(net["id"], ok=status, **more)["type"] == type


def test_a_full_subnet(w):
    net = w.network()
    w.subnet(net["id"], "10.0.0.0/29", enable_dhcp=False)
    ips = {w.port(net["id"])["fixed_ips"][0]["ip_address"] for _ in range(5)}
    assert ips == {f"10.0.0.{n}" for n in range(2, 7)}
    assert w.port(net["id"], ok=409)["type"] == "IpAddressGenerationFailure"


def test_pages_link_to_the_next(w):
    for n in range(5):
        w.network(f"n{n}")
    first = w.api.get("/v2.0/networks?limit=2&sort_key=name&sort_dir=desc")
    assert [net["name"] for net in first["networks"]] == ["n4", "n3"]
    link = first["networks_links"][0]
    assert link["rel"] == "next"
    second = w.api.get("/v2.0" + link["href"].split("/v2.0")[1])
    assert [net["name"] for net in second["networks"]] == ["n2", "n1"]
    last = w.api.get("/v2.0" + second["networks_links"][0]["href"].split("/v2.0")[1])
    assert [net["name"] for net in last["networks"]] == ["n0"]
    assert [link["rel"] for link in last["networks_links"]] == ["previous"]
    back = w.api.get("/v2.0" + last["networks_links"][0]["href"].split("/v2.0")[1])
    assert [net["name"] for net in back["networks"]] == ["n2", "n1"]
    tail = w.api.get("/v2.0/networks?limit=2&sort_key=name&page_reverse=True")
    assert [net["name"] for net in tail["networks"]] == ["n3", "n4"]
    assert "networks_links" not in w.api.get("/v2.0/networks")
    assert [net["name"] for net in w.api.get("/v2.0/networks?sort_key=name")["networks"]] == ["n0", "n1", "n2", "n3", "n4"]
    w.api("GET", "/v2.0/networks?sort_key=nope", ok=400)
    w.api("GET", "/v2.0/networks?limit=2&marker=nope", ok=400)


def test_without_fields_they_are_shown_whole(w):
    ext, router, net = w.external(), w.router(), w.network()
    w.add_interface(router["id"], subnet_id=w.subnet(net["id"])["id"])
    w.admin.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext["id"]}}, ok=201)
    nouns = {
        "networks": NETWORK, "subnets": SUBNET, "ports": PORT, "routers": ROUTER, "floatingips": FLOATING_IP, "security-groups": GROUP,
        "security-group-rules": RULE,
    }  # fmt: skip
    for path, answers in nouns.items():
        shown = w.admin.get(f"/v2.0/{path}")[path.replace("-", "_")]
        assert shown
        for row in shown:
            Checker(answers.whole)(row)
            Checker(answers.changed)(w.admin.get(f"/v2.0/{path}/{row['id']}"))


def test_filters_and_fields(w):
    a, b = w.network("a"), w.network("b")
    w.network("c", admin_state_up=False)
    assert {net["name"] for net in w.api.get("/v2.0/networks?name=a&name=b")["networks"]} == {"a", "b"}
    assert [net["name"] for net in w.api.get("/v2.0/networks?admin_state_up=False")["networks"]] == ["c"]
    assert w.api.get(f"/v2.0/networks?id={a['id']}&fields=id&fields=name")["networks"] == [{"id": a["id"], "name": "a"}]
    assert w.api.get(f"/v2.0/networks/{b['id']}?fields=name")["network"] == {"name": "b"}
    assert w.api.get(f"/v2.0/networks?tenant_id={OTHER_PROJECT}")["networks"] == []
    w.api("GET", "/v2.0/networks?admin_state_up=maybe", ok=400)
    assert len(w.api.get("/v2.0/networks?router:external=False&status=ACTIVE&unknown=1")["networks"]) == 3


def test_nobody_learns_by_a_filter_what_is_not_shown(w):
    net = w.network()
    port = w.port(net["id"])
    w.admin.put(f"/v2.0/ports/{port['id']}", {"port": {"binding:host_id": "hv1"}}, ok=200)
    for host, found in (("hv1", [port["id"]]), ("hv2", [])):
        assert [one["id"] for one in w.admin.get(f"/v2.0/ports?binding:host_id={host}")["ports"]] == found
        assert [one["id"] for one in w.api.get(f"/v2.0/ports?binding:host_id={host}")["ports"]] == [port["id"]]
    for query in ("provider:network_type=flat", "provider:physical_network=ext"):
        assert w.admin.get(f"/v2.0/networks?{query}")["networks"] == []
        assert [one["id"] for one in w.api.get(f"/v2.0/networks?{query}")["networks"]] == [net["id"]]


@pytest.mark.parametrize("path", ["networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules"])
def test_queries_do_not_grow_with_rows(w, path):
    w.external()
    counts = []
    for n in (1, 4):
        for m in range(n):
            net = w.network()
            sub = w.subnet(net["id"], f"10.{n}.{m}.0/24")
            port = w.port(net["id"])
            ext = w.api.get("/v2.0/networks?router:external=True")["networks"][0]["id"]
            router = w.router(external_gateway_info={"network_id": ext})
            w.add_interface(router["id"], subnet_id=sub["id"])
            w.api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": ext, "port_id": port["id"]}}, ok=201)
            w.api.post("/v2.0/security-groups", {"security_group": {"name": "g"}}, ok=201)
        with counted(w.db) as sent:
            assert len(w.api.get(f"/v2.0/{path}").popitem()[1]) >= n
        counts.append(len(sent))
    assert counts[0] == counts[1], sent


def test_extensions_and_quotas(w):
    found = {one["alias"] for one in w.api.get("/v2.0/extensions")["extensions"]}
    assert {"router", "security-group", "quotas"} <= found
    assert w.api.get("/v2.0/extensions/router")["extension"]["alias"] == "router"
    w.api("GET", "/v2.0/extensions/nope", ok=404)
    assert w.api.get(f"/v2.0/quotas/{PROJECT}")["quota"]["network"] == 100
    w.api("GET", f"/v2.0/quotas/{OTHER_PROJECT}", ok=403)
    w.api("PUT", f"/v2.0/quotas/{PROJECT}", {"quota": {"network": 1}}, ok=403)
    assert w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": {"network": 1, "port": "-1"}}, ok=200)["quota"]["port"] == -1
    w.network()
    assert "['network']" in w.error("POST", "/v2.0/networks", {"network": {}}, 409, "OverQuota")
    assert w.api.get(f"/v2.0/quotas/{PROJECT}/details")["quota"]["network"] == {"limit": 1, "used": 1, "reserved": 0}
    assert w.admin.get("/v2.0/quotas")["quotas"][0]["project_id"] == PROJECT
    checked = {"network": "0", "port": 7, "check_limit": True}  # what `quota set` sends unless it is told to force
    assert "0 for network" in w.error("PUT", f"/v2.0/quotas/{PROJECT}", {"quota": checked}, 400, "BadRequest", w.admin)
    assert w.api.get(f"/v2.0/quotas/{PROJECT}")["quota"]["port"] == -1
    for fits in ({"network": 1, "check_limit": True}, {"network": -1, "check_limit": True}, {"network": 0, "force": True}):
        assert w.admin.put(f"/v2.0/quotas/{PROJECT}", {"quota": fits}, ok=200)["quota"]["network"] == fits["network"]
    w.admin.delete(f"/v2.0/quotas/{PROJECT}")
    assert w.api.get(f"/v2.0/quotas/{PROJECT}")["quota"] == w.api.get(f"/v2.0/quotas/{PROJECT}/default")["quota"]


def test_a_port_is_not_pushed_onto_anothers_server(w):
    """device_id is the tenant's to write, the owner that makes the cloud act on it is not."""
    port = w.port(w.network()["id"], device_id="another's server")
    path = f"/v2.0/ports/{port['id']}"
    w.error("PUT", path, {"port": {"device_owner": "compute:nova"}}, 403, "PolicyNotAuthorized")
    w.admin.put(path, {"port": {"device_owner": "compute:nova"}}, ok=200)
    w.error("PUT", path, {"port": {"device_id": "a third's"}}, 403, "PolicyNotAuthorized")
    w.api.put(path, {"port": {"device_id": "another's server", "name": "n"}}, ok=200)
