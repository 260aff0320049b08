"""What the OVN writer may ask of a northbound engine; both engines pass tests/contract/test_network_engine.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from network.engine.desired import Stamp, Unit, Value


class EngineError(Exception):
    """OVN refused or did not answer; the same call may succeed later."""


class StaleFenceError(EngineError):
    """Another writer holds the northbound database: this process must end."""


class UnavailableError(EngineError):
    """OVN does not answer; nothing is known of the transaction."""


class MissingReferenceError(EngineError):
    """A row names another that OVN does not have (yet)."""


@dataclass(frozen=True, slots=True)
class Chassis:
    """A hypervisor as OVN's southbound database knows it. `bridges`: physical networks that it is mapped to."""

    name: str
    hostname: str
    bridges: frozenset[str] = frozenset()
    gateway: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """One row of ours as it stands in OVN."""

    unit: tuple[str, str]
    stamp: Stamp
    parent: str | None
    columns: Mapping[str, Value]
    refs: Mapping[str, str | None]
    groups: frozenset[str] | None


class Northbound(Protocol):
    """OVN's northbound database as the one writer sees it."""

    def acquire(self, fence: int) -> None:
        """Become the writer. Raises StaleFenceError if a higher fence has been seen."""

    def apply(self, fence: int, units: Sequence[Unit]) -> None:
        """Bring the units about in ONE transaction, removals first. Repeating it changes nothing.

        Raises StaleFenceError if the writer is another, MissingReferenceError, EngineError; then nothing was written.
        """

    def units(self) -> dict[tuple[str, str], Stamp]:
        """Every (kind, id) that has rows in OVN; of differing stamps the lowest."""

    def content(self) -> dict[tuple[str, str], Content]:
        """Every row of ours by (table, key), for comparison."""

    def wired(self) -> dict[str, bool]:
        """Every logical switch port and whether its chassis has it up."""

    def take_wired(self) -> dict[str, bool]:
        """What changed in `wired` since the last call; a port that went is False."""

    def chassis(self) -> tuple[Chassis, ...]:
        """All chassis, by name."""

    def wait(self, seconds: float) -> bool:
        """Sleep until `wired` or the chassis change, `wake` is called, or the time is over (False)."""

    def wake(self) -> None:
        """End a `wait`, from any thread."""

    def close(self) -> None: ...
