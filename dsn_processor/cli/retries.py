"""When to try failed messages again."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option

if TYPE_CHECKING:
    from dsn_processor.policy.happenings import Known
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
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.cli.render import print_table
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url, ruling

    now = datetime.now(UTC)
    options = ruling().options
    with Store.open(database_url(args.db), readonly=True) as store:
        known = store.addresses.troubles(now - _SPAN)
        denied = store.addresses.check([one.address for one in known], now)
    found = [row for one in known if one.address not in denied for row in _retries(one, options, now - _SPAN)]
    if args.due:
        found = [row for row in found if row["next_retry_at"] and row["next_retry_at"] <= now.isoformat()]
    if args.json:
        out = JsonLines()
        for row in found:
            out.write(row)
        out.flush()
    else:
        print_table(_COLUMNS, [tuple(row[name] or "-" for name in _COLUMNS) for row in found])
    return 0


def _retries(known: "Known", options: "PolicyOptions", since: datetime) -> Iterator[dict[str, Any]]:
    """One row for each message that failed and has not been delivered since."""
    from dsn_processor.policy.schedule import Trouble, advise
    from dsn_processor.terms import BounceType, Kind

    done = {one.about: one.at for one in known.successes}
    by_message: dict[str, list[Any]] = {}
    for one in known.happenings:
        if one.kind is Kind.FAILED and one.bounce_type is BounceType.SOFT:
            by_message.setdefault(one.about, []).append(one)
    plan = options.schedule_of(known.address.rpartition("@")[2])
    for about, told in by_message.items():
        last = max(told, key=lambda one: (one.at, one.identity))
        times = sorted({at for one in told for at in (one.at, *(made.at for made in one.attempts))})
        if times[-1] < since or done.get(about, since) > times[-1]:
            continue
        begun = min([times[0], *(one.since for one in told if one.since is not None)])
        retry = advise(
            Trouble(last.kind, last.bounce_type, last.reason, last.scope, begun, tuple(times)), plan
        )
        yield {
            "address": known.address,
            "message": last.message_id or None,
            "reason": last.reason,
            **retry._asdict(),
            "next_retry_at": retry.next_retry_at and retry.next_retry_at.isoformat(),
        }
