"""/v2.0/security-groups and /v2.0/security-group-rules."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from network.api import kit
from network.api.shapes.security_group import GROUP, RULE
from network.models import SecurityGroup, SecurityGroupRule
from network.service import security_group as service

CREATE = shapes.obj({**kit.OWNER, **kit.COMMON})
UPDATE = shapes.obj(kit.COMMON)
_BOUND: shapes.Shape = {"anyOf": [shapes.integer(), {"type": "null"}]}
CREATE_RULE = shapes.obj(
    {
        **kit.OWNER,
        "description": kit.DESCRIPTION,
        "security_group_id": kit.ID,
        "direction": {"enum": ["ingress", "egress"]},
        "ethertype": {"type": ["string", "null"], "maxLength": 40},
        "protocol": {"type": ["string", "integer", "null"], "maxLength": 40},
        "port_range_min": _BOUND,
        "port_range_max": _BOUND,
        "remote_ip_prefix": {"type": ["string", "null"], "maxLength": 64, "pattern": r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"},
        "remote_group_id": kit.NULL_ID,
    },
    required=("security_group_id", "direction"),
)


def view_rule(_request: Request, row: SecurityGroupRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    shown = {
        **kit.standard(row),
        "security_group_id": row.security_group_id,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": row.remote_ip_prefix,
        "normalized_cidr": service.normalized(row.remote_ip_prefix),
        "remote_group_id": row.remote_group_id,
    }
    shown.pop("name")
    return shown


def view(request: Request, row: SecurityGroup) -> dict[str, Any]:
    """A group as the API shows it, with its rules."""
    rules = [view_rule(request, rule) for rule in row.rules]
    return {**kit.standard(row), "security_group_rules": rules}


NOUN = kit.Noun("security_group", "security_groups", SecurityGroup, view)
RULE_NOUN = kit.Noun("security_group_rule", "security_group_rules", SecurityGroupRule, view_rule)


def _first_use(request: Request) -> None:
    """Whoever looks at a project's groups finds its default one; an administrator may look at another's."""
    asked = request.query.one("project_id") or request.query.one("tenant_id") if request.actor.is_admin else None
    project_id = (asked or request.actor.project_id or "")[:64]
    if project_id:
        request.read(lambda tx: service.ensure_default(tx, project_id))


@operation("GET", "/security-groups", action="network:security_group:list", answer=GROUP.many)
def index(request: Request) -> Any:
    """List the actor's groups."""
    _first_use(request)
    return kit.show_all(request, NOUN)


@operation("GET", "/security-groups/{id}", action="network:security_group:show", answer=GROUP.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST", "/security-groups", action="network:security_group:create", status=201,
    body=kit.envelope("security_group", CREATE, "security_groups"),
    answer=GROUP.made,
)  # fmt: skip
def create(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, NOUN, service.create)


@operation(
    "PUT",
    "/security-groups/{id}",
    action="network:security_group:update",
    body=kit.envelope("security_group", UPDATE),
    answer=GROUP.changed,
)
def update(request: Request) -> Any:
    """Rename or describe one."""
    return kit.update(request, NOUN, service.update)


@operation("DELETE", "/security-groups/{id}", action="network:security_group:delete", status=204)
def delete(request: Request) -> Answer:
    """Delete one that no port uses."""
    return kit.remove(request, service.delete)


@operation("GET", "/security-group-rules", action="network:security_group_rule:list", answer=RULE.many)
def index_rules(request: Request) -> Any:
    """List the rules of the actor's groups."""
    _first_use(request)
    return kit.show_all(request, RULE_NOUN)


@operation("GET", "/security-group-rules/{id}", action="network:security_group_rule:show", answer=RULE.one)
def show_rule(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, RULE_NOUN)


@operation(
    "POST", "/security-group-rules", action="network:security_group_rule:create", status=201,
    body=kit.envelope("security_group_rule", CREATE_RULE, "security_group_rules"),
    answer=RULE.made,
)  # fmt: skip
def create_rule(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, RULE_NOUN, service.create_rule)


@operation("DELETE", "/security-group-rules/{id}", action="network:security_group_rule:delete", status=204)
def delete_rule(request: Request) -> Answer:
    """Delete one."""
    return kit.remove(request, service.delete_rule)
