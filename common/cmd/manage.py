"""`wolke-manage`: what an operator does by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common import config, epoch, jobs, log
from common.cmd import SERVICES, process, room
from common.config import CONF
from common.db import Database


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options, words = process.split(sys.argv[1:] if arguments is None else arguments)
    config.load(options, program="wolke-manage")
    log.setup("wolke-manage", CONF.log_level)
    parser = argparse.ArgumentParser(prog="wolke-manage", description="Operate a Wolke cloud. --config-file FILE comes first.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_db(commands)
    _add_job(commands)
    for name in SERVICES:
        module = room(name, "manage")
        if module is not None:
            module.add_commands(commands)
    asked = parser.parse_args(words)
    return int(asked.func(asked) or 0)


def _add_db(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    db = commands.add_parser("db", help="the database's tables").add_subparsers(metavar="COMMAND", required=True)
    upgrade = db.add_parser("upgrade", help="bring tables and grants to this version")
    upgrade.add_argument("revision", nargs="?", default="head")
    upgrade.set_defaults(func=_upgrade)
    downgrade = db.add_parser("downgrade", help="go back to an older version")
    downgrade.add_argument("revision")
    downgrade.set_defaults(func=_downgrade)
    lost = db.add_parser("restored", help="the database was restored and may have lost data: from now on sweeps only report")
    lost.set_defaults(func=_restored)
    adopt = db.add_parser("resume-sweeps", help="what the sweeps reported was looked at: let them remove again")
    adopt.set_defaults(func=_resume)


def _upgrade(asked: argparse.Namespace) -> int:
    from migrations import command

    command.upgrade(_owner_url(), asked.revision)
    return 0


def _downgrade(asked: argparse.Namespace) -> int:
    from migrations import command

    command.downgrade(_owner_url(), asked.revision)
    return 0


def _add_job(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    job = commands.add_parser("job", help="work that is under way, or parked").add_subparsers(metavar="COMMAND", required=True)
    shown = job.add_parser("list", help="every job, parked ones first")
    shown.set_defaults(func=_jobs)
    again = job.add_parser("unpark", help="let parked jobs try again")
    again.add_argument("subject", nargs="+", help="id of the resource that the job is about")
    again.set_defaults(func=_unpark)


def _jobs(_asked: argparse.Namespace) -> int:
    for row in Database(_owner_url()).run(jobs.everything):
        due = row.due_at.isoformat(timespec="seconds") if row.due_at else "PARKED"
        print(f"{row.kind:20} {row.subject_id:36} {row.step:12} {due:25} tries {row.tries}  {row.error or ''}")
    return 0


def _unpark(asked: argparse.Namespace) -> int:
    Database(_owner_url()).run(lambda tx: jobs.unpark(tx, *asked.subject))
    return 0


def _restored(_asked: argparse.Namespace) -> int:
    history = Database(_owner_url()).run(epoch.restored)
    print(f"epoch {history.epoch}; sweeps only report until `wolke-manage db resume-sweeps`")
    return 0


def _resume(_asked: argparse.Namespace) -> int:
    Database(_owner_url()).run(epoch.resume_sweeping)
    return 0


def _owner_url() -> str:
    url = CONF.database.owner_connection or CONF.database.connection
    if not url:
        sys.exit("[database] owner_connection is not set in the configuration")
    return str(url)


if __name__ == "__main__":
    sys.exit(main())
