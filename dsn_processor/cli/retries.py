"""When to try failed messages again."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option

if TYPE_CHECKING:
    from dsn_processor.policy.happenings import Happening, Known
    from dsn_processor.policy.options import PolicyOptions

_SPAN = timedelta(days=14)  # failures that are looked at
_COLUMNS = ("address", "message", "reason", "attempt", "next_retry_at", "advice")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "retries",
        help="say which failed messages to try again, and when",
        description="Lists messages of the last 14 days that failed for a passing reason: when to try again, or what else to do. "
        "Suppressed addresses are left out.",
    )
    command.add_argument("--due", action="store_true", help="only those to be tried again by now")
    command.add_argument("--json", action="store_true", help="print a JSON object a line")
    add_db_option(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url, ruling

    now = datetime.now(UTC)
    options = ruling().options
    with Store.open(database_url(args.db), readonly=True) as store:
        found = [
            row
            for known in store.addresses.troubles(now - _SPAN)
            for row in _retries(known, options, now - _SPAN)
        ]
        denied = store.addresses.check([row["address"] for row in found], now)
    found = [row for row in found if row["address"] not in denied]
    if args.due:
        found = [row for row in found if row["next_retry_at"] and row["next_retry_at"] <= now.isoformat()]
    if args.json:
        print_json_lines(found)
    else:
        print_table(_COLUMNS, [tuple(row[name] or "-" for name in _COLUMNS) for row in found])
    return 0


def _retries(known: "Known", options: "PolicyOptions", since: datetime) -> Iterator[dict[str, Any]]:
    """One row for each message that failed and has not been delivered since."""
    from dsn_processor.cli.advice import describe_retry
    from dsn_processor.policy.retrying import Failure, retry_of
    from dsn_processor.terms import BounceType, Kind

    done: dict[str, datetime] = {}
    for success in known.successes:
        done[success.about] = max(success.at, done.get(success.about, success.at))
    newest: dict[str, Happening] = {}
    for one in known.happenings:
        if one.kind is Kind.FAILED and one.bounce_type is BounceType.SOFT:
            before = newest.setdefault(one.about, one)
            newest[one.about] = max(before, one, key=_when)
    for about, last in newest.items():
        at, _ = _when(last)
        if at < since or done.get(about, since) > at or last.reason is None or last.scope is None:
            continue
        failure = Failure(
            last.identity,
            known.address,
            last.at,
            last.kind,
            BounceType.SOFT,
            last.reason,
            last.scope,
            last.since,
        )
        yield {
            "address": known.address,
            "message": last.message_id or None,
            "reason": last.reason,
            **describe_retry(retry_of(failure, known, options)),
        }


def _when(happening: "Happening") -> tuple[datetime, str]:
    """When it was last tried, as far as it was told."""
    return max([happening.at, *(made.at for made in happening.attempts)]), happening.identity
