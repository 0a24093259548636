"""Mails that met a fault of ours twice: look at them, and have them tried again."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option
from dsn_processor.cli.query import number_from_one

if TYPE_CHECKING:
    from dsn_processor.record.entries import StoredMessage
    from dsn_processor.record.store import Store

_COLUMNS = ("mail", "received", "source", "bytes", "attempts", "error")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    quarantine = commands.add_parser(
        "quarantine",
        help="mails that could not be processed: list, show, retry",
        description="A mail whose processing failed twice, by a fault of ours, is kept and put aside. Nothing of it is "
        "lost: `retry` has it processed again, after an upgrade, say.",
    )
    actions = quarantine.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    listing = actions.add_parser("list", help="list them, with what went wrong")
    listing.add_argument("--json", action="store_true", help="print a JSON object a line")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="show one")
    show.add_argument("id", type=number_from_one, metavar="ID", help="the mail's id")
    show.add_argument("--raw", action="store_true", help="the mail itself, byte by byte as it came")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)
    retry = actions.add_parser("retry", help="have them processed again")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "ids", type=number_from_one, nargs="*", default=[], metavar="ID", help="the mails' ids"
    )
    which.add_argument("--all", action="store_true", help="all of them")
    retry.set_defaults(run=run_retry)
    for action in (listing, show, retry):
        add_db_option(action)


def run_list(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url

    with Store.open(database_url(args.db), readonly=True) as store:
        if args.json:
            print_json_lines(map(_described, _quarantined(store)))
            return 0
        rows = [tuple(_described(mail).values()) for mail in _quarantined(store)]
    if rows:
        print_table(_COLUMNS, rows)
    else:
        print("nothing is quarantined")
    return 0


def run_show(args: argparse.Namespace) -> int:
    from dsn_processor.cli.query import run_show as show

    return show(args)


def run_retry(args: argparse.Namespace) -> int:
    from dsn_processor.app import retry
    from dsn_processor.cli.complaints import complain
    from dsn_processor.settings import database_url

    retried, by_server, failed = retry(database_url(args.db), None if args.all else args.ids)
    missing = [] if args.all else sorted(set(args.ids) - set(retried))
    for message_id in missing:
        complain(
            f"mail {message_id} is not quarantined: `dsn-processor quarantine list` names those that are"
        )
    for outcome in failed:
        complain(f"mail {outcome.message_id} ({outcome.source}) failed again: {outcome.error}")
    if by_server:
        print(f"{len(retried)} handed to the running server")
    else:
        print(f"{len(retried) - len(failed)} processed, {len(failed)} failed again")
    return 1 if missing or failed else 0


def _quarantined(store: "Store") -> "Iterator[StoredMessage]":
    from dsn_processor.terms import MessageState

    for message_id in store.message_ids(MessageState.QUARANTINED):
        mail = store.message(message_id)
        if mail is not None:
            yield mail


def _described(mail: "StoredMessage") -> dict[str, Any]:
    return {
        "id": mail.id,
        "received_at": mail.received_at.isoformat(timespec="seconds"),
        "source": mail.source,
        "size": mail.size,
        "attempts": mail.attempts,
        "last_error": mail.last_error,
    }
