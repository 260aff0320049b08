"""What every long-running command does at its start and end."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from oslo_config import cfg

from common import config, log
from common.config import CONF
from common.db import Database


def begin(program: str, arguments: Sequence[str]) -> threading.Event:
    """Read the configuration, set up logs; the event that SIGTERM or SIGINT sets."""
    try:
        config.load(arguments, program=program)
    except cfg.ConfigFilesNotFoundError as error:
        sys.exit(f"{program}: {error}")
    log.setup(program, CONF.log_level)
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def database(*, owner: bool = False) -> Database:
    """The database that the configuration names; exits with a sentence where it names none."""
    url = CONF.database.owner_connection if owner else CONF.database.connection
    if not url:
        sys.exit(f"[database] {'owner_connection' if owner else 'connection'} is not set in the configuration")
    return Database(url, pool_size=CONF.database.pool_size)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """(`--config-file …` and other options of oslo.config, the words that are the command's own)."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-file", action="append", default=[])
    parser.add_argument("--config-dir", action="append", default=[])
    known, rest = parser.parse_known_args(list(arguments))
    options = [word for path in known.config_file for word in ("--config-file", path)]
    return options + [word for path in known.config_dir for word in ("--config-dir", path)], rest
