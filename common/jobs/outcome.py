"""What a step of a flow may say when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goto:
    """The next step; `data` is merged into the job's."""

    step: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """The same step again in `seconds`, or at the next wake that makes it due; `reason` is for who looks at the job."""

    seconds: float
    reason: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The wish that this run read has come about."""


@dataclass(frozen=True)
class Fail:
    """It cannot come about: `code` (HTTP's) and `message` become the subject's fault, readable by its tenant."""

    code: int
    message: str


@dataclass(frozen=True)
class Park:
    """Only an operator can move this on."""

    reason: str


Outcome = Goto | Wait | Done | Fail | Park
