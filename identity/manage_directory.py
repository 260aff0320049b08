"""`wolke-manage identity sync-directory`: for cron. It looks at every directory, so that whoever left one is disabled without being looked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from common.db import Database
from common.errors import ApiError
from identity.service import directory, look


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], database: Callable[[], Database]) -> None:
    """Add `sync-directory`. database: opens the one that the configuration names."""
    command = commands.add_parser("sync-directory", help="bring the users and groups of directories (LDAP) up to what these hold now")
    command.add_argument("--domain", help="id or name of the one domain to look at; otherwise all that have a directory")
    command.set_defaults(func=lambda asked: _sync(asked, database))


def _sync(asked: argparse.Namespace, database: Callable[[], Database]) -> int:
    with closing(database()) as db:
        return sync(db, asked.domain)


def sync(db: Database, wanted: str | None = None) -> int:
    """Look at the directory of one domain (id or name), or of all. Gives 0, or 1 where one did not answer or could not be written, or there is none."""
    found = {id: name for id, name in directory.domains(db).items() if wanted in (None, id, name)}
    if wanted is not None and not found:
        print(f"{wanted}: no domain with a directory has this id or name", file=sys.stderr)
        return 1
    failed = False
    for id, name in sorted(found.items(), key=lambda item: item[1]):
        try:
            seen = look.sync(db, id)
            print(f"{name}: {seen.users} users, {seen.groups} groups, {seen.members} memberships; {seen.disabled} disabled")
        except ApiError as error:
            failed = True
            print(f"{name}: {error.message}", file=sys.stderr)
        except SQLAlchemyError as error:
            failed = True
            print(f"{name}: {error.orig if isinstance(error, DBAPIError) else error}", file=sys.stderr)
    return int(failed)
