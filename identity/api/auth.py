"""`/v3/auth`: tokens, and what one can have a token for."""

from __future__ import annotations

from typing import Any

from common.api.operation import Answer, operation
from common.api.request import Request
from common.config import CONF
from common.errors import BadRequest, NotFound, Unauthorized
from identity.api import bodies, views
from identity.api.shapes import token as shapes
from identity.api.shapes.answers import PAGING, listed
from identity.api.shapes.project import DOMAIN_ROW, PROJECT_ROW
from identity.models import Project
from identity.service import auth, catalog, project, standing
from identity.service.attempt import Attempt
from identity.service.auth import Issued
from identity.service.receipt import HEADER, Insufficient
from identity.service.standing import Standing
from identity.service.token import Scope, Token

Body = dict[str, Any]
RULES_HEADER = "OpenStack-Identity-Access-Rules"


@operation("POST", "/v3/auth/tokens", action=None, status=201, statuses=(401,), token=False, secret=True, body=bodies.AUTH, query=shapes.NOCATALOG, answer=shapes.TOKEN_OR_RECEIPT)  # fmt: skip
def create_token(request: Request) -> Answer:
    """Log in; 401 with a receipt says that the methods were right, and what else the user's rules ask for."""
    attempt = Attempt(request.service.db, request.source, request.body["auth"], request.header, views.self_link(request))
    try:
        return answer(request, auth.log_in(attempt, CONF.identity.token_ttl))
    except Insufficient as more:
        return _receipt(more)


def _receipt(more: Insufficient) -> Answer:
    shown = {
        "methods": list(more.receipt.methods), "user": dict(more.user), "issued_at": views.moment(more.receipt.issued_at),
        "expires_at": views.moment(more.receipt.expires_at),
    }  # fmt: skip
    return Answer({"receipt": shown, "required_auth_methods": more.required}, status=401, headers={HEADER: more.raw})


def answer(request: Request, issued: Issued) -> Answer:
    """A new token: itself in the header, what it says in the body."""
    return Answer({"token": view(request, issued.token, issued.standing)}, headers={"X-Subject-Token": issued.raw})


@operation("GET", "/v3/auth/tokens", action=None, guarded=("identity:validate_token",), query={**shapes.NOCATALOG, **shapes.ALLOW_EXPIRED}, answer=shapes.TOKEN)  # fmt: skip
def get_token(request: Request) -> Answer:
    """What a token says, if it holds; for HEAD without the body. `allow_expired`: within two days of its end."""
    raw, token, found = _subject(request, allow_expired=bool(request.query.flag("allow_expired", default=False)))
    if found.user_id != request.actor.user_id:
        request.must("identity:validate_token")
    if (found.delegation or {}).get("access_rules") and request.header(RULES_HEADER) is None:
        # A service that does not know of access rules must not take the token for one without bounds.
        raise NotFound("Could not find token.")
    return Answer({"token": view(request, token, found)}, headers={"X-Subject-Token": raw})


@operation("DELETE", "/v3/auth/tokens", action=None, status=204, guarded=("identity:revoke_token",))
def revoke_token(request: Request) -> None:
    """End a token."""
    _, token, found = _subject(request)
    if found.user_id != request.actor.user_id:
        request.must("identity:revoke_token")
    request.run(lambda tx: auth.revoke(tx, token))
    request.service.authenticate.forget()


def _subject(request: Request, *, allow_expired: bool = False) -> tuple[str, Token, Standing]:
    raw = request.header("X-Subject-Token")
    if not raw:
        raise BadRequest("The request needs the header X-Subject-Token.")
    try:
        return raw, *standing.validate(request.service.db, raw, allow_expired=allow_expired)
    except Unauthorized:
        raise NotFound("Could not find token.") from None


def view(request: Request, token: Token, found: Standing) -> Body:
    """A token as its bearer and the services are shown it; with the catalogue unless `nocatalog` asks for none. Clouds that take us are in all."""
    body: Body = {
        "methods": list(token.methods), "user": _user(token, found),
        "audit_ids": list(token.audit_ids), "expires_at": views.moment(token.expires_at), "issued_at": views.moment(token.issued_at),
        **_stands_on(token, found.delegation or {}),
    }  # fmt: skip
    providers = catalog.service_providers(request.service.db, found.scope)
    body |= {"service_providers": providers} if providers else {}
    if found.kind == "none":
        return body
    body["roles"] = [{"id": role_id, "name": name} for role_id, name in found.roles]
    if found.kind == "project":
        domain = {"id": found.target_domain_id, "name": found.target_domain_name}
        body |= {"is_domain": False, "project": {"domain": domain, "id": found.target_id, "name": found.target_name}}
    elif found.kind == "domain":
        body["domain"] = {"id": found.target_id, "name": found.target_name}
    else:
        body["system"] = {"all": True}
    if "nocatalog" not in request.query:
        body["catalog"] = catalog.catalogue(request.service.db, token.user_id, found.scope)
    return body


def _user(token: Token, found: Standing) -> Body:
    user: Body = {
        "domain": {"id": found.user_domain_id, "name": found.user_domain_name}, "id": found.user_id, "name": found.user_name,
        "password_expires_at": views.expiry(found.password_expires_at),
    }  # fmt: skip
    if token.federation is not None:
        provider, protocol = token.federation
        groups = [{"id": group_id} for group_id in found.vouched_groups]
        user["OS-FEDERATION"] = {"identity_provider": {"id": provider}, "protocol": {"id": protocol}, "groups": groups}
    return user


def _stands_on(token: Token, row: Body) -> Body:
    """What the token stands on, under the name that Keystone gives it."""
    kind = token.delegation.kind if token.delegation is not None else None
    if kind == "trust":
        people = {f"{who}_user": {"id": row[f"{who}_user_id"]} for who in ("trustor", "trustee")}
        return {"OS-TRUST:trust": {"id": row["id"], "impersonation": row["impersonation"], **people}}
    if kind == "access_token":
        return {"OS-OAUTH1": {"access_token_id": row["id"], "consumer_id": row["consumer_id"]}}
    if kind == "application_credential":
        rules = {"access_rules": row["access_rules"]} if row["access_rules"] else {}
        return {"application_credential": {"id": row["id"], "name": row["name"], "restricted": row["restricted"], **rules}}
    return {}


@operation("GET", "/v3/auth/catalog", action=None, answer=shapes.CATALOG)
def get_catalog(request: Request) -> Body:
    """The catalogue for the token's scope."""
    actor = request.actor
    if actor.project_id is None and actor.domain_id is None and not actor.system:
        raise Unauthorized("The catalogue needs a token that is scoped.")
    scope = Scope("project", actor.project_id) if actor.project_id else Scope("none")
    services = catalog.catalogue(request.service.db, actor.user_id, scope)
    return {"catalog": services, "links": {"next": None, "self": views.self_link(request), "previous": None}}


@operation("GET", "/v3/auth/projects", action=None, query=PAGING, answer=listed("projects", PROJECT_ROW))
def list_auth_projects(request: Request) -> Body:
    """The projects that the bearer can have a token for."""
    return views.listing(request, "projects", project.scopes_of(request.actor.user_id, "project"), Project, views.project)


@operation("GET", "/v3/auth/domains", action=None, query=PAGING, answer=listed("domains", DOMAIN_ROW))
def list_auth_domains(request: Request) -> Body:
    """The domains that the bearer can have a token for."""
    return views.listing(request, "domains", project.scopes_of(request.actor.user_id, "domain"), Project, views.domain)


@operation("GET", "/v3/auth/system", action=None, answer=shapes.SYSTEM)
def list_auth_system(request: Request) -> Body:
    """Whether the bearer can have a token for the system."""
    found = standing.ask(request.service.db, "system", "none", {"user_id": request.actor.user_id})
    system = [{"all": True}] if found is not None and found.scope_live else []
    return {"system": system, "links": {"self": views.self_link(request)}}
