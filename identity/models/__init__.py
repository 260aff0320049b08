"""Tables of identity (PostgreSQL schema `identity`). Only this service writes them; `identity.public` reads them for the others.

What holds a secret is readable by the role wolke_identity alone. See `common/grants.py`.
"""

from identity.models.base import DEFAULT_DOMAIN, SCHEMA, new_id
from identity.models.catalog import (
    Endpoint,
    EndpointGroup,
    Policy,
    PolicyAssociation,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Region,
    Service,
)
from identity.models.credential import (
    AccessRule,
    ApplicationCredential,
    ApplicationCredentialAccessRule,
    ApplicationCredentialRole,
    ApplicationCredentialSecret,
    Credential,
)
from identity.models.delegation import (
    AccessToken,
    AccessTokenRole,
    AccessTokenSecret,
    Consumer,
    ConsumerSecret,
    OAuthNonce,
    RequestToken,
    Trust,
    TrustRole,
)
from identity.models.federation import (
    FederatedUser,
    FederationMapping,
    FederationProtocol,
    IdentityProvider,
    RemoteId,
    ServiceProvider,
    VouchedMember,
)
from identity.models.limit import Limit, RegisteredLimit
from identity.models.people import DomainConfig, DomainSecret, Group, GroupMember, LoginFailure, Password, Project, ProjectTag, User
from identity.models.role import Assignment, ImpliedRole, Role
from identity.models.token import PrivateKeyPem, RevokedToken, SigningKey

__all__ = [
    "DEFAULT_DOMAIN",
    "SCHEMA",
    "AccessRule",
    "AccessToken",
    "AccessTokenRole",
    "AccessTokenSecret",
    "ApplicationCredential",
    "ApplicationCredentialAccessRule",
    "ApplicationCredentialRole",
    "ApplicationCredentialSecret",
    "Assignment",
    "Consumer",
    "ConsumerSecret",
    "Credential",
    "DomainConfig",
    "DomainSecret",
    "Endpoint",
    "EndpointGroup",
    "FederatedUser",
    "FederationMapping",
    "FederationProtocol",
    "Group",
    "GroupMember",
    "IdentityProvider",
    "ImpliedRole",
    "Limit",
    "LoginFailure",
    "OAuthNonce",
    "Password",
    "Policy",
    "PolicyAssociation",
    "PrivateKeyPem",
    "Project",
    "ProjectEndpoint",
    "ProjectEndpointGroup",
    "ProjectTag",
    "Region",
    "RegisteredLimit",
    "RemoteId",
    "RequestToken",
    "RevokedToken",
    "Role",
    "Service",
    "ServiceProvider",
    "SigningKey",
    "Trust",
    "TrustRole",
    "User",
    "VouchedMember",
    "new_id",
]
