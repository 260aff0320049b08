"""/v2.0/quotas."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from common.db import Tx, lock_projects
from common.errors import Forbidden
from network.api.shapes import quota as answers
from network.service import quota as service

LIMIT: shapes.Shape = shapes.integer(-1)
FLAGS = dict.fromkeys(("force", "check_limit"), shapes.LOOSE_BOOLEAN)
UPDATE = shapes.wrapped("quota", shapes.obj({**dict.fromkeys(service.DEFAULTS, LIMIT), **FLAGS}))


def _project(request: Request) -> str:
    """The project in the path; another than one's own is for those who may see all."""
    project_id = request.path["quota_project"]
    if project_id != request.actor.project_id and not request.may("network:quota:list"):
        raise Forbidden("Policy doesn't allow get_quota to be performed.", type="PolicyNotAuthorized")
    return project_id


@operation("GET", "/quotas", action="network:quota:list", answer=answers.QUOTAS)
def index(request: Request) -> Any:
    """Limits of every project that has its own."""

    def read(tx: Tx) -> Any:
        return [{"project_id": id, "tenant_id": id, **limits} for id, limits in service.every(tx).items()]

    return {"quotas": request.read(read)}


@operation("GET", "/quotas/{quota_project}", action="network:quota:show", guarded=("network:quota:list",), answer=answers.QUOTA)
def show(request: Request) -> Any:
    """A project's limits."""
    project_id = _project(request)
    return {"quota": request.read(lambda tx: service.limits(tx, project_id))}


@operation("GET", "/quotas/{quota_project}/default", action="network:quota:show", guarded=("network:quota:list",), answer=answers.QUOTA)
def show_default(request: Request) -> Any:
    """The limits that hold where none are set."""
    _project(request)
    return {"quota": dict(service.DEFAULTS)}


@operation("GET", "/quotas/{quota_project}/details", action="network:quota:show", guarded=("network:quota:list",), answer=answers.DETAILS)
def show_details(request: Request) -> Any:
    """A project's limits and what it uses of them."""
    project_id = _project(request)

    def read(tx: Tx) -> Any:
        limits = service.limits(tx, project_id)
        return {name: {"limit": limit, "used": service.used(tx, project_id, name), "reserved": 0} for name, limit in limits.items()}

    return {"quota": request.read(read)}


@operation("PUT", "/quotas/{quota_project}", action="network:quota:update", body=UPDATE, answer=answers.QUOTA)
def update(request: Request) -> Any:
    """Set limits; -1 is none. With `check_limit` none may be less than what is used."""
    project_id, body = request.path["quota_project"], request.body["quota"]
    values = {name: int(limit) for name, limit in body.items() if name in service.DEFAULTS}

    def write(tx: Tx) -> Any:
        lock_projects(tx, project_id)
        return service.change(tx, project_id, values, check=shapes.truth(body.get("check_limit", False)))

    return {"quota": request.run(write)}


@operation("DELETE", "/quotas/{quota_project}", action="network:quota:delete", status=204)
def delete(request: Request) -> Answer:
    """Back to the defaults."""
    project_id = request.path["quota_project"]
    request.run(lambda tx: service.reset(tx, project_id))
    return Answer(None, 204)
