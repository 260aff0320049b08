"""`/v3/OS-FEDERATION` and `/v3/auth/OS-FEDERATION`: users for whom another identity provider vouches."""

from __future__ import annotations

from identity.api.federation import auth, identity_provider, mapping, protocol, service_provider, websso

MODULES = [auth, identity_provider, protocol, mapping, service_provider, websso]
