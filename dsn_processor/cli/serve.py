"""Run the server, and say what to do with it."""

import argparse
import shlex
from typing import TYPE_CHECKING

from dsn_processor.cli.options import add_config_option, add_rules_option

if TYPE_CHECKING:
    from dsn_processor.server.running import Started
    from dsn_processor.settings.load import Loaded
    from dsn_processor.settings.model import Settings


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "serve",
        help="take mail in over SMTP and LMTP, and make sense of it",
        description="Listens for returned mail. A mail answered with 250 is on disk, and is processed once. Without a "
        "configuration it listens on 127.0.0.1:2525 and writes to dsn-processor.db in the current folder.",
        epilog="SIGTERM ends it in good order, SIGHUP reads configuration and rules again.",
    )
    add_config_option(command)
    command.add_argument("--db", metavar="URL", help="the database, whatever the configuration says")
    add_rules_option(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dsn_processor import logs
    from dsn_processor.server.running import serve
    from dsn_processor.settings.load import load
    from dsn_processor.settings.sources import Given

    given = {name: Given(value, f"--{option}") for name, option, value in _options(args) if value is not None}

    def read() -> "Loaded":
        return load(args.config, options=given)

    def reload() -> "Settings":
        return read().settings

    loaded = read()
    logs.configure(loaded.settings.log)
    for warning in loaded.warnings:
        logs.get_logger(room="settings").warning("unwise", what=warning)
    serve(loaded.settings, reload, lambda started: _tell(started, loaded.settings))
    return 0


def _options(args: argparse.Namespace) -> tuple[tuple[str, str, str | None], ...]:
    return ("database", "db", args.db), ("rules", "rules", args.rules)


def _tell(started: "Started", settings: "Settings") -> None:
    """What listens where, and what to do next: for the person who started it."""
    import sys

    if sys.stdout is None:
        return
    smtp = started.addresses["smtp"]
    who = ", ".join(settings.smtp.recipients) or "any recipient, since only this machine gets there"
    rows = [
        ("SMTP", f"{', '.join(smtp)} for {who}" if smtp else ""),
        ("LMTP", ", ".join(started.addresses["lmtp"])),
        ("web", f"http://{started.web}/metrics, /healthz, /readyz" if started.web else ""),
        ("database", str(started.database)),
    ]
    print("dsn-processor takes mail now.")
    for name, value in rows:
        if value:
            print(f"  {name:<9} {value}")
    for line in started.modes:
        print(f"  {'mode':<9} {line}")
    if smtp and not settings.smtp.recipients:
        database = shlex.quote(f"sqlite:///{started.database}")
        print(
            f"Try it:     curl smtp://{smtp[0]} --mail-from '' --mail-rcpt bounces@example.com --crlf -T bounce.eml"
        )
        print(f"Look:       dsn-processor events --db {database}")
        print("Next:       point your return path at it (docs/serve.md); Ctrl-C ends it")
    sys.stdout.flush()
