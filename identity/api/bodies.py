"""Shapes of identity's bodies. Most of its resources keep attributes that they do not know, as Keystone's do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.api.shapes import BOOLEAN, ID, LONG_TEXT, NAME, NO_NUL, OPTIONAL_TEXT, TEXT, Shape, array, obj, wrapped
from identity.api.shapes.user import FEDERATED

SHORT_NAME: Shape = {**NAME, "maxLength": 64}
OPTIONAL_ID: Shape = {"type": ["string", "null"], "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]*$"}
REGION_ID: Shape = {"type": ["string", "null"], "maxLength": 255, "pattern": NO_NUL}
PASSWORD: Shape = {"type": "string", "maxLength": 4096}
OPTIONAL_PASSWORD: Shape = {"type": ["string", "null"], "maxLength": 4096}
FLAG: Shape = {"type": ["boolean", "null"]}
URL: Shape = {"type": "string", "minLength": 1, "maxLength": 2048, "pattern": r"^[a-z][a-z0-9+.-]*://[^\s\u0000]+$"}

IMMUTABLE = obj({"immutable": FLAG})
# Lists of methods' names, of which one must be satisfied; a name that there is no method for counts for nothing.
MULTI_FACTOR_RULES: Shape = {
    "type": ["array", "null"], "maxItems": 64, "uniqueItems": True,
    "items": {"type": "array", "minItems": 1, "maxItems": 16, "uniqueItems": True, "items": TEXT},
}  # fmt: skip
USER_OPTIONS = obj({
    "ignore_change_password_upon_first_use": FLAG, "ignore_password_expiry": FLAG, "ignore_lockout_failure_attempts": FLAG,
    "ignore_user_inactivity": FLAG, "lock_password": FLAG, "multi_factor_auth_enabled": FLAG,
    "multi_factor_auth_rules": MULTI_FACTOR_RULES,
})  # fmt: skip
USER = {
    "name": NAME, "domain_id": ID, "enabled": BOOLEAN, "password": OPTIONAL_PASSWORD, "default_project_id": OPTIONAL_ID,
    "description": LONG_TEXT, "email": OPTIONAL_TEXT, "options": USER_OPTIONS, "federated": FEDERATED,
}  # fmt: skip

_DOMAIN_REF = obj({"id": TEXT, "name": TEXT}, extra=True)
_NAMED = obj({"id": TEXT, "name": TEXT, "domain": _DOMAIN_REF}, extra=True)
_TOKEN_ID: Shape = {"type": "string", "maxLength": 8192, "pattern": NO_NUL}
_SECRET: Shape = {"type": "string", "maxLength": 4096, "pattern": NO_NUL}
_PASSCODE: Shape = {"type": "string", "maxLength": 64, "pattern": NO_NUL}
APPLICATION_CREDENTIAL = obj({"id": TEXT, "name": TEXT, "user": _NAMED, "secret": _SECRET}, required=("secret",), extra=True)
# Whose word it is, or a token that came of one.
_MAPPED: Shape = {
    **obj({"identity_provider": TEXT, "protocol": TEXT, "id": _TOKEN_ID}, extra=True),
    "if": {"required": ["id"]}, "else": {"required": ["identity_provider", "protocol"]},
}  # fmt: skip


def _user_with(name: str, shape: Shape) -> Shape:
    """`{"user": {…}}` with what the user proves himself by."""
    return obj({"user": obj({**_NAMED["properties"], name: shape}, required=(name,), extra=True)}, required=("user",), extra=True)


_ANY_OBJECT: Shape = {"type": "object"}
# What each method reads; what oauth1 does is in the header Authorization.
_METHODS: Mapping[str, Shape] = {
    "password": _user_with("password", PASSWORD), "token": obj({"id": _TOKEN_ID}, required=("id",), extra=True),
    "totp": _user_with("passcode", _PASSCODE), "application_credential": APPLICATION_CREDENTIAL, "mapped": _MAPPED, "openid": _MAPPED,
}  # fmt: skip
# A block that no method reads may be any object: clients leave `"totp": {}` beside what they use.
_IDENTITY: Shape = {
    **obj(
        {"methods": array(TEXT, minItems=1, maxItems=8), **dict.fromkeys((*_METHODS, "oauth1"), _ANY_OBJECT)},
        required=("methods",),
        extra=True,
    ),
    "x-named": {"methods": _METHODS},
}
_SCOPE: Shape = {"anyOf": [
    {"enum": ["unscoped", None]},
    obj({"project": _NAMED, "domain": _DOMAIN_REF, "system": obj({"all": BOOLEAN}, extra=True), "unscoped": {"type": "object"}, "OS-TRUST:trust": obj({"id": TEXT}, required=("id",), extra=True)}),
]}  # fmt: skip
AUTH = wrapped("auth", obj({"identity": _IDENTITY, "scope": _SCOPE}, required=("identity",), extra=True))
CHANGE = wrapped("user", obj({"password": PASSWORD, "original_password": PASSWORD}, required=("password", "original_password"), extra=True))


def body(name: str, properties: Mapping[str, Any], *required: str) -> Shape:
    """`{name: {…}}` with unknown attributes let through."""
    return wrapped(name, obj(properties, required=required, extra=True))
