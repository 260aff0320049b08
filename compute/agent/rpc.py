"""The controller over the bus: `ports.Controller` as calls on topic `agents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from common.bus import Bus, BusError
from compute.agent.ports import Refused, Unreachable

TOPIC = "agents"
CALL_S = 5.0
REGISTER_S = 2.0  # at first there may be no worker yet, and no queue that would keep the call


class BusController:
    """Each method raises Unreachable when no answer came in 5 s (registering: 2 s), Refused when the controller does not believe us."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def register(self, host_id: str, name: str, public_key: str, stamp: int, signature: str) -> Mapping[str, Any]:
        said = {"host_id": host_id, "name": name, "public_key": public_key, "stamp": stamp, "signature": signature}
        return self._call("register", REGISTER_S, **said)

    def pull(self, host_id: str, agent_epoch: int, seq: int, digest: str | None, signature: str) -> Mapping[str, Any]:
        return self._call("pull", CALL_S, host_id=host_id, agent_epoch=agent_epoch, seq=seq, digest=digest, signature=signature)

    def report(self, host_id: str, agent_epoch: int, seq: int, body: Mapping[str, Any], signature: str) -> Mapping[str, Any]:
        return self._call("report", CALL_S, host_id=host_id, agent_epoch=agent_epoch, seq=seq, body=body, signature=signature)

    def _call(self, method: str, seconds: float, **arguments: Any) -> Mapping[str, Any]:
        try:
            answer = self._bus.call(TOPIC, method, timeout=seconds, **arguments)
        except BusError as error:
            kind = Refused if str(error).startswith("Refused:") else Unreachable
            raise kind(str(error)) from None
        return cast(Mapping[str, Any], answer if isinstance(answer, dict) else {})
