"""The commands that read the database: events, show, stats. They change nothing."""

import argparse
import re
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option
from dsn_processor.terms import BounceType, Kind, Reason

if TYPE_CHECKING:
    from dsn_processor.record.entries import EventFilter, Stats
    from dsn_processor.record.store import Store

_RECENT = timedelta(days=7)  # alerts that are told with the counts
_SCREEN = 100  # events that a terminal gets without --limit
_COLUMNS = ("mail", "when", "address", "kind", "type", "reason", "status", "advice", "diagnostic")
_AGO = re.compile(r"(\d{1,6})([mhdw])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    events = commands.add_parser(
        "events",
        help="list what happened to recipients",
        description=f"Lists events, the newest first; times are UTC. On a terminal {_SCREEN} at "
        "most, unless --limit says otherwise, and what fits: --json has all.",
        epilog="example: dsn-processor events --type hard --since 7d --json | jq -r .address",
    )
    events.add_argument(
        "--kind", choices=[kind.value for kind in Kind], metavar="KIND", help="failed, delayed, ..."
    )
    events.add_argument(
        "--type",
        choices=[kind.value for kind in BounceType],
        metavar="TYPE",
        help="hard, soft, block, undetermined",
    )
    events.add_argument(
        "--reason", choices=[reason.value for reason in Reason], metavar="REASON", help="user_unknown, ..."
    )
    events.add_argument("--domain", help="of recipients at this domain")
    events.add_argument("--address", help="of this recipient, whatever the letter case")
    events.add_argument(
        "--since", type=moment, metavar="TIME", help="an ISO date (UTC unless it says), or 90m, 24h, 7d, 4w"
    )
    events.add_argument("--limit", type=number_from_one, metavar="N", help="at most N events")
    events.set_defaults(run=run_events)

    show = commands.add_parser(
        "show",
        help="show one mail and what was made of it",
        description="Shows one mail and what was made of it. `events` names the ids.",
    )
    show.add_argument("id", type=number_from_one, metavar="ID", help="the mail's id")
    show.add_argument("--raw", action="store_true", help="the mail itself, byte by byte as it came")
    show.set_defaults(run=run_show)

    stats = commands.add_parser("stats", help="count mails and events")
    stats.set_defaults(run=run_stats)

    for command in (events, show, stats):
        add_db_option(command)
        command.add_argument("--json", action="store_true", help="print JSON")


def run_events(args: argparse.Namespace) -> int:
    from dsn_processor.cli.advice import advised
    from dsn_processor.cli.describe import describe_event, event_row
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import is_terminal, print_fitted, print_table
    from dsn_processor.settings import ruling

    limit = args.limit
    if limit is None and not args.json and is_terminal():
        limit = _SCREEN
    wanted = _filter(args, limit)
    options = ruling().options
    # The rows end before the store does, also where nobody reads on (head).
    with _open(args) as store, closing(store.events(wanted)) as events:
        told = advised(store, events, options)
        if args.json:
            print_json_lines(starmap(describe_event, told))
            return 0
        rows = (event_row(event, retry) for event, retry in told)
        if is_terminal():
            print_fitted(_COLUMNS, rows, least=_COLUMNS.index("status"))
        else:
            print_table(_COLUMNS, rows)
        if args.limit is None and limit is not None and (there := store.count_events(wanted)) > limit:
            print(f"the newest {limit} of {there}; --limit {there} shows all", file=sys.stderr)
    return 0


def run_show(args: argparse.Namespace) -> int:
    from dsn_processor.cli.advice import advised
    from dsn_processor.cli.describe import describe_report, print_report
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.errors import DsnProcessorError
    from dsn_processor.settings import ruling

    options = ruling().options
    with _open(args) as store:
        report = store.report(args.id)
        if report is None:
            raise DsnProcessorError(
                f"there is no mail {args.id} in {store.name}: `dsn-processor events` names the ids"
            )
        raw = store.raw(args.id) if args.raw else None
        advice = [retry for _, retry in advised(store, report.events, options)]
    if raw is not None:
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    elif args.json:
        out = JsonLines()
        out.write(describe_report(report, advice))
        out.flush()
    else:
        print_report(report, advice)
    return 0


def run_stats(args: argparse.Namespace) -> int:
    from dsn_processor.cli.render import print_table, print_text
    from dsn_processor.policy.modes import lines_of
    from dsn_processor.settings import ruling

    with _open(args) as store:
        store.addresses.ruling = ruling()
        stats = store.stats()
        modes = store.addresses.chosen_modes()
        now = datetime.now(UTC)
        suppressions = store.addresses.count(now)
        undecided, alerts = store.addresses.undecided(), store.addresses.alerts_since(now - _RECENT)
    if args.json:
        import json

        told = {way: dict(zip(("mode", "why", "change"), one, strict=True)) for way, one in modes.items()}
        told_alerts = [{**one._asdict(), "raised_at": one.raised_at.isoformat()} for one in alerts]
        more = {"suppressions": suppressions, "waves_undecided": undecided, "alerts": told_alerts}
        print(json.dumps({**describe_stats(stats), **more, "modes": told}))
    else:
        _print_stats(stats)
        if suppressions:
            print()
            print_table(("suppressions", "number"), suppressions.items())
        print()
        for one in alerts:
            print_text(f"alert: {one}")
        if undecided:
            print(f"waves: {undecided} to be decided: `dsn-processor suppressions waves`")
        for line in lines_of(modes):
            print(f"mode: {line}")
    return 0


def describe_stats(stats: "Stats") -> dict[str, Any]:
    return {
        "mails": stats.mails,
        "pending": stats.pending,
        "quarantined": stats.quarantined,
        "unparsed": stats.unparsed,
        "duplicates": stats.duplicates,
        "events": {
            "total": stats.events,
            "by_kind": dict(stats.by_kind),
            "by_type": dict(stats.by_type),
            "by_reason": dict(stats.by_reason),
        },
    }


def _print_stats(stats: "Stats") -> None:
    from dsn_processor.cli.render import print_table

    print_table(
        ("mails", "pending", "quarantined", "unparsed", "duplicates", "events"),
        [(stats.mails, stats.pending, stats.quarantined, stats.unparsed, stats.duplicates, stats.events)],
    )
    for title, counts in (("kind", stats.by_kind), ("type", stats.by_type), ("reason", stats.by_reason)):
        if counts:
            print()
            print_table((title, "events"), counts.items())


def _open(args: argparse.Namespace) -> "Store":
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url

    return Store.open(database_url(args.db), readonly=True)


def _filter(args: argparse.Namespace, limit: int | None) -> "EventFilter":
    from dsn_processor.canonical import canonical_address, canonical_domain
    from dsn_processor.record.entries import EventFilter

    return EventFilter(
        kind=args.kind,
        bounce_type=args.type,
        reason=args.reason,
        domain=None if args.domain is None else canonical_domain(args.domain.strip().lstrip("@")),
        address=None if args.address is None else canonical_address(args.address),
        since=args.since,
        limit=limit,
    )


def moment(text: str) -> datetime:
    """A date, or so long ago."""
    now = datetime.now(UTC)
    try:
        if ago := _AGO.match(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2026-11-20, 2026-11-20T08:00:00+01:00, 90m, 24h, 7d or 4w"
        ) from None


def number_from_one(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:20]) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
