"""What a request for new servers asks, in the core's own words; the API fills it in, whatever the microversion's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Nic:
    """One NIC: an existing port, or a new one on `network_id`, perhaps with `fixed_ip`."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None


@dataclass(frozen=True)
class BlockDevice:
    """One disk of block_device_mapping_v2. `size_gib` for what is made; `boot_index` 0 is the root, None or below 0 no boot."""

    source: Literal["image", "volume", "snapshot", "blank"]
    destination: Literal["volume", "local"]
    id: str | None = None
    size_gib: int | None = None
    boot_index: int | None = None
    device: str | None = None
    delete_on_termination: bool = False

    @property
    def is_root(self) -> bool:
        """Whether the server boots from it."""
        return self.boot_index == 0


@dataclass(frozen=True)
class NewServer:
    """A request for servers. `nics` None: the project's network; empty: none. `forced_host` is a host's name."""

    name: str
    flavor_id: str
    image_id: str | None = None
    nics: Sequence[Nic] | None = None
    security_groups: Sequence[str] | None = None
    block_devices: Sequence[BlockDevice] = ()
    key_name: str | None = None
    user_data: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    availability_zone: str | None = None
    forced_host: str | None = None
    minimum: int = 1
    maximum: int = 1
    disk_config: str = "MANUAL"
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
