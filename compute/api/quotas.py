"""/os-quota-sets and /limits at 2.1. Source: Nova's API reference, "Quota sets", "Limits"."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import integer, obj, wrapped
from common.errors import BadRequest
from compute.api.shapes import quota as answers
from compute.service import quota

Json = dict[str, Any]
SETS = "/os-quota-sets/{target_id}"
OTHERS, OTHER_LIMITS = "compute:quota:show:others", "compute:limits:show:others"
UPDATE = wrapped("quota_set", obj({**{name: integer(-1) for name in quota.DEFAULTS}, "force": shapes.LOOSE_BOOLEAN, "tenant_id": {}}))
ABSOLUTE = {
    "maxServerMeta": "metadata_items", "maxPersonality": "injected_files", "maxPersonalitySize": "injected_file_content_bytes",
    "maxImageMeta": "metadata_items", "maxTotalKeypairs": "key_pairs", "maxTotalInstances": "instances", "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram", "maxTotalFloatingIps": "floating_ips", "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules", "maxServerGroups": "server_groups", "maxServerGroupMembers": "server_group_members",
}  # fmt: skip
# What counts nothing here is shown because clients read it.
USED = {
    "totalInstancesUsed": "instances", "totalCoresUsed": "cores", "totalRAMUsed": "ram", "totalFloatingIpsUsed": "floating_ips",
    "totalSecurityGroupsUsed": "security_groups", "totalServerGroupsUsed": "server_groups",
}  # fmt: skip


def _target(request: Request) -> str:
    target = request.path["target_id"]
    if target != request.actor.project_id:
        request.must(OTHERS)
    return target


@operation("GET", SETS, action="compute:quota:show", guarded=(OTHERS,), answer=answers.QUOTAS)
def show_quotas(request: Request) -> Json:
    """The project's limits."""
    target = _target(request)
    return {"quota_set": {"id": target, **request.read(lambda tx: quota.limits(tx, target))}}


@operation("GET", SETS + "/detail", action="compute:quota:show", guarded=(OTHERS,), answer=answers.QUOTAS_IN_DETAIL)
def show_quotas_in_detail(request: Request) -> Json:
    """The project's limits and what it has taken."""
    target = _target(request)
    limits, used = request.read(lambda tx: (quota.limits(tx, target), quota.used(tx, target)))
    return {
        "quota_set": {
            "id": target,
            **{name: {"limit": limit, "in_use": getattr(used, name, 0), "reserved": 0} for name, limit in limits.items()},
        }
    }


@operation("GET", SETS + "/defaults", action="compute:quota:defaults", answer=answers.QUOTAS)
def show_default_quotas(request: Request) -> Json:
    """The limits of a project that has none of its own."""
    return {"quota_set": {"id": request.path["target_id"], **quota.DEFAULTS}}


@operation("PUT", SETS, action="compute:quota:update", body=UPDATE, answer=answers.NEW_QUOTAS)
def update_quotas(request: Request) -> Json:
    """Change limits; one below what is used only with `force`."""
    target, body = request.path["target_id"], request.body["quota_set"]
    values = {name: int(body[name]) for name in quota.DEFAULTS if name in body}

    def run(tx: Any) -> dict[str, int]:
        used = quota.used(tx, target)
        for name, value in values.items():
            taken = getattr(used, name, 0)
            if 0 <= value < taken and not shapes.truth(body.get("force", False)):
                raise BadRequest(f"Quota limit {value} for {name} must be greater than or equal to already used and reserved {taken}.")
        quota.set_limits(tx, target, values)
        return quota.limits(tx, target)

    return {"quota_set": request.run(run)}


@operation("DELETE", SETS, action="compute:quota:delete", status=202)
def delete_quotas(request: Request) -> None:
    """Return to the defaults."""
    request.run(lambda tx: quota.reset(tx, request.path["target_id"]))


@operation("GET", "/limits", action="compute:limits:show", guarded=(OTHER_LIMITS,), answer=answers.limits(*ABSOLUTE, *USED))
def show_limits(request: Request) -> Json:
    """The project's limits and usage, in the words of the limits API."""
    target = request.query.one("tenant_id") or request.actor.project
    if target != request.actor.project_id:
        request.must(OTHER_LIMITS)
    limits, used = request.read(lambda tx: (quota.limits(tx, target), quota.used(tx, target)))
    absolute = {shown: limits[name] for shown, name in ABSOLUTE.items()}
    absolute |= {shown: getattr(used, name, 0) for shown, name in USED.items()}
    return {"limits": {"rate": [], "absolute": absolute}}
