"""What one disk may do: six numbers that are wished, set on the running QEMU, and read back from it.

Names and meaning are libvirt's `virDomainSetBlockIoTune`; bytes are per second, operations too, 0 is no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LIMITS = ("total_bytes_sec", "read_bytes_sec", "write_bytes_sec", "total_iops_sec", "read_iops_sec", "write_iops_sec")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes/s and operations/s, in total or by direction."""

    total_bytes_sec: int = 0
    read_bytes_sec: int = 0
    write_bytes_sec: int = 0
    total_iops_sec: int = 0
    read_iops_sec: int = 0
    write_iops_sec: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Limits:
        """From libvirt's answer, which has more than these six; what is missing is 0."""
        return cls(**{name: int(values.get(name) or 0) for name in LIMITS})

    def as_dict(self) -> dict[str, int]:
        """The six numbers by name."""
        return asdict(self)

    def conflict(self) -> str | None:
        """What QEMU would refuse: a total beside a direction of the same kind. None if it takes them."""
        for unit in ("bytes", "iops"):
            total = getattr(self, f"total_{unit}_sec")
            for direction in ("read", "write"):
                one = getattr(self, f"{direction}_{unit}_sec")
                if total and one:
                    return f"total_{unit}_sec={total} cannot stand beside {direction}_{unit}_sec={one}; set the one or the other"
        return None
