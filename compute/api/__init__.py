"""The compute API, version 2.1. Source: https://docs.openstack.org/api-ref/compute/."""

from __future__ import annotations

from common.api.dialect import NOVA
from common.api.service import Service
from compute.api import extensions, flavors, hosts, keypairs, quotas, server_actions, server_parts, servers, versions
from compute.policy import RULES

SERVICE = Service(
    name="compute",
    dialect=NOVA,
    modules=(servers, server_actions, server_parts, flavors, keypairs, hosts, quotas, extensions),
    rules=RULES,
    document="/v2.1/openapi.json",
    prefixes=("/v2.1/{project_id}", "/v2.1", "/v2/{project_id}", "/v2"),
    versions={
        "": versions.root,
        "/v2.1": lambda base: versions.detail(base, "v2.1"),
        "/v2": lambda base: versions.detail(base, "v2"),
    },
    microversions=versions.MICROVERSIONS,
)
