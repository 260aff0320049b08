"""`/v3/users/{id}/access_rules`: what a user's application credentials may ask for; made together with them."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import ID, TEXT, obj
from identity.api import views
from identity.api.shapes.answers import PAGING, STRING, listed, resource, shown
from identity.models import AccessRule
from identity.service import access_rule
from identity.service.application_credential import must_be_unrestricted, must_not_stand_on_another

Body = dict[str, Any]
ALL = "/v3/users/{user_id}/access_rules"
PATH = ALL + "/{access_rule_id}"
GIVEN = obj({
    "id": ID, "service": ID, "path": {"type": "string", "maxLength": 225, "pattern": r"^/[^\u0000]*$"},
    "method": {"enum": ["POST", "GET", "HEAD", "PATCH", "PUT", "DELETE"]},
})  # fmt: skip
PARTS = {"service": STRING, "path": STRING, "method": STRING}
SHOWN = obj({"id": STRING, **PARTS}, required=("id", "service", "path", "method"))
ROW = resource(PARTS, "service", "path", "method")


def _view(request: Request, row: AccessRule) -> Body:
    return {
        "id": row.id, "service": row.service, "path": row.path, "method": row.method,
        "links": {"self": request.url(f"/v3/users/{row.user_id}/access_rules/{row.id}")},
    }  # fmt: skip


def _user(request: Request, action: str) -> str:
    """The user of the path, whose own business it is, or that of who may."""
    user_id = request.path["user_id"]
    must_not_stand_on_another(request.actor)
    if user_id != request.actor.user_id:
        request.must(action)
    return user_id


@operation(
    "GET", ALL, action=None, guarded=("identity:list_access_rules",), query={"service": TEXT, "path": TEXT, "method": TEXT, **PAGING},
    answer=listed("access_rules", ROW),
)  # fmt: skip
def list_access_rules(request: Request) -> Body:
    """List the access rules of a user."""
    user_id = _user(request, "identity:list_access_rules")
    found = access_rule.list_rules(user_id, views.filters(request, "service", "path", "method"))
    return views.listing(request, "access_rules", found, AccessRule, _view)


@operation("GET", PATH, action=None, guarded=("identity:get_access_rule",), answer=shown("access_rule", ROW))
def get_access_rule(request: Request) -> Body:
    """Show an access rule."""
    user_id, rule_id = _user(request, "identity:get_access_rule"), request.path["access_rule_id"]
    return {"access_rule": _view(request, request.read(lambda tx: access_rule.get_rule(tx, user_id, rule_id)))}


@operation("DELETE", PATH, action=None, guarded=("identity:delete_access_rule",), status=204)
def delete_access_rule(request: Request) -> None:
    """Delete an access rule that no application credential has."""
    user_id, rule_id = _user(request, "identity:delete_access_rule"), request.path["access_rule_id"]
    must_be_unrestricted(request.actor)
    request.run(lambda tx: access_rule.delete_rule(tx, user_id, rule_id))
