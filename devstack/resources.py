"""What a cloud on this machine starts with, made by the SDK as a person would: `resources`, then `boot`. Repeatable.

Projects and users, flavors, the image, the networks; then a server of demo's, waited for until its console says READY.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import openstack

FLAVORS = (  # name, id, MiB, vCPUs, GiB
    ("m1.nano", "42", 128, 1, 1),
    ("m1.micro", "84", 192, 1, 1),
    ("m1.tiny", "1", 512, 1, 1),
    ("m1.small", "2", 2048, 1, 20),
    ("m1.medium", "3", 4096, 2, 40),
    ("m1.large", "4", 8192, 4, 80),
    ("m1.xlarge", "5", 16384, 8, 160),
)
EXTERNAL = {
    "cidr": "198.51.100.0/24",
    "gateway_ip": "198.51.100.1",
    "allocation_pools": [{"start": "198.51.100.100", "end": "198.51.100.200"}],
}
PRIVATE_CIDR = "10.0.0.0/24"
SERVER = "first"


def projects(admin: Any) -> None:
    """Projects demo and alt_demo, each with a user of the same name who is a member; admin has its role in demo too."""
    identity = admin.identity
    roles = {role.name: role for role in identity.roles()}
    for name, password in (("demo", "secretdemo"), ("alt_demo", "secretalt")):
        project = identity.find_project(name) or identity.create_project(name=name, domain_id="default")
        user = identity.find_user(name) or identity.create_user(
            name=name, password=password, domain_id="default", default_project_id=project.id
        )
        identity.assign_project_role_to_user(project, user, roles["member"])
        if name == "demo":
            identity.assign_project_role_to_user(project, identity.find_user("admin"), roles["admin"])


def flavors(admin: Any) -> None:
    """The usual sizes; m1.nano is what our guest needs."""
    have = {flavor.name for flavor in admin.compute.flavors(details=False)}
    for name, ident, ram, vcpus, disk in FLAVORS:
        if name not in have:
            admin.compute.create_flavor(name=name, id=ident, ram=ram, vcpus=vcpus, disk=disk)


def image(admin: Any, path: Path) -> None:
    """`cirros`, public: our guest, log-in cirros/gocubsgo."""
    found = admin.image.find_image("cirros")
    if found and found.status == "active":
        return
    if found:
        admin.image.delete_image(found)
    made = admin.image.create_image(
        name="cirros", disk_format="qcow2", container_format="bare", visibility="public", allow_duplicates=True, validate_checksum=False
    )
    with path.open("rb") as data:
        answer = admin.image.put(f"/images/{made.id}/file", data=data, headers={"Content-Type": "application/octet-stream"})
    openstack.exceptions.raise_from_response(answer)


def external_network(admin: Any) -> Any:
    """`public`: flat on the physical network `ext`."""
    network = admin.network.find_network("public") or admin.network.create_network(
        name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="ext"
    )
    if not admin.network.find_subnet("public-subnet"):
        admin.network.create_subnet(name="public-subnet", network_id=network.id, ip_version=4, is_dhcp_enabled=False, **EXTERNAL)
    return network


def private_network(demo: Any, external: Any) -> None:
    """The network `private` of demo, routed to `public`; ping and ssh come in."""
    neutron = demo.network
    network = neutron.find_network("private") or neutron.create_network(name="private")
    subnet = neutron.find_subnet("private-subnet") or neutron.create_subnet(
        name="private-subnet", network_id=network.id, ip_version=4, cidr=PRIVATE_CIDR
    )
    router = neutron.find_router("router1") or neutron.create_router(name="router1", external_gateway_info={"network_id": external.id})
    if not any(port.network_id == network.id for port in neutron.ports(device_id=router.id)):
        neutron.add_interface_to_router(router, subnet_id=subnet.id)
    group = next(iter(neutron.security_groups(name="default", project_id=demo.current_project_id)))
    have = {(rule["protocol"], rule["port_range_min"]) for rule in group.security_group_rules if rule["direction"] == "ingress"}
    for protocol, port in (("icmp", None), ("tcp", 22)):
        if (protocol, port) not in have:
            neutron.create_security_group_rule(
                security_group_id=group.id,
                direction="ingress",
                ethertype="IPv4",
                protocol=protocol,
                port_range_min=port,
                port_range_max=port,
            )


def resources(options: argparse.Namespace) -> None:
    admin = openstack.connect(cloud="devstack-admin")
    for step in (projects, flavors):
        timed(step, admin)
    timed(image, admin, options.image)
    external = timed(external_network, admin)
    timed(private_network, openstack.connect(cloud="devstack"), external)


def timed(step: Any, *arguments: Any) -> Any:
    start = time.monotonic()
    result = step(*arguments)
    print(f"{step.__name__}: {time.monotonic() - start:.1f} s")
    return result


def wait(what: str, seconds: float, look: Any) -> Any:
    """What `look` finds once it finds something; SystemExit with a sentence after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.3)
    return found


def hypervisors_up(wanted: int) -> Any:
    admin = openstack.connect(cloud="devstack-admin")
    return lambda: sum(s.state == "up" for s in admin.compute.services(binary="nova-compute")) >= wanted


def active(demo: Any, server: Any) -> Any:
    """The server once it is ACTIVE; None before."""
    found = demo.compute.get_server(server)
    if found.status == "ERROR":
        sys.exit(f"server {found.id} is in ERROR: {(found.fault or {}).get('message')}")
    return found if found.status == "ACTIVE" else None


def says_ready(demo: Any, server: Any) -> Any:
    """The console's line of READY; None before it is there."""
    lines = (demo.compute.get_server_console_output(server).get("output") or "").splitlines()
    return next((line for line in reversed(lines) if "READY" in line), None)


def floating_ip(demo: Any, server: Any) -> str:
    """The server's floating address, made where it has none."""
    port = next(iter(demo.network.ports(device_id=server.id)))
    have = list(demo.network.ips(port_id=port.id))
    made = (
        have[0]
        if have
        else demo.network.create_ip(floating_network_id=demo.network.find_network("public", ignore_missing=False).id, port_id=port.id)
    )
    return str(made.floating_ip_address)


def boot(options: argparse.Namespace) -> None:
    timed(lambda: wait("hypervisors are up", 300, hypervisors_up(options.hosts)))
    demo = openstack.connect(cloud="devstack")
    server = demo.compute.find_server(SERVER)
    if not server:
        server = demo.compute.create_server(
            name=SERVER,
            flavor_id=demo.compute.find_flavor("m1.nano", ignore_missing=False).id,
            image_id=demo.image.find_image("cirros", ignore_missing=False).id,
            networks=[{"uuid": demo.network.find_network("private", ignore_missing=False).id}],
        )
    server = timed(lambda: wait(f"server {server.id} is ACTIVE", 300, lambda: active(demo, server)))
    line = timed(lambda: wait(f"READY on the console of {server.id}", 300, lambda: says_ready(demo, server)))
    address = floating_ip(demo, server)
    print(line)
    options.reach.write_text(
        f"server {SERVER} ({server.id}) of project demo runs:\n"
        f"  console   OS_CLOUD=devstack openstack console log show {SERVER}\n"
        f"  log in    ip netns exec wk-out ssh cirros@{address}      (password gocubsgo)\n"
        f"  the API   export OS_CLIENT_CONFIG_FILE={Path(__file__).with_name('clouds.yaml')} OS_CLOUD=devstack\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("resources")
    make.add_argument("--image", type=Path, required=True)
    make.set_defaults(func=resources)
    start = commands.add_parser("boot")
    start.add_argument("--hosts", type=int, default=1)
    start.add_argument("--reach", type=Path, required=True)
    start.set_defaults(func=boot)
    options = parser.parse_args()
    options.func(options)


if __name__ == "__main__":
    main()
