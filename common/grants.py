"""What each kind of process may do in PostgreSQL. Applied after every upgrade, for the roles that exist; a test reads it back.

Secrets of identity (hashes, private keys, credentials, tokens that are asked for) are readable by `wolke_identity` alone.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

IDENTITY_SECRETS = (
    "password", "private_key", "credential", "application_credential_secret", "consumer_secret", "request_token", "access_token_secret",
    "domain_secret", "login_failure",
)  # fmt: skip
SCHEMAS = ("common", "identity", "image", "volume", "network", "compute")
SERVICE_SCHEMAS = ("image", "volume", "network", "compute")

# role -> schemas that it writes; every role reads all but identity's secrets.
WRITES = {
    "wolke_identity": ("common", "identity"),
    "wolke_api": ("common", *SERVICE_SCHEMAS),
    "wolke_worker": ("common", *SERVICE_SCHEMAS),
    "wolke_ovn": ("common", "network"),
}


def grant(connection: Connection) -> None:
    """Grant, to the roles that exist, what this page says; take from them what it does not."""
    existing = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
    secrets = [
        name for name in IDENTITY_SECRETS
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": f"identity.{name}"}).scalar() is not None
    ]  # fmt: skip
    for role, writes in WRITES.items():
        if role not in existing:
            continue
        for schema in SCHEMAS:
            verbs = "SELECT, INSERT, UPDATE, DELETE" if schema in writes else "SELECT"
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
            connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}"))
            connection.execute(text(f"GRANT {verbs} ON ALL TABLES IN SCHEMA {schema} TO {role}"))
            connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"))
        if role != "wolke_identity":
            for name in secrets:
                connection.execute(text(f"REVOKE ALL ON identity.{name} FROM {role}"))
