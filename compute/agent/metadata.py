"""`wolke-metadata`: one process a host, a listening socket inside each network's namespace, answers from the agent's last plan.

It needs neither the agent nor the controller: what a guest has read once it can read again while both are away.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

from common import log
from common.config import CONF, load
from compute.agent.metadata_server import Listener, Pool, listen_in
from compute.agent.netns import FOLDER, namespace_of

LOG = logging.getLogger(__name__)
LOOK_S = 0.5
ENDS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Claim:
    """Which addresses a NIC of a project may send as; `ranges` None is any."""

    project_id: str
    ranges: tuple[IPv4Network | IPv6Network, ...] | None

    def covers(self, ip: IPv4Address | IPv6Address) -> bool:
        """Whether the NIC may send as `ip`."""
        return self.ranges is None or any(ip in one for one in self.ranges)


class Book:
    """Who owns which address of a plan, and who may claim it. An entry that cannot be read costs its own server and no other its answers."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._owners: dict[tuple[str, str], list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        self._claims: dict[str, list[Claim]] = defaultdict(list)
        for server in raw["servers"]:
            try:
                for nic in server["nics"]:
                    self._add(server, nic)
            except (KeyError, TypeError, AttributeError) as error:
                LOG.error("a server of the plan is passed over: %r", error)
        self.networks = frozenset(network["id"] for network in raw["networks"] if _has_port(network))

    def owner(self, network_id: str, ip: str, mac: str | None) -> Mapping[str, Any] | None:
        """The server whose port owns this address; None where none does, another project's NIC may claim it, or the frame came from another NIC."""
        found = self._owners.get((network_id, ip), [])
        if len(found) != 1 or (mac is not None and mac != found[0][0]):
            return None
        server, address = found[0][1], ip_address(ip)
        others = (claim for claim in self._claims.get(network_id, ()) if claim.project_id != server["project_id"])
        return None if any(claim.covers(address) for claim in others) else server

    def _add(self, server: Mapping[str, Any], nic: Mapping[str, Any]) -> None:
        self._claims[str(nic["network_id"])].append(
            _claim(server["project_id"], nic)
        )  # of one that is to go as well: its guest may still run
        if server["desired"] == "absent":
            return
        for ip in nic["fixed_ips"]:
            self._owners[nic["network_id"], ip["ip"]].append((nic["mac"], server))


def _claim(project_id: str, nic: Mapping[str, Any]) -> Claim:
    """By IP alone: a port that may send as an IP with another MAC may say by ARP that the IP is there, and gets the answers of its owner."""
    if nic.get("port_security_enabled", True) is not True:
        return Claim(project_id, None)
    try:
        own = [ip["ip"] for ip in nic["fixed_ips"]]
        pairs = [pair["ip_address"] for pair in nic.get("allowed_address_pairs", ())]
        return Claim(project_id, tuple(ip_network(one, strict=False) for one in (*own, *pairs)))
    except (KeyError, TypeError, ValueError) as error:
        LOG.error("a NIC of project %s may claim anything, for it cannot be read: %r", project_id, error)
        return Claim(project_id, None)


def _has_port(network: Any) -> bool:
    return isinstance(network, dict) and isinstance(network.get("id"), str) and bool(network.get("metadata_port"))


class Plan:
    """The last plan, by who owns which address. Read by many threads, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._book = Book({"servers": [], "networks": []})

    @property
    def networks(self) -> frozenset[str]:
        """Networks in which metadata answers."""
        return self._book.networks

    def refresh(self) -> None:
        """Read the file again if it is another one. A damaged one is passed over: the last good one holds."""
        try:
            stat = self._path.stat()
            if self._stamp == (stat.st_ino, stat.st_mtime_ns):
                return
            book = Book(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOG.error("%s cannot be read, the last plan holds: %s", self._path, error)
            return
        self._book, self._stamp = book, (stat.st_ino, stat.st_mtime_ns)

    def owner(self, network_id: str, ip: str, mac: str | None) -> Mapping[str, Any] | None:
        """`Book.owner` of the last plan."""
        return self._book.owner(network_id, ip, mac)


class Service:
    """Keeps a listener in the namespace of each network of the plan."""

    def __init__(self, plan: Plan, pool: Pool, folder: str = FOLDER) -> None:
        self._plan = plan
        self._pool = pool
        self._folder = folder
        self._listeners: dict[str, tuple[int, Listener]] = {}

    def look(self) -> None:
        """Open what is missing, close what is not needed, follow a namespace that was made anew."""
        self._plan.refresh()
        for network_id in list(self._listeners):
            inode, listener = self._listeners[network_id]
            if network_id not in self._plan.networks or self._inode(network_id) != inode:
                listener.close()
                del self._listeners[network_id]
                LOG.info("network %s: closed", network_id)
        for network_id in self._plan.networks - self._listeners.keys():
            self._open(network_id)
        self._pool.end_slow()

    def _open(self, network_id: str) -> None:
        inode = self._inode(network_id)
        if inode is None:
            return
        try:
            sock = listen_in(f"{self._folder}/{namespace_of(network_id)}")
        except OSError as error:  # the agent is still at it
            LOG.debug("network %s: %s", network_id, error)
            return
        self._listeners[network_id] = (inode, Listener(sock, network_id, self._pool))
        LOG.info("network %s: listening", network_id)

    def _inode(self, network_id: str) -> int | None:
        try:
            return os.stat(f"{self._folder}/{namespace_of(network_id)}").st_ino
        except FileNotFoundError:
            return None


def main() -> None:
    """Serve metadata until SIGTERM."""
    load(sys.argv[1:], program="wolke-metadata")
    log.setup("wolke-metadata", CONF.log_level)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    plan = Plan(Path(CONF.state_path) / "agent" / "plan.json")
    service = Service(plan, Pool(plan.owner))
    while signal.sigtimedwait(ENDS, LOOK_S) is None:
        try:
            service.look()
        except Exception:  # one bad look must not take metadata from every guest
            LOG.exception("looking at the plan failed")
    LOG.info("ended")


if __name__ == "__main__":
    main()
