"""POST /servers/{id}/action, and the log of what was asked. Source: Nova's API reference, "Servers - run an action", "Servers actions"."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import integer, obj, wrapped
from compute.api import views
from compute.api.shapes import action as answers
from compute.api.shapes.server_parts import OUTPUT, disk_limits
from compute.models import ServerAction
from compute.service import actions, console, groups, limits, power, servers

Json = dict[str, Any]
PATH = "/servers/{server_id}/action"
KINDS = ("SOFT", "HARD", "Soft", "Hard", "soft", "hard")
NOTHING: Json = {}
GROUP = obj({"name": shapes.NAME}, required=("name",))
DETAILS = "compute:server:actions:details"
LIMITS = obj(
    {"disk": shapes.NAME, **{name: {"anyOf": [{"type": "null"}, integer(0, limits.MOST)]} for name in limits.NAMES}}, required=("disk",)
)  # fmt: skip


@operation("POST", PATH, action="compute:server:start", body_key="os-start", body=wrapped("os-start", NOTHING), status=202)
def start(request: Request) -> None:
    """Start a stopped server."""
    request.run(lambda tx: power.start(tx, request.actor, request.path["server_id"]))


@operation("POST", PATH, action="compute:server:stop", body_key="os-stop", body=wrapped("os-stop", NOTHING), status=202)
def stop(request: Request) -> None:
    """Stop a server, cleanly if the guest agrees in time."""
    request.run(lambda tx: power.stop(tx, request.actor, request.path["server_id"]))


@operation(
    "POST", PATH, action="compute:server:reboot", body_key="reboot", status=202,
    body=wrapped("reboot", obj({"type": {"enum": list(KINDS)}}, required=("type",))),
)  # fmt: skip
def reboot(request: Request) -> None:
    """Reboot, softly or hard."""
    kind = request.body["reboot"]["type"].upper()
    request.run(lambda tx: power.reboot(tx, request.actor, request.path["server_id"], kind))


@operation("POST", PATH, action="compute:server:lock", body_key="lock", body=wrapped("lock", NOTHING), status=202)
def lock(request: Request) -> None:
    """Refuse changes."""
    request.run(lambda tx: power.lock(tx, request.actor, request.path["server_id"]))


@operation("POST", PATH, action="compute:server:unlock", body_key="unlock", body=wrapped("unlock", NOTHING), status=202)
def unlock(request: Request) -> None:
    """Allow changes again."""
    request.run(lambda tx: power.unlock(tx, request.actor, request.path["server_id"]))


@operation(
    "POST", PATH, action="compute:server:groups:add", body_key="addSecurityGroup", body=wrapped("addSecurityGroup", GROUP), status=202
)
def add_security_group(request: Request) -> None:
    """Let a security group hold for the server's ports too."""
    name = request.body["addSecurityGroup"]["name"]
    request.run(lambda tx: groups.add(tx, request.actor, request.path["server_id"], name))


@operation(
    "POST", PATH, action="compute:server:groups:remove", body_key="removeSecurityGroup", body=wrapped("removeSecurityGroup", GROUP), status=202
)  # fmt: skip
def remove_security_group(request: Request) -> None:
    """Let a security group hold for the server's ports no longer."""
    name = request.body["removeSecurityGroup"]["name"]
    request.run(lambda tx: groups.remove(tx, request.actor, request.path["server_id"], name))


@operation(
    "POST", PATH, action="compute:server:console", body_key="os-getConsoleOutput", secret=True,
    body=wrapped("os-getConsoleOutput", {"anyOf": [{"type": "null"}, obj({"length": {"anyOf": [{"type": "null"}, integer(-1)]}})]}),
    answer=OUTPUT,
)  # fmt: skip
def get_console_output(request: Request) -> Json:
    """The last lines of the serial console's log; all that is kept without a length, or with -1."""
    given = (request.body["os-getConsoleOutput"] or {}).get("length")
    length = int(given) if given is not None and int(given) >= 0 else None
    with console.seat():
        question = request.read(lambda tx: console.ask(tx, request.actor, request.path["server_id"], length))
        return {"output": console.wait(request.read, question)}


@operation(
    "POST",
    PATH,
    action="compute:server:limits:set",
    body_key="wolke-setDiskLimits",
    body=wrapped("wolke-setDiskLimits", LIMITS),
    status=202,
)
def set_disk_limits(request: Request) -> None:
    """Limit a disk of the running server; null returns a limit to the flavor's."""
    body = request.body["wolke-setDiskLimits"]
    wanted = {name: None if body[name] is None else int(body[name]) for name in limits.NAMES if name in body}
    request.run(lambda tx: limits.change(tx, request.actor, request.path["server_id"], body["disk"], wanted))


@operation("GET", "/servers/{server_id}/wolke-disk-limits", action="compute:server:limits:show", answer=disk_limits(*limits.NAMES))
def show_disk_limits(request: Request) -> Json:
    """Each disk's limits: `desired`, and `observed` as last read back from QEMU (empty before that)."""
    found = request.read(lambda tx: limits.of_server(tx, request.actor, request.path["server_id"]))
    return {
        "disks": [
            {"device": item.device, "volume_id": item.volume_id, "desired": item.desired, "observed": item.observed or {}} for item in found
        ]
    }  # fmt: skip


@operation("GET", "/servers/{server_id}/os-instance-actions", action="compute:server:actions:list", answer=answers.ACTIONS)
def list_actions(request: Request) -> Json:
    """What was asked of the server, newest first."""

    def read(tx: Any) -> list[ServerAction]:
        server_id = servers.get(tx, request.actor, request.path["server_id"]).id
        return actions.of_server(tx, server_id)

    return {"instanceActions": [_action(row) for row in request.read(read)]}


@operation(
    "GET",
    "/servers/{server_id}/os-instance-actions/{request_id}",
    action="compute:server:actions:show",
    guarded=(DETAILS,),
    answer=answers.ACTION,
)
def show_action(request: Request) -> Json:
    """One request with its events, and for administrators their tracebacks. As from 2.51 on: the CLI asks every cloud for the events."""

    def read(tx: Any) -> ServerAction:
        server_id = servers.get(tx, request.actor, request.path["server_id"]).id
        return actions.get(tx, server_id, request.path["request_id"])

    row = request.read(read)
    traceback = {"traceback": None} if request.may(DETAILS) else {}
    return {"instanceAction": {**_action(row), "events": [{**_event(row), **traceback}]}}


def _action(row: ServerAction) -> Json:
    return {
        "action": row.action, "instance_uuid": row.server_id, "request_id": row.request_id, "user_id": row.user_id,
        "project_id": row.project_id, "start_time": views.precise(row.started_at), "message": row.message,
    }  # fmt: skip


def _event(row: ServerAction) -> Json:
    finished = row.finished_at is not None
    result = ("Error" if row.message else "Success") if finished else None
    return {
        "event": f"compute_{row.action}", "start_time": views.precise(row.started_at), "finish_time": views.precise(row.finished_at),
        "result": result,
    }  # fmt: skip
