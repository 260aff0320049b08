"""The claims of an OpenID provider as an assertion, under the names that mod_auth_openidc gives them, so that rules written for it hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from common.errors import Unauthorized

SEPARATOR = ";"
MOST_VALUES = 2000
OURS = ("OIDC_CLAIM_", "OIDC-", "HTTP_OIDC_", "REMOTE_USER")


def assertion(claims: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each claim as `<claim>`, `OIDC_CLAIM_<claim>`, `OIDC-<claim>` and `HTTP_OIDC_<CLAIM>`, and the subject as `REMOTE_USER`.

    A list is its elements; a text is split at `;` as Keystone does; an object is its JSON; true and false are 1 and 0. Raises Unauthorized
    for what no text of ours can hold. No claim can pass for another by being called like one of these.
    """
    values = {name: found for name, value in claims.items() if (found := _values(value))}
    _must_be_text(values)
    named = {name: found for name, found in values.items() if not name.startswith(OURS)}
    # Of two claims that differ by case, the lower one is meant.
    for name in sorted(values, key=str.islower):
        found = values[name]
        named[f"HTTP_OIDC_{name.upper().replace('-', '_')}"] = found
    for name, found in values.items():
        named[f"OIDC_CLAIM_{name}"] = named[f"OIDC-{name}"] = found
    if isinstance(claims.get("sub"), str):
        named["REMOTE_USER"] = [claims["sub"]]
    return named


def _values(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split(SEPARATOR)
    if isinstance(value, list):
        return [text for text in map(_text, value) if text is not None]
    text = _text(value)
    return [] if text is None else [text]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value, ensure_ascii=False)


def _must_be_text(values: Mapping[str, list[str]]) -> None:
    """Raise Unauthorized for a NUL or half of a surrogate pair, which PostgreSQL cannot hold, and for too many values."""
    if sum(map(len, values.values())) > MOST_VALUES:
        raise Unauthorized(f"The access token has more than {MOST_VALUES} values.")
    for name, found in values.items():
        for text in (name, *found):
            if any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text):
                raise Unauthorized("A claim of the access token holds a NUL character or half of a surrogate pair.")
