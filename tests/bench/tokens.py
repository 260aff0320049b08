"""A request's token check, cold and again, on a PostgreSQL of its own: `python -m tests.bench.tokens`."""

from __future__ import annotations

import time

from common.auth import Authenticator
from common.config import CONF
from common.db import Database
from identity import manage, public
from identity.service import catalog
from identity.service.token import Scope
from tests.bench.figures import say, timed
from tests.support.identity import issue  # the shortest way to a token: no password is hashed
from tests.support.postgres import running


def main() -> None:
    CONF([], project="wolke-bench", default_config_files=[], default_config_dirs=[])
    with running() as server:
        db = Database(server.url(server.fresh()))
        manage.bootstrap(db, admin_password="bench", region="RegionOne", public_url_base="http://127.0.0.1")
        token = issue(db)
        check = public.token_checker(db)
        say("token check, cold", timed(lambda: check(token), 500, warm=20), target="1.5 ms")
        authenticate = Authenticator(check, seconds=0.5)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < 3:
            authenticate(token)
            count += 1
        print(f"token check, again: {count / 3:.0f} a second   target 3000")
        _catalogue(db)
        db.close()


def _catalogue(db: Database) -> None:
    """The catalogue of a project, as each validated token shows it: asked for, and remembered."""
    scope = Scope("project", "p")

    def cold() -> None:
        catalog.forget(db)
        catalog.catalogue(db, "u", scope)

    say("catalogue, cold", timed(cold, 500, warm=20), target="1 ms")
    say("catalogue, again", timed(lambda: catalog.catalogue(db, "u", scope), 2000, warm=20), unit="us", scale=1e6, target="100 us")


if __name__ == "__main__":
    main()
