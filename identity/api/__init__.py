"""Identity as `common.api` serves it: Keystone's API v3."""

from __future__ import annotations

from typing import Any

from common.api.dialect import KEYSTONE
from common.api.service import Service
from common.config import CONF
from identity.api import (
    access_rule,
    application_credential,
    auth,
    credential,
    domain,
    domain_config,
    ec2,
    endpoint,
    endpoint_filter,
    endpoint_group,
    endpoint_policy,
    federation,
    grant,
    group,
    limit,
    oauth1_access_token,
    oauth1_consumer,
    oauth1_token,
    oauth2,
    policy,
    project,
    region,
    registered_limit,
    revoke,
    role,
    role_assignment,
    service,
    tag,
    trust,
    user,
)
from identity.policy import RULES
from identity.service import password

VERSION, UPDATED = "v3.14", "2020-04-07T00:00:00Z"


def _version(base: str) -> dict[str, Any]:
    return {
        "id": VERSION, "status": "stable", "updated": UPDATED, "links": [{"rel": "self", "href": f"{base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }  # fmt: skip


SERVICE = Service(
    name="identity",
    dialect=KEYSTONE,
    modules=[
        auth,
        domain,
        domain_config,
        project,
        tag,
        user,
        group,
        role,
        grant,
        role_assignment,
        region,
        service,
        endpoint,
        endpoint_group,
        endpoint_filter,
        policy,
        endpoint_policy,
        registered_limit,
        limit,
        revoke,
        *federation.MODULES,
        credential,
        ec2,
        application_credential,
        access_rule,
        oauth2,
        trust,
        oauth1_consumer,
        oauth1_token,
        oauth1_access_token,
    ],
    rules=RULES,
    document="/v3/openapi.json",
    documented=True,
    # A flood of log-ins fills the hash pool's queue, and the room of who was refused, and no more: the other threads go on answering.
    waiting=lambda: CONF.identity.hash_queue + password.ROOM,
    versions={
        "": lambda base: (300, {"versions": {"values": [_version(base)]}}),
        "/v3": lambda base: (200, {"version": _version(base)}),
    },
)
