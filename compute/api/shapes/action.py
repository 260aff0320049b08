"""Shapes of the log of what was asked of a server."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import NULL, OPTIONAL_STRING, STRING, always
from common.api.shapes import array, wrapped

_ACTION: dict[str, Any] = {
    "action": STRING, "instance_uuid": STRING, "request_id": STRING, "user_id": OPTIONAL_STRING, "project_id": OPTIONAL_STRING,
    "start_time": STRING, "message": OPTIONAL_STRING,
}  # fmt: skip
_EVENT = always(
    {"event": STRING, "start_time": STRING, "finish_time": OPTIONAL_STRING, "result": {"enum": ["Success", "Error", None]}},
    {"traceback": NULL},  # for administrators
)
ACTION = wrapped("instanceAction", always({**_ACTION, "events": array(_EVENT)}))
ACTIONS = always({"instanceActions": array(always(_ACTION))})
