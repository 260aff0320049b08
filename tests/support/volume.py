"""What the volume API's tests ask for, and the flows that bring it about."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.api import Client
from volume.flows import snapshot_create, snapshot_delete, volume_create, volume_delete, volume_extend

FLOWS = [volume_create.FLOW, volume_extend.FLOW, volume_delete.FLOW, snapshot_create.FLOW, snapshot_delete.FLOW]
SERVER = str(uuid.uuid4())


def make(api: Client, ok: int = 202, **body: Any) -> Any:
    answer = api("POST", "/v3/volumes", {"volume": {"size": 1, **body}}, ok=ok)
    return answer.json["volume"] if ok == 202 else answer.json


def shown(api: Client, volume_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v3/volumes/{volume_id}")["volume"]
    return found


def action(api: Client, volume_id: str, name: str, ok: int = 202, **body: Any) -> Any:
    return api("POST", f"/v3/volumes/{volume_id}/action", {name: body}, ok=ok)
