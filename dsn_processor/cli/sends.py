"""The registry of sends: fill it from files, look at it, empty it."""

import argparse
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from dsn_processor.cli.options import add_db_option

if TYPE_CHECKING:
    from dsn_processor.facts import Send

_TOLD = 20  # lines that cannot be used and are named


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "sends",
        help="tell what was sent and delivered, so that reports can be tied to it",
        description="The registry of what was sent: docs/correlation.md. Files are CSV with a header, or a JSON object a line; "
        "fields are message_id, recipient, time, stream, campaign, tags, mailing_list.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    register = actions.add_parser(
        "register",
        help="take in what was sent",
        description="Takes in what was sent. A line that cannot be used is told, and the rest taken. The same mail again is no news.",
    )
    register.set_defaults(run=run_register)
    delivered = actions.add_parser(
        "delivered",
        help="take in what was delivered",
        description="Takes in what a receiving server accepted. Without message_id it is the address alone that took mail.",
    )
    delivered.set_defaults(run=run_delivered)
    for action in (register, delivered):
        action.add_argument("file", metavar="FILE", help="CSV or JSON lines; - is standard input")
        action.add_argument("--json", action="store_true", help="print the counts as JSON")
    show = actions.add_parser("stats", help="count what is registered")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_stats)
    purge = actions.add_parser(
        "purge",
        help="forget what was sent long ago",
        description="Forgets what was sent longer ago than the configuration's keep_sends. Registering does so, too, bit by bit.",
    )
    purge.add_argument(
        "--older", type=_duration, metavar="TIME", help="forget what was sent longer ago than this: 30d, 720h"
    )
    purge.set_defaults(run=run_purge)
    for action in (register, delivered, show, purge):
        add_db_option(action)


def run_register(args: argparse.Namespace) -> int:
    from dsn_processor.sends import register

    return _take(args, register, delivered=False)


def run_delivered(args: argparse.Namespace) -> int:
    from dsn_processor.sends import delivered

    return _take(args, delivered, delivered=True)


def _take(
    args: argparse.Namespace, take: "Callable[[str, Iterable[Send]], tuple[int, int]]", *, delivered: bool
) -> int:
    from dsn_processor.cli.sendlines import Lines
    from dsn_processor.settings import database_url

    bad = 0

    def wrong(line: int, why: str) -> None:
        nonlocal bad
        bad += 1
        if bad <= _TOLD:
            from dsn_processor.safe import safe

            print(f"dsn-processor: {safe(args.file)} line {line}: {safe(why)}", file=sys.stderr)

    with Lines.open(args.file, wrong, delivered=delivered) as lines:
        total, new = take(database_url(args.db), lines)
    if bad > _TOLD:
        print(f"dsn-processor: {bad - _TOLD} lines more cannot be used", file=sys.stderr)
    if args.json:
        import json

        print(json.dumps({"taken": total, "new": new, "bad": bad}))
    else:
        print(f"{total} taken, {new} of them new; {bad} lines could not be used")
    return 1 if bad else 0


def run_stats(args: argparse.Namespace) -> int:
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url

    with Store.open(database_url(args.db), readonly=True) as store:
        found = store.send_stats()._asdict()
    if args.json:
        import json

        print(json.dumps(found, default=str))
    else:
        for name, value in found.items():
            print(f"{name:<10}  {'-' if value is None else value}")
    return 0


def run_purge(args: argparse.Namespace) -> int:
    from dsn_processor.sends import purge
    from dsn_processor.settings import database_url

    print(f"{purge(database_url(args.db), args.older)} forgotten")
    return 0


def _duration(text: str) -> timedelta:
    from dsn_processor.units import parse_seconds

    try:
        return timedelta(seconds=parse_seconds(text))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
