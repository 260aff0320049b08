"""The volume API, version 3.0. Source: https://docs.openstack.org/api-ref/block-storage/v3/."""

from __future__ import annotations

from typing import Any

from common.api.dialect import CINDER
from common.api.microversions import Microversions
from common.api.service import Service
from volume.api import actions, metadata, quotas, snapshots, types, volumes
from volume.policy import RULES


def _versions(base: str) -> dict[str, Any]:
    media = [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}]
    links = [{"rel": "self", "href": f"{base}/v3/"}]
    version = {"id": "v3.0", "status": "CURRENT", "version": "3.0", "min_version": "3.0", "updated": "2016-02-08T12:20:21Z"}
    return {"versions": [{**version, "links": links, "media-types": media}]}


SERVICE = Service(
    name="volume",
    dialect=CINDER,
    modules=(volumes, actions, snapshots, metadata, types, quotas),
    rules=RULES,
    document="/v3/openapi.json",
    prefixes=("/v3/{project_id}", "/v3"),
    versions={"": lambda base: (300, _versions(base)), "/v3": lambda base: (200, _versions(base))},
    microversions=Microversions("volume", (3, 0), (3, 0)),
    trailing_slash=False,
)
