"""What every engine holds of ours, by engine: the same before a test as after it, or something was left."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from tests.e2e.cloud import STATE, eventually, hosts, on_host, run, sql, virsh

TABLES = {
    "network": ("network", "subnet", "port", "router", "floating_ip", "security_group"),
    "volume": ("volume", "snapshot", "attachment"),
    "image": ("image",),
    "compute": ("server", "allocation", "keypair", "question"),
    "common": ("job",),
    "identity": (
        "project", "project_tag", "user", "group", "group_member", "role", "implied_role", "assignment", "credential", "application_credential",
        "access_rule", "trust", "consumer", "request_token", "access_token", "region", "service", "endpoint", "endpoint_group",
        "project_endpoint", "project_endpoint_group", "policy", "policy_association", "registered_limit", "limit", "identity_provider",
        "mapping", "federation_protocol", "service_provider", "federated_user", "domain_config", "domain_secret",
    ),
}  # fmt: skip
KEYS = """
SELECT n.nspname, c.relname, string_agg(quote_ident(a.attname) || '::text', ',' ORDER BY a.attname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indisprimary GROUP BY 1, 2
"""


def libvirt() -> set[str]:
    """Domains, on every host."""
    return {f"{host}/{name}" for host in hosts() for name in virsh(host, "list --all --name").split()}


def taps() -> set[str]:
    """Taps of guests, and namespaces and veths of networks' metadata, on every host."""
    found = set()
    for host in hosts():
        links = re.findall(r"^\d+: (tap[0-9a-f-]+|md[^@:]*)[@:]", on_host(host, "ip -o link"), re.MULTILINE)
        found |= {f"{host}/{name}" for name in links}
        found |= {f"{host}/netns {name}" for name in on_host(host, "ip netns list").split() if name.startswith("md-")}
    return found


def ovs_ports() -> set[str]:
    """Ports on the hosts' integration bridges that no tunnel made."""
    found = set()
    for host in hosts():
        said = run(["ovs-vsctl", f"--db=unix:{STATE}/hosts/{host}/run/openvswitch/db.sock", "list-ports", "br-int"], check=False)
        found |= {f"{host}/{port}" for port in said.split() if not port.startswith(("ovn-", "patch-"))}
    return found


def ovn() -> set[str]:
    """Northbound rows, by name or id."""
    found = set()
    for table, column in (
        ("Logical_Switch", "name"), ("Logical_Switch_Port", "name"), ("Logical_Router", "name"), ("Logical_Router_Port", "name"),
        ("NAT", "external_ip"), ("DHCP_Options", "cidr"), ("Port_Group", "name"), ("Address_Set", "name"),
        ("ACL", "match"), ("Logical_Router_Static_Route", "ip_prefix"), ("Gateway_Chassis", "name"),
    ):  # fmt: skip
        said = run(["ovn-nbctl", f"--db=unix:{STATE}/ovn/nb.sock", "--format=json", f"--columns=_uuid,{column}", "list", table])
        found |= {f"{table} {row[1]} {row[0][1]}" for row in json.loads(said)["data"]}
    return found


def rbd() -> set[str]:
    """RBD images, those in the trash included."""
    found = set()
    for pool in ("images", "volumes", "vms"):
        command = ["nsenter", "--net=/run/netns/wk-ctl", "rbd", "-c", str(STATE / "ceph/ceph.conf"), "-p", pool]
        found |= {f"{pool}/{name}" for name in run([*command, "ls"]).split()}
        found |= {f"{pool}/trash {line.split()[0]}" for line in run([*command, "trash", "ls", "--all"]).splitlines()}
    return found


def rows() -> set[str]:
    """Rows of resources, allocations and jobs: of each its table and key."""
    keys = {(schema, table): key for schema, table, key in sql(KEYS)}
    watched = [(schema, table) for schema, tables in TABLES.items() for table in tables]
    parts = (f"SELECT '{schema}.{table}', concat_ws(' ', {keys[schema, table]}) FROM {schema}.\"{table}\"" for schema, table in watched)
    return {" ".join(row) for row in sql(" UNION ALL ".join(parts))}


ENGINES = {"libvirt": libvirt, "taps": taps, "ovs": ovs_ports, "ovn": ovn, "rbd": rbd, "sql": rows}


def holdings() -> dict[str, set[str]]:
    """Everything, by engine."""
    return {name: look() for name, look in ENGINES.items()}


# What was there before the test may have been on its way out.
PASSING = re.compile(r"compute\.question |common\.job |\w+/trash ")


def nothing_left(before: dict[str, set[str]], *, engines: Collection[str] = tuple(ENGINES), seconds: float = 300) -> None:
    """Wait until every engine holds just what it held before; AssertionError lists what was left, and what is missing."""

    def look() -> bool:
        now = {name: ENGINES[name]() for name in engines}
        left = {name: sorted(now[name] - before[name]) for name in now if now[name] - before[name]}
        lost = {one for name in now for one in before[name] - now[name] if not PASSING.match(one)}
        assert not left, f"left: {left}"
        assert not lost, f"lost: {sorted(lost)}"
        return True

    eventually(look, seconds=seconds, what="every engine holds what it held before", every=2)
