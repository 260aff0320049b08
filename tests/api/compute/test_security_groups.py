"""The security groups of a server, by the compute API: what clients read and change at a server instead of at its ports."""

from __future__ import annotations

from typing import Any

from network import public as network_public
from network.service import port as ports
from network.service import security_group
from tests.support.api import OTHER_PROJECT, actor, counted
from tests.support.compute import World

WHO = actor()


def group(cloud: World, name: str, *rules: dict[str, Any], project: str = WHO.project) -> str:
    """A group of this project, with rules for what comes in; its id."""
    who = actor("member", project)

    def add(tx: Any) -> str:
        made = security_group.create(tx, who, {"name": name, "description": f"the {name}"}).id
        for rule in rules:
            security_group.create_rule(tx, who, {"security_group_id": made, "direction": "ingress", **rule})
        return str(made)

    return cloud.db.run(add)


def names(cloud: World, server_id: str) -> list[str]:
    """Of the groups that hold at the server, as two answers show them."""
    found = [one["name"] for one in cloud.api.get(f"/v2.1/servers/{server_id}/os-security-groups")["security_groups"]]
    assert sorted(found) == sorted(one["name"] for one in cloud.show(server_id)["security_groups"])
    return found


def generations(cloud: World, server_id: str) -> list[int]:
    return [port.generation for port in cloud.db.run(lambda tx: network_public.ports_of(tx, [server_id]))[server_id]]


def test_groups_are_listed_with_what_they_let_in(cloud: World) -> None:
    peers = group(cloud, "peers")
    web = group(
        cloud, "web",
        {"protocol": "tcp", "port_range_min": 80, "port_range_max": 90, "remote_ip_prefix": "192.0.2.0/24"},
        {"protocol": "udp", "remote_group_id": peers}, {"protocol": "icmp"}, {"ethertype": "IPv6"},
    )  # fmt: skip
    server_id = cloud.active(security_groups=[{"name": "web"}])
    found = cloud.api.get(f"/v2.1/servers/{server_id}/os-security-groups")["security_groups"]
    assert [(one["id"], one["name"], one["description"], one["tenant_id"]) for one in found] == [(web, "web", "the web", WHO.project)]
    rules = [(r["ip_protocol"], r["from_port"], r["to_port"], r["ip_range"], r["group"]) for r in found[0]["rules"]]
    assert rules == [
        ("tcp", 80, 90, {"cidr": "192.0.2.0/24"}, {}),
        ("udp", 1, 65535, {}, {"name": "peers", "tenant_id": WHO.project}),
        ("icmp", -1, -1, {"cidr": "0.0.0.0/0"}, {}),
        (None, None, None, {"cidr": "::/0"}, {}),
    ]
    assert {rule["parent_group_id"] for rule in found[0]["rules"]} == {web}
    bare = cloud.create(networks="none")["id"]
    assert cloud.api.get(f"/v2.1/servers/{bare}/os-security-groups") == {"security_groups": []}
    cloud.other.get(f"/v2.1/servers/{server_id}/os-security-groups", ok=404)


def test_a_group_is_added_and_removed_on_every_port(cloud: World) -> None:
    second = cloud.network("second")
    web = group(cloud, "web")
    server_id = cloud.active(networks=[{"uuid": cloud.network_id}, {"uuid": second}])
    before = generations(cloud, server_id)
    assert names(cloud, server_id) == ["default"]
    for _ in range(2):  # the second time changes nothing
        cloud.act(server_id, "addSecurityGroup", {"name": "web"})
        assert sorted(names(cloud, server_id)) == ["default", "web"]
        assert generations(cloud, server_id) == [number + 1 for number in before]
    cloud.act(server_id, "removeSecurityGroup", {"name": web})
    assert names(cloud, server_id) == ["default"]
    assert "not associated" in cloud.act(server_id, "removeSecurityGroup", {"name": "web"}, ok=404)
    assert generations(cloud, server_id) == [number + 2 for number in before]
    cloud.act(server_id, "removeSecurityGroup", {"name": "default"})
    assert names(cloud, server_id) == []


def test_ports_without_port_security_are_left_alone(cloud: World) -> None:
    group(cloud, "web")
    open_port = cloud.db.run(lambda tx: ports.create(tx, WHO, {"network_id": cloud.network_id, "port_security_enabled": False}).id)
    server_id = cloud.active(networks=[{"port": open_port}])
    cloud.act(server_id, "addSecurityGroup", {"name": "web"})
    assert names(cloud, server_id) == []


def test_what_cannot_be_is_refused_by_name(cloud: World) -> None:
    foreign = group(cloud, "theirs", project=OTHER_PROJECT)
    for _ in range(2):
        group(cloud, "twin")
    server_id = cloud.active()
    for name in ("nope", "theirs", foreign):
        for action in ("addSecurityGroup", "removeSecurityGroup"):
            assert name in cloud.act(server_id, action, {"name": name}, ok=404)
    assert "twin" in cloud.act(server_id, "addSecurityGroup", {"name": "twin"}, ok=409)
    cloud.act(server_id, "addSecurityGroup", {"name": "default"}, ok=404, by=cloud.other)
    cloud.act(server_id, "addSecurityGroup", {}, ok=400)
    bare = cloud.create(networks="none")["id"]
    assert "default" in cloud.act(bare, "addSecurityGroup", {"name": "default"}, ok=404)
    assert "default" in cloud.act(bare, "removeSecurityGroup", {"name": "default"}, ok=404)


def test_the_list_asks_a_constant_number_of_queries(cloud: World) -> None:
    server_id, counts = cloud.active(), []
    for n in range(3):
        with counted(cloud.db) as sent:
            cloud.api.get(f"/v2.1/servers/{server_id}/os-security-groups")
        counts.append(len(sent))
        group(cloud, f"g{n}", {"protocol": "tcp"}, {"protocol": "udp"})
        cloud.act(server_id, "addSecurityGroup", {"name": f"g{n}"})
    assert counts[0] == counts[1] == counts[2], counts
