"""The image API, version 2. Source: https://docs.openstack.org/api-ref/image/v2/."""

from __future__ import annotations

from typing import Any

from common.api.dialect import GLANCE
from common.api.service import Service
from common.config import CONF
from image.api import data, images, members, schemas
from image.policy import RULES

# 2.5 brought community and shared images; what came after is advertised when it is complete.
MINORS = range(5, -1, -1)


def _versions(base: str) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{base}/v2/"}]
    return {"versions": [{"id": f"v2.{n}", "status": "CURRENT" if n == MINORS[0] else "SUPPORTED", "links": links} for n in MINORS]}


SERVICE = Service(
    name="image",
    dialect=GLANCE,
    modules=(images, data, members, schemas),
    rules=RULES,
    document="/v2/openapi.json",
    prefixes=("/v2",),
    trailing_slash=False,
    waiting=lambda: CONF.api.threads,
    versions={
        "": lambda base: (300, _versions(base)),
        "/versions": lambda base: (200, _versions(base)),
        "/v2": lambda base: (200, _versions(base)),
    },
)
