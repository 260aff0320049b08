"""`/v3/domains`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.errors import Forbidden
from identity.api import bodies, views
from identity.api.shapes import project as shapes
from identity.api.shapes.answers import listed, shown
from identity.models import Project
from identity.service import project, tag
from identity.service.rows import DENIED, own_domain

Body = dict[str, Any]
ONE = shown("domain", shapes.DOMAIN_ROW)
MANY = listed("domains", shapes.DOMAIN_ROW)


@operation(
    "POST", "/v3/domains", action="identity:create_domain", status=201, body=bodies.body("domain", shapes.DOMAIN, "name"), answer=ONE
)
def create_domain(request: Request) -> Body:
    """Create a domain."""
    given = request.body["domain"]
    row = request.run(lambda tx: project.create_domain(tx, given, domain_id=given.get("explicit_domain_id")))
    return {"domain": views.domain(request, row)}


@operation("GET", "/v3/domains", action="identity:list_domains", query=shapes.DOMAINS, answer=MANY)
def list_domains(request: Request) -> Body:
    """List domains."""
    wanted = views.filters(request, "name", *tag.FILTERS, flags=("enabled",))
    return views.listing(request, "domains", project.list_domains(request.actor, wanted), Project, views.domain)


@operation("GET", "/v3/domains/{domain_id}", action=None, guarded=("identity:get_domain",), answer=ONE)
def get_domain(request: Request) -> Body:
    """Show a domain; that of one's own scope needs no role."""
    domain_id, actor = request.path["domain_id"], request.actor
    if domain_id not in (actor.domain_id, actor.project_domain_id):
        request.must("identity:get_domain")
        if own_domain(actor) is not None:
            raise Forbidden(DENIED)
    return {"domain": views.domain(request, request.read(lambda tx: project.get_domain(tx, domain_id)))}


@operation("PATCH", "/v3/domains/{domain_id}", action="identity:update_domain", body=bodies.body("domain", shapes.DOMAIN), answer=ONE)
def update_domain(request: Request) -> Body:
    """Change a domain."""
    row = request.run(lambda tx: project.update_domain(tx, request.path["domain_id"], request.body["domain"]))
    request.service.authenticate.forget()
    return {"domain": views.domain(request, row)}


@operation("DELETE", "/v3/domains/{domain_id}", action="identity:delete_domain", status=204)
def delete_domain(request: Request) -> None:
    """Delete a domain with all that is in it."""
    request.run(lambda tx: project.delete_domain(tx, request.path["domain_id"]))
    request.service.authenticate.forget()
