"""Negotiation of microversions: which one a request asks for, and what the answer says of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import BadRequest, NotAcceptable

Version = tuple[int, int]
_FORM = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def text(version: Version) -> str:
    """`(2, 1)` as `2.1`."""
    return f"{version[0]}.{version[1]}"


@dataclass(frozen=True)
class Microversions:
    """What a service offers: `minimum` to `maximum`, under its name in `OpenStack-API-Version` and, where one exists, an older header."""

    service_type: str
    minimum: Version
    maximum: Version
    legacy_header: str | None = None

    def negotiate(self, header: Callable[[str], str | None]) -> Version:
        """The version that a request asks for; the minimum when it asks for none.

        `header(name)` gives a request header. Raises BadRequest (malformed) and NotAcceptable (not offered).
        """
        asked = self._asked(header("OpenStack-API-Version")) or (self.legacy_header and header(self.legacy_header)) or ""
        asked = asked.strip()
        if not asked:
            return self.minimum
        if asked == "latest":
            return self.maximum
        form = _FORM.fullmatch(asked)
        if not form:
            raise BadRequest(f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.")
        version = int(form[1]), int(form[2])
        if not self.minimum <= version <= self.maximum:
            raise NotAcceptable(
                f"Version {asked} is not supported by the API. Minimum is {text(self.minimum)} and maximum is {text(self.maximum)}."
            )
        return version

    def _asked(self, value: str | None) -> str | None:
        for part in (value or "").split(","):
            name, _, version = part.strip().partition(" ")
            if name.lower() == self.service_type:
                return version
        return None

    def headers(self, version: Version | None) -> list[tuple[str, str]]:
        """The headers of an answer at `version` (of the minimum where negotiation failed)."""
        said = text(version or self.minimum)
        found = [("OpenStack-API-Version", f"{self.service_type} {said}"), ("Vary", "OpenStack-API-Version")]
        if self.legacy_header:
            found += [(self.legacy_header, said), ("Vary", self.legacy_header)]
        return found
