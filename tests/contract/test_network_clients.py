"""The real clients against the network API on a socket, with OVN's writer at work behind it: openstacksdk and the CLI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
from keystoneauth1 import session, token_endpoint

from common.api.app import build
from common.api.server import Server
from common.auth import Authenticator
from network.api import SERVICE
from network.cmd.ovn import serve
from network.engine.base import Chassis
from network.engine.memory import MemoryNorthbound, Store
from tests.support.api import Tokens

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture
def url(db) -> Iterator[str]:
    SERVICE.connect(db, Authenticator(Tokens(), seconds=0))
    engine, stop = MemoryNorthbound(Store(chassis=(Chassis("c", "hv1", frozenset({"ext"})),))), threading.Event()
    db.on_commit = lambda _topics: engine.wake()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        server = Server(build(SERVICE), "network", listening)
        threads = [
            threading.Thread(target=server.run, daemon=True),
            threading.Thread(target=serve, args=(db, engine, stop), daemon=True),
        ]
        for thread in threads:
            thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop.set()
        engine.wake()
        server.stop()
        for thread in threads:
            thread.join(10)


def sdk(url: str, token: str) -> Any:
    auth = token_endpoint.Token(url, token)
    return openstack.connection.Connection(session=session.Session(auth=auth), network_endpoint_override=url).network


def cli(url: str, token: str, *words: str, form: str | None = "json") -> Any:
    command = [str(Path(sys.executable).with_name("openstack")), "--os-auth-type", "admin_token", "--os-endpoint", url, "--os-token", token]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    done = subprocess.run(
        [*command, *words, *(["-f", form] if form else [])],
        capture_output=True, text=True, env={**environment, "PYTHONWARNINGS": "ignore"}, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if form else done.stdout


def public(url: str) -> Any:
    admin = sdk(url, "admin")
    made = admin.create_network(name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="ext")
    admin.create_subnet(network_id=made.id, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    return made


def test_the_sdk(url):
    external, net = public(url), sdk(url, "member")
    assert {extension.alias for extension in net.extensions()} >= {"router", "security-group"}
    assert net.find_network("public").id == external.id
    mine = net.create_network(name="mine", description="d")
    sub = net.create_subnet(name="s", network_id=mine.id, ip_version=4, cidr="10.0.0.0/24", dns_nameservers=["9.9.9.9"])
    router = net.create_router(name="r", external_gateway_info={"network_id": external.id})
    net.add_interface_to_router(router, subnet_id=sub.id)
    group = net.create_security_group(name="web")
    rule = net.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=80, port_range_max=80, remote_ip_prefix="0.0.0.0/0"
    )
    port = net.create_port(name="p", network_id=mine.id, security_groups=[group.id], fixed_ips=[{"subnet_id": sub.id}])
    assert net.get_port(port.id).fixed_ips[0]["subnet_id"] == sub.id
    floating = net.create_ip(floating_network_id=external.id, port_id=port.id)
    assert floating.router_id == router.id
    assert net.find_ip(floating.floating_ip_address).id == floating.id
    assert [found.name for found in net.ports(device_owner="", network_id=mine.id)] == ["p"]
    net.update_network(mine, name="renamed")
    assert [found.name for found in net.networks(is_router_external=False)] == ["renamed"]
    net.update_router(router, admin_state_up=False)
    net.update_ip(floating, port_id=None)
    net.delete_ip(floating)
    net.delete_port(port)
    net.remove_interface_from_router(router, subnet_id=sub.id)
    net.delete_router(router)
    net.delete_security_group_rule(rule)
    net.delete_security_group(group)
    net.delete_network(mine)
    assert list(net.ports()) == []
    with pytest.raises(openstack.exceptions.NotFoundException, match="could not be found"):
        net.get_network(mine.id)
    with pytest.raises(openstack.exceptions.ForbiddenException):
        net.create_network(name="x", shared=True)


def test_the_sdk_follows_pages(url):
    net = sdk(url, "member")
    for n in range(5):
        net.create_network(name=f"n{n}")
    assert len(list(net.networks(limit=2))) == 5


@pytest.mark.slow
def test_the_command_line(url):
    public(url)
    assert cli(url, "admin", "network", "list", "--external")[0]["Name"] == "public"
    made = cli(url, "member", "network", "create", "mine")
    assert made["status"] == "ACTIVE"
    cli(url, "member", "subnet", "create", "--network", "mine", "--subnet-range", "10.0.0.0/24", "--dns-nameserver", "9.9.9.9", "sub")
    cli(url, "member", "router", "create", "r")
    cli(url, "member", "router", "set", "--external-gateway", "public", "r", form=None)
    cli(url, "member", "router", "add", "subnet", "r", "sub", form=None)
    shown = cli(url, "member", "router", "show", "r")
    assert shown["interfaces_info"][0]["ip_address"] == "10.0.0.1"
    assert shown["external_gateway_info"]["enable_snat"] is True
    group = cli(url, "member", "security", "group", "create", "web")
    cli(url, "member", "security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "web")
    rules = cli(url, "member", "security", "group", "rule", "list", "web")
    assert "22:22" in [rule["Port Range"] for rule in rules]
    port = cli(
        url, "member", "port", "create", "--network", "mine", "--fixed-ip", "subnet=sub,ip-address=10.0.0.9", "--security-group", "web", "p"
    )
    assert port["security_group_ids"] == [group["id"]]
    floating = cli(url, "member", "floating", "ip", "create", "public")
    cli(url, "member", "floating", "ip", "set", "--port", "p", floating["floating_ip_address"], form=None)
    assert cli(url, "member", "floating", "ip", "list")[0]["Fixed IP Address"] == "10.0.0.9"
    cli(url, "member", "floating", "ip", "delete", floating["id"], form=None)
    cli(url, "member", "port", "delete", "p", form=None)
    cli(url, "member", "router", "remove", "subnet", "r", "sub", form=None)
    cli(url, "member", "router", "unset", "--external-gateway", "r", form=None)
    cli(url, "member", "router", "delete", "r", form=None)
    cli(url, "member", "network", "delete", "mine", form=None)
    cli(url, "member", "security", "group", "delete", "web", form=None)
    assert cli(url, "member", "port", "list") == []
