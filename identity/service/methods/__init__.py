"""The methods by which a log-in can prove who it is, by their names in the API. Each says who, or raises Unauthorized."""

from __future__ import annotations

from identity.service.attempt import Method
from identity.service.methods import application_credential, mapped, oauth1, password, token, totp

METHODS: dict[str, Method] = {
    "password": password.identify, "token": token.identify, "application_credential": application_credential.identify,
    "oauth1": oauth1.identify, "mapped": mapped.identify, "openid": mapped.identify,
    "totp": totp.identify,
}  # fmt: skip
