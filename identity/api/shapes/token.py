"""Shapes of tokens, of the catalogue in them, and of what one can have a token for."""

from __future__ import annotations

from typing import Any

from common.api.shapes import Shape, array, obj, wrapped
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, PAGES, SELF, STRING
from identity.api.shapes.query import TRUTH

NAMED = obj({"id": STRING, "name": STRING}, required=("id", "name"))
_ID = obj({"id": STRING}, required=("id",))
_FEDERATION = obj(
    {"groups": array(_ID), "identity_provider": _ID, "protocol": _ID}, required=("groups", "identity_provider", "protocol"),
)  # fmt: skip
_USER = obj(
    {"id": STRING, "name": STRING, "domain": NAMED, "password_expires_at": OPTIONAL_STRING, "OS-FEDERATION": _FEDERATION},
    required=("id", "name", "domain"),
)
_PROJECT = obj({"id": STRING, "name": STRING, "domain": NAMED}, required=("id", "name", "domain"))
_ENDPOINT: dict[str, Any] = {
    "id": STRING, "interface": {"enum": ["public", "internal", "admin"]}, "url": STRING, "region": OPTIONAL_STRING,
    "region_id": OPTIONAL_STRING,
}  # fmt: skip
SERVICES = array(obj(
    {"id": STRING, "type": STRING, "name": STRING, "endpoints": array(obj(_ENDPOINT, required=tuple(_ENDPOINT)))},
    required=("id", "type", "name", "endpoints"),
))  # fmt: skip
_TRUST = obj(
    {"id": STRING, "impersonation": FLAG, "trustee_user": _ID, "trustor_user": _ID},
    required=("id", "impersonation", "trustee_user", "trustor_user"),
)
_CREDENTIAL = obj(
    {"id": STRING, "name": STRING, "restricted": FLAG, "access_rules": array({"type": "object"})}, required=("id", "name", "restricted")
)
_PROVIDER = obj({"id": STRING, "auth_url": STRING, "sp_url": STRING}, required=("id", "auth_url", "sp_url"))
_ALWAYS: dict[str, Any] = {"methods": array(STRING), "user": _USER, "audit_ids": array(STRING), "expires_at": STRING, "issued_at": STRING}
TOKEN = wrapped("token", obj(
    {
        **_ALWAYS, "roles": array(NAMED), "is_domain": FLAG, "project": _PROJECT, "domain": NAMED, "system": obj({"all": FLAG}),
        "catalog": SERVICES, "service_providers": array(_PROVIDER), "application_credential": _CREDENTIAL, "OS-TRUST:trust": _TRUST,
        "OS-OAUTH1": obj({"access_token_id": STRING, "consumer_id": STRING}, required=("access_token_id", "consumer_id")),
    },
    required=tuple(_ALWAYS),
))  # fmt: skip
_PERSON = obj({"id": STRING, "name": STRING, "domain": NAMED}, required=("id", "name", "domain"))
_RECEIPT = {"methods": array(STRING), "user": _PERSON, "issued_at": STRING, "expires_at": STRING}
RECEIPT = obj(
    {"receipt": obj(_RECEIPT, required=tuple(_RECEIPT)), "required_auth_methods": array(array(STRING))},
    required=("receipt", "required_auth_methods"),
)
TOKEN_OR_RECEIPT: Shape = {"anyOf": [TOKEN, RECEIPT]}
CATALOG = obj({"catalog": SERVICES, "links": PAGES}, required=("catalog", "links"))
SYSTEM = obj({"system": array(obj({"all": FLAG})), "links": SELF}, required=("system", "links"))
# Present, whatever it says.
NOCATALOG: dict[str, Shape] = {"nocatalog": TRUTH}
ALLOW_EXPIRED: dict[str, Shape] = {"allow_expired": TRUTH}
