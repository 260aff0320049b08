"""`wolke-manage identity set-client-secret`: what an OpenID provider calls our client's secret, for log-ins by a browser."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from contextlib import closing

from common.db import Database
from common.errors import ApiError
from identity.service.federation import provider

LONGEST = 4096


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], database: Callable[[], Database]) -> None:
    """Add `set-client-secret`. database: opens the one that the configuration names."""
    command = commands.add_parser(
        "set-client-secret", help="keep the secret of our client at an identity provider; it is read from standard input, empty: none"
    )
    command.add_argument("idp", metavar="IDP", help="id of the identity provider")
    command.set_defaults(func=lambda asked: _set(asked.idp, database))


def _set(provider_id: str, database: Callable[[], Database]) -> int:
    secret = (sys.stdin.readline() if not sys.stdin.isatty() else getpass.getpass("Client secret: ")).rstrip("\r\n")
    with closing(database()) as db:
        return set_secret(db, provider_id, secret)


def set_secret(db: Database, provider_id: str, secret: str) -> int:
    """Keep it; 1 where there is no such provider, or no key to encrypt it with."""
    if len(secret) > LONGEST or not secret.isprintable():
        print(f"A client secret is of printable characters, {LONGEST} at the most.", file=sys.stderr)
        return 1
    try:
        db.run(lambda tx: provider.set_client_secret(tx, provider_id, secret))
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0
