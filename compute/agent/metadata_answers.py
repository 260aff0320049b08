"""What a guest reads at 169.254.169.254: pure functions from a server of the plan to the answer of a path.

Sources: Nova's metadata API (OpenStack style), Amazon's instance metadata of 2009-04-04 (EC2 style), as cloud-init asks for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04",
)  # fmt: skip
OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
)  # fmt: skip
SINCE = {"vendor_data.json": "2013-10-17", "network_data.json": "2015-10-15", "vendor_data2.json": "2016-10-06"}
Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its media type."""

    body: bytes
    media_type: str = "text/plain; charset=utf-8"


def answer(server: Mapping[str, Any], path: str) -> Answer | None:
    """The answer to GET `path` for the guest `server`, an entry of the plan; None is 404. A folder may be asked with or without its slash."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return _text("\n".join([*EC2_VERSIONS, "latest"]))
    if parts[0] == "openstack":
        return _openstack(server, parts[1:])
    if parts[0] in (*EC2_VERSIONS, "latest"):
        return _ec2(server, parts[1:])
    return None


def _text(text: str) -> Answer:
    return Answer(text.encode())


def _json(value: object) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False).encode(), "application/json")


def _openstack(server: Mapping[str, Any], parts: list[str]) -> Answer | None:
    if not parts:
        return _text("\n".join([*OPENSTACK_VERSIONS, "latest"]))
    version = OPENSTACK_VERSIONS[-1] if parts[0] == "latest" else parts[0]
    if version not in OPENSTACK_VERSIONS or len(parts) > 2:
        return None
    files: dict[str, Callable[[], Answer]] = {
        "meta_data.json": lambda: _json(_meta_data(server, version)),
        "network_data.json": lambda: _json(_network_data(server)),
        "vendor_data.json": lambda: _json({}),
        "vendor_data2.json": lambda: _json({}),
    }
    offered = {name: make for name, make in files.items() if version >= SINCE.get(name, "")}
    user_data = _user_data(server)
    if user_data is not None:
        offered["user_data"] = lambda: Answer(user_data, "application/octet-stream")
    if len(parts) == 1:
        return _text("\n".join(sorted(offered)))
    return offered[parts[1]]() if parts[1] in offered else None


def _user_data(server: Mapping[str, Any]) -> bytes | None:
    encoded = server["metadata"].get("user_data")
    if not encoded:
        return None
    try:
        return base64.b64decode(encoded)
    except binascii.Error:
        return None


def _meta_data(server: Mapping[str, Any], version: str) -> dict[str, Any]:
    facts = server["metadata"]
    keys: Mapping[str, str] = facts.get("public_keys") or {}
    found: dict[str, Any] = {
        "uuid": server["id"],
        "name": server["name"],
        "hostname": server["hostname"],
        "availability_zone": facts.get("availability_zone"),
        "launch_index": facts.get("launch_index", 0),
        "meta": facts.get("meta") or {},
    }
    if keys:
        found["public_keys"] = dict(keys)
        found["keys"] = [{"name": name, "type": "ssh", "data": key} for name, key in keys.items()]
    if version >= "2013-04-04":
        found["random_seed"] = base64.b64encode(os.urandom(512)).decode()
    if version >= "2015-10-15":
        found["project_id"] = server["project_id"]
    if version >= "2016-06-30":
        found["devices"] = []
    if version >= "2018-08-27":
        found["dedicated_cpus"] = []
    return found


def _network_data(server: Mapping[str, Any]) -> dict[str, Any]:
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for nic in server["nics"]:
        links.append(
            {"id": nic["tap"], "vif_id": nic["port_id"], "type": "ovs", "mtu": nic["mtu"], "ethernet_mac_address": nic["mac"]}
        )  # fmt: skip
        for ip in nic["fixed_ips"]:
            kind = "ipv4_dhcp" if ip.get("version", 4) == 4 else "ipv6_slaac"
            networks.append(
                {"id": f"network{len(networks)}", "type": kind, "link": nic["tap"], "network_id": nic["network_id"]}
            )  # fmt: skip
    return {"links": links, "networks": networks, "services": []}


def _ec2(server: Mapping[str, Any], parts: list[str]) -> Answer | None:
    user_data = _user_data(server)
    if not parts:
        return _text("meta-data/" + ("\nuser-data" if user_data is not None else ""))
    if parts == ["user-data"]:
        return Answer(user_data, "application/octet-stream") if user_data is not None else None
    if parts[0] != "meta-data":
        return None
    return _ec2_meta_data(_ec2_tree(server), parts[1:])


def _ec2_meta_data(found: Any, parts: list[str]) -> Answer | None:
    for part in parts:
        found = found.get(part) if isinstance(found, Mapping) else None
        if found is None:
            return None
    if isinstance(found, Mapping):
        return _text("\n".join(_listed(name, value) for name, value in found.items()))
    return _text(str(found))


def _listed(name: str, value: object) -> str:
    """A folder ends in a slash; a key is listed as `index=name`."""
    if isinstance(value, _Key):
        return f"{name}={value['name']}"
    return f"{name}/" if isinstance(value, Mapping) else name


class _Key(dict[str, str]):
    """A public key's folder."""

    def get(self, key: str, default: Any = None) -> Any:
        return self["data"] if key == "openssh-key" else default

    def items(self) -> Any:
        return [("openssh-key", "")]


def _ec2_tree(server: Mapping[str, Any]) -> Tree:
    facts = server["metadata"]
    first = next((ip["ip"] for nic in server["nics"] for ip in nic["fixed_ips"] if ip.get("version", 4) == 4), "")
    keys = _of(facts, "public_keys", {}).items()
    return {
        "ami-id": f"ami-{server['id'][:8]}",
        "ami-launch-index": _of(facts, "launch_index", 0),
        "ami-manifest-path": "unknown",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": server["hostname"],
        "instance-action": "none",
        "instance-id": f"i-{server['id'][:8]}",
        "instance-type": _of(facts, "instance_type", ""),
        "local-hostname": server["hostname"],
        "local-ipv4": first,
        "placement": {"availability-zone": _of(facts, "availability_zone", "")},
        "public-hostname": server["hostname"],
        "public-ipv4": _of(facts, "floating_ips", {}).get(first, ""),
        "public-keys": {str(index): _Key(name=name, data=key) for index, (name, key) in enumerate(keys)},
        "reservation-id": _of(facts, "reservation_id", ""),
        "security-groups": "\n".join(_of(facts, "security_groups", [])),
    }


def _of(facts: Mapping[str, Any], name: str, default: Any) -> Any:
    """A fact that may be missing or null."""
    value = facts.get(name)
    return default if value is None else value
