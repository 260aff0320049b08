"""The version documents of the compute API; they need no token. Source: Nova's API reference, "API Versions"."""

from __future__ import annotations

from typing import Any

from common.api.microversions import Microversions, text

MICROVERSIONS = Microversions("compute", (2, 1), (2, 1), "X-OpenStack-Nova-API-Version")
MEDIA = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version="}
Json = dict[str, Any]


def _entry(base: str, name: str) -> Json:
    """`v2` is what clients older than microversions ask for: the shapes of 2.1."""
    old = name == "v2"
    return {
        "id": "v2.0" if old else "v2.1",
        "status": "SUPPORTED" if old else "CURRENT",
        "version": "" if old else text(MICROVERSIONS.maximum),
        "min_version": "" if old else text(MICROVERSIONS.minimum),
        "updated": "2011-01-21T11:33:21Z" if old else "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base}/{name}/"}],
    }


def root(base: str) -> tuple[int, Json]:
    """All versions."""
    return 200, {"versions": [_entry(base, "v2"), _entry(base, "v2.1")]}


def detail(base: str, name: str) -> tuple[int, Json]:
    """One version."""
    entry = _entry(base, name)
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media = {**MEDIA, "type": MEDIA["type"] + ("2" if name == "v2" else "2.1")}
    return 200, {"version": {**entry, "links": [*entry["links"], described], "media-types": [media]}}
