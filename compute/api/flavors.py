"""/flavors, their extra specs and who may use them. Source: Nova's API reference, "Flavors"."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.api.shapes import integer, obj, wrapped
from common.errors import BadRequest
from compute.api import views
from compute.api.shapes import flavor as answers
from compute.models import Flavor
from compute.service import flavor

Json = dict[str, Any]
KEY = {"type": "string", "pattern": r"^[a-zA-Z0-9-_:. ]{1,255}$"}
SPECS = {
    "type": "object",
    "maxProperties": 128,
    "propertyNames": KEY,
    "additionalProperties": {"type": ["string", "number"], "maxLength": 255},
}
MOST = 2**31 - 1
PRIVATE = "compute:flavor:list:private"
PROJECT = obj({"tenant": shapes.NAME}, required=("tenant",))
CREATE = wrapped(
    "flavor",
    obj(
        {
            "name": shapes.NAME, "id": {"type": ["string", "number", "null"], "maxLength": 255, "pattern": r"^(?! )[a-zA-Z0-9. _-]*(?<! )$"},
            "ram": integer(1), "vcpus": integer(1), "disk": integer(0), "OS-FLV-EXT-DATA:ephemeral": integer(0), "swap": integer(0),
            "rxtx_factor": {"type": ["number", "string"]}, "os-flavor-access:is_public": shapes.LOOSE_BOOLEAN,
        },
        required=("name", "ram", "vcpus", "disk"),
    ),
)  # fmt: skip
COLUMNS = {
    "ram": "ram_mib", "vcpus": "vcpus", "disk": "disk_gib", "OS-FLV-EXT-DATA:ephemeral": "ephemeral_gib", "swap": "swap_mib",
}  # fmt: skip


def _page(request: Request) -> tuple[list[Flavor], bool]:
    page = Page.asked(request, flavor.KEYS, default=(("flavorid", False),))
    query = request.query
    public: bool | None = True
    if request.may(PRIVATE):
        given = (query.one("is_public") or "true").lower()
        public = None if given == "none" else query.flag("is_public", True)
    least_ram, least_disk = (min(query.integer(name, 0) or 0, MOST) for name in ("minRam", "minDisk"))

    def read(tx: Any) -> list[Flavor]:
        return flavor.page(tx, request.actor, page, public=public, least_ram=least_ram, least_disk=least_disk)

    return page.cut(request.read(read))


@operation("GET", "/flavors", action="compute:flavor:list", guarded=(PRIVATE,), answer=answers.BRIEF_FLAVORS)
def list_flavors(request: Request) -> Json:
    """Ids, names and links."""
    rows, more = _page(request)
    return {"flavors": [views.brief_flavor(request, row) for row in rows], **next_link(request, "flavors", rows, more)}


@operation("GET", "/flavors/detail", action="compute:flavor:list", guarded=(PRIVATE,), answer=answers.FLAVORS)
def list_flavors_in_detail(request: Request) -> Json:
    """Whole flavors."""
    rows, more = _page(request)
    return {"flavors": [views.flavor(request, row) for row in rows], **next_link(request, "flavors", rows, more)}


@operation("GET", "/flavors/{flavor_id}", action="compute:flavor:show", answer=answers.FLAVOR)
def show_flavor(request: Request) -> Json:
    """One flavor."""
    return {"flavor": views.flavor(request, _get(request))}


def _get(request: Request) -> Flavor:
    return request.read(lambda tx: flavor.get(tx, request.actor, request.path["flavor_id"]))


@operation("POST", "/flavors", action="compute:flavor:create", body=CREATE, answer=answers.FLAVOR)
def create_flavor(request: Request) -> Json:
    """A new flavor."""
    body = request.body["flavor"]
    values: Json = {column: int(body[name]) for name, column in COLUMNS.items() if name in body}
    values |= {"name": body["name"].strip(), "rxtx_factor": _factor(body.get("rxtx_factor", 1.0))}
    if "os-flavor-access:is_public" in body:
        values["is_public"] = shapes.truth(body["os-flavor-access:is_public"])
    if body.get("id") not in (None, "", "auto"):
        values["id"] = str(body["id"])
    row = request.run(lambda tx: flavor.create(tx, dict(values)))
    return {"flavor": views.flavor(request, row)}


def _factor(given: Any) -> float:
    try:
        factor = float(given)
    except (ValueError, TypeError, OverflowError):
        factor = -1.0
    if not 0 < factor < 1e38:
        raise BadRequest(f"Invalid input for field/attribute rxtx_factor. Value: {given}. It must be a number above 0.")
    return factor


@operation("DELETE", "/flavors/{flavor_id}", action="compute:flavor:delete", status=202)
def delete_flavor(request: Request) -> None:
    """Remove a flavor."""
    request.run(lambda tx: flavor.remove(tx, request.path["flavor_id"]))


@operation("GET", "/flavors/{flavor_id}/os-extra_specs", action="compute:flavor:specs:list", answer=answers.SPECS)
def list_specs(request: Request) -> Json:
    """All extra specs."""
    return {"extra_specs": _get(request).extra_specs}


@operation(
    "POST",
    "/flavors/{flavor_id}/os-extra_specs",
    action="compute:flavor:specs:write",
    body=wrapped("extra_specs", SPECS),
    answer=answers.SPECS,
)
def create_specs(request: Request) -> Json:
    """Add or replace extra specs."""
    specs = {key: str(value) for key, value in request.body["extra_specs"].items()}
    request.run(lambda tx: flavor.change_specs(tx, request.actor, request.path["flavor_id"], specs))
    return {"extra_specs": specs}


@operation("GET", "/flavors/{flavor_id}/os-extra_specs/{key}", action="compute:flavor:specs:show", answer=answers.SPEC)
def show_spec(request: Request) -> Json:
    """One extra spec."""
    key = request.path["key"]
    return {key: flavor.spec(_get(request), key)}


@operation(
    "PUT",
    "/flavors/{flavor_id}/os-extra_specs/{key}",
    action="compute:flavor:specs:write",
    body={**SPECS, "maxProperties": 1, "minProperties": 1},
    answer=answers.SPEC,
)
def update_spec(request: Request) -> Json:
    """Change one extra spec that is there."""
    key = request.path["key"]
    if key not in request.body:
        raise BadRequest("Request body and URI mismatch")

    def run(tx: Any) -> None:
        flavor.spec(flavor.get(tx, request.actor, request.path["flavor_id"]), key)
        flavor.change_specs(tx, request.actor, request.path["flavor_id"], {key: str(request.body[key])})

    request.run(run)
    return {key: str(request.body[key])}


@operation("DELETE", "/flavors/{flavor_id}/os-extra_specs/{key}", action="compute:flavor:specs:delete")
def delete_spec(request: Request) -> None:
    """Remove one extra spec."""
    request.run(lambda tx: flavor.remove_spec(tx, request.actor, request.path["flavor_id"], request.path["key"]))


@operation("GET", "/flavors/{flavor_id}/os-flavor-access", action="compute:flavor:access:list", answer=answers.ACCESS)
def list_access(request: Request) -> Json:
    """The projects that may use a flavor that is not public."""
    return _access(request, request.read(lambda tx: flavor.access(tx, request.actor, request.path["flavor_id"])))


_CHANGES = {"addTenantAccess": flavor.add_access, "removeTenantAccess": flavor.remove_access}
_ACTION, _CHANGE = "/flavors/{flavor_id}/action", "compute:flavor:access:change"


@operation(
    "POST", _ACTION, action=_CHANGE, body_key="addTenantAccess", body=wrapped("addTenantAccess", PROJECT), answer=answers.ACCESS,
    summary="Let a project use the flavor.",
)  # fmt: skip
@operation(
    "POST", _ACTION, action=_CHANGE, body_key="removeTenantAccess", body=wrapped("removeTenantAccess", PROJECT), answer=answers.ACCESS,
    summary="Let a project use the flavor no more.",
)  # fmt: skip
def change_access(request: Request) -> Json:
    """Let a project use the flavor, or no more."""
    ((change, given),) = request.body.items()
    return _access(request, request.run(lambda tx: _CHANGES[change](tx, request.actor, request.path["flavor_id"], given["tenant"])))


def _access(request: Request, projects: list[str]) -> Json:
    return {"flavor_access": [{"flavor_id": request.path["flavor_id"], "tenant_id": project} for project in projects]}
