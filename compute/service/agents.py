"""What agents call on the bus, topic `agents`: register, pull, report. A refusal travels by the name of its class, `Refused`."""

from __future__ import annotations

from typing import Any

from common import metrics
from common.db import Database
from compute.service import host, pull, report


class AgentEndpoint:
    """Answers agents; each call is one transaction, and refused when it comes twice."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(
        self, _context: dict[str, Any], *, host_id: str, name: str, public_key: str, signature: str, stamp: int = 0
    ) -> dict[str, Any]:
        """A new life of an agent: `{"agent_epoch"}`. Without a stamp it is refused; that is an agent older than this protocol."""
        return {"agent_epoch": self._db.run(lambda tx: host.register(tx, host_id, name, public_key, stamp, signature))}

    def pull(
        self, _context: dict[str, Any], *, host_id: str, agent_epoch: int, seq: int, digest: str | None, signature: str
    ) -> dict[str, Any]:
        """The host's desired state, or `{"unchanged": true}`."""
        answer = self._db.run(lambda tx: pull.answer(tx, host.spoken_by(tx, host_id, agent_epoch, seq, digest, signature), digest))
        metrics.PULLS.labels(str("unchanged" in answer).lower()).inc()
        return answer

    def report(
        self, _context: dict[str, Any], *, host_id: str, agent_epoch: int, seq: int, body: dict[str, Any], signature: str
    ) -> dict[str, Any]:
        """Take what the host saw; `{"pull": true}` asks it to look again."""
        answer = self._db.run(lambda tx: report.take(tx, host.spoken_by(tx, host_id, agent_epoch, seq, body, signature), body))
        metrics.REPORTS.inc()
        return answer
