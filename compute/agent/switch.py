"""A guest's wires on this host: a tap of ours, plugged into the integration bridge under its port's id, and what OVN says of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from compute.agent import tap as device
from compute.agent.document import Nic
from compute.agent.observed import Tap
from compute.agent.ovsdb import Ovsdb

SERVER_KEY = "wolke-server"  # external_ids key: whose tap an interface is, should the device be gone
NETWORK_KEY = "wolke-guest-network"


class OvsSwitch:
    """`ports.Switch` on the host's Open vSwitch."""

    def __init__(self, ovsdb: Ovsdb) -> None:
        self._ovsdb = ovsdb
        self._owners: dict[tuple[int, str], str | None] = {}  # by index and name: another device never inherits an owner

    def on_change(self, callback: Callable[[], None]) -> None:
        self._ovsdb.on_change(callback)

    def taps(self) -> Mapping[str, Tap]:
        snapshot = self._ovsdb.snapshot()
        owners = self._device_owners()
        taps = {}
        for name, owner in owners.items():
            ids = snapshot.interfaces.get(name, {})
            plugged = "" if name in snapshot.broken else ids.get("iface-id", "")
            installed = bool(plugged) and ids.get("ovn-installed") == "true"
            taps[name] = Tap(name, owner, plugged, installed, ids.get(NETWORK_KEY, ""))
        for name, ids in snapshot.interfaces.items():
            if SERVER_KEY in ids and name not in taps:
                taps[name] = Tap(name, ids[SERVER_KEY], "", installed=False, network_id=ids.get(NETWORK_KEY, ""))
        return taps

    def plug(self, server_id: str, nic: Nic) -> None:
        snapshot = self._ovsdb.snapshot()
        if nic.tap in snapshot.interfaces and nic.tap not in device.names():
            self._ovsdb.drop_port(nic.tap)  # what OVN said of the lost device must not be believed of the new one
        made = device.make(nic.tap, server_id)
        if snapshot.datapath == "netdev":  # on the kernel's datapath OVS takes the frames away from the stack itself
            device.fence(nic.tap)
        device.up(nic.tap, nic.mtu)
        ids = {
            "iface-id": nic.port_id,
            "iface-status": "active",
            "attached-mac": nic.mac,
            SERVER_KEY: server_id,
            NETWORK_KEY: nic.network_id,
        }
        self._ovsdb.put_port(nic.tap, ids, anew=made or nic.tap in snapshot.broken)

    def unplug(self, tap: str) -> None:
        self._ovsdb.drop_port(tap)
        device.remove(tap)

    def chassis(self) -> str:
        return self._ovsdb.snapshot().system.get("system-id", "")

    def _device_owners(self) -> dict[str, str]:
        """Our taps among the host's devices."""
        keys = [(index, name) for index, name in socket.if_nameindex() if name.startswith("tap")]
        self._owners = {key: self._owners.get(key) or device.owner_of(key[1]) for key in keys}
        return {name: owner for (_, name), owner in self._owners.items() if owner}
