"""Log-in by another provider's word, and what one can then have a token for."""

from __future__ import annotations

from typing import Any, NoReturn

from common.api.operation import Answer, operation
from common.api.request import Request
from common.config import CONF
from common.errors import NotFound
from identity.api import auth as tokens
from identity.api import views
from identity.api.federation import shapes
from identity.api.shapes.answers import PAGING, listed
from identity.api.shapes.project import DOMAIN_ROW, PROJECT_ROW
from identity.api.shapes.token import TOKEN
from identity.models import Project
from identity.service import auth, project
from identity.service.federation import login

Body = dict[str, Any]
AUTH = shapes.PATH + "/identity_providers/{idp_id}/protocols/{protocol_id}/auth"
SAML = "/v3/auth/OS-FEDERATION/saml2"
NO_SAML = "SAML 2.0 is not offered here: this cloud signs no assertions. Users come by OpenID Connect, and go by application credentials."


@operation("GET", AUTH, action=None, token=False, status=201, secret=True, answer=TOKEN)
@operation("POST", AUTH, action=None, token=False, status=201, secret=True, answer=TOKEN)
def create_federated_token(request: Request) -> Answer:
    """Log in with an access token of the identity provider, in the header Authorization; the token is unscoped."""
    db, provider_id, protocol_id = request.service.db, request.path["idp_id"], request.path["protocol_id"]
    who = login.identify(db, provider_id, protocol_id, request.header("Authorization"), run=request.run)
    issued = auth.issue_for(db, who, "unscoped", CONF.identity.token_ttl)
    return tokens.answer(request, issued)


@operation("GET", shapes.PATH + "/projects", action=None, query=PAGING, answer=listed("projects", PROJECT_ROW))
def list_federated_projects(request: Request) -> Body:
    """The older form of `/v3/auth/projects`."""
    return views.listing(request, "projects", project.scopes_of(request.actor.user_id, "project"), Project, views.project)


@operation("GET", shapes.PATH + "/domains", action=None, query=PAGING, answer=listed("domains", DOMAIN_ROW))
def list_federated_domains(request: Request) -> Body:
    """The older form of `/v3/auth/domains`."""
    return views.listing(request, "domains", project.scopes_of(request.actor.user_id, "domain"), Project, views.domain)


@operation("POST", SAML, action=None, status=404, token=False, summary="Not offered (404): a SAML assertion of one's token.")
@operation(
    "POST",
    SAML + "/ecp",
    action=None,
    status=404,
    token=False,
    summary="Not offered (404): a SAML assertion of one's token, wrapped for ECP.",
)
@operation(
    "GET",
    shapes.PATH + "/saml2/metadata",
    action=None,
    status=404,
    token=False,
    summary="Not offered (404): the metadata of a SAML identity provider.",
)
def refuse_saml(request: Request) -> NoReturn:
    """What needs SAML is not there, and says why."""
    raise NotFound(NO_SAML)
