"""Take mails from files into the database, and say what was found."""

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.complaints import complain
from dsn_processor.cli.options import add_db_option, add_rules_option, followed_rules
from dsn_processor.errors import UsageError

if TYPE_CHECKING:
    from dsn_processor.facts import RecipientReport, Verdict
    from dsn_processor.pipeline import Outcome
    from dsn_processor.replaying import Tally

_ROWS = 50  # rows of --table at most
_TELLING = 15  # characters of a diagnostic that tells more than a code
_COLUMNS = ("address", "type", "reason", "status", "said")
_INTERRUPTED = 130
_MANY_WORKERS = 256


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "replay",
        help="take mails from files into the database",
        description="Takes .eml files, folders, mboxes, Maildirs, and tar and zip archives of mails into the database; "
        "- is one mail on standard input. A mail that is there already adds nothing.",
        epilog="example: dsn-processor replay ~/Maildir bounces.mbox --table",
    )
    command.add_argument("paths", nargs="+", metavar="PATH")
    add_db_option(command)
    add_rules_option(command)
    command.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="processes that read mails (default: one for each core; 1 reads in this one)",
    )
    command.add_argument("--table", action="store_true", help="list who failed or waits, and why")
    command.add_argument("--json", action="store_true", help="print the summary as JSON")
    command.set_defaults(run=run)


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MANY_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MANY_WORKERS}")
    return int(text)


def tell_alerts(url: str, since: datetime) -> None:
    """What came of these mails that a person should decide, or hear of: nobody looks for it unasked."""
    from dsn_processor.errors import StoreError
    from dsn_processor.record.store import Store
    from dsn_processor.safe import safe

    try:
        with Store.open(url, readonly=True) as store:
            alerts = store.addresses.alerts_since(since)
    except StoreError:
        return  # the mails are stored, and that is told
    for alert in alerts:
        advice = ": `dsn-processor suppressions waves`" if alert.kind == "suppressions_held" else ""
        print(f"dsn-processor: alert: {safe(str(alert))}{advice}", file=sys.stderr)


def run(args: argparse.Namespace) -> int:
    from dsn_processor.cli.progress import Progress
    from dsn_processor.forking import can_fork
    from dsn_processor.intake.walk import Walk
    from dsn_processor.reading import expect_many
    from dsn_processor.replaying import Tally, replay, supplied
    from dsn_processor.settings import correlation_options, database_url
    from dsn_processor.workers import all_cores

    if args.table and args.json:
        raise UsageError("--table and --json exclude each other: events --json lists recipients as JSON")

    def say(text: str) -> None:
        progress.say(text)

    expect_many()  # before the rest is loaded: that makes many objects, too
    rules = followed_rules(args.rules, say)
    url, correlation = database_url(args.db), correlation_options()
    walk = Walk(args.paths)
    tally, failures = Tally(), Failures(wanted=args.table)
    began, started = time.monotonic(), datetime.now(UTC)
    interrupted = False
    progress = Progress(args.paths, walk)
    with (
        supplied(
            walk,
            tally,
            skipped=lambda item: progress.say(f"{item.source} {item.why}"),
            workers=args.workers or all_cores(),
            fork=can_fork(),
            rules=rules,
        ) as supply,
        progress,  # begun last: a bar has a thread, of which a forked worker would have the locks
    ):
        from dsn_processor.app import opened  # loads while the workers start

        def seen(outcome: "Outcome") -> None:
            failures.add(outcome)
            if outcome.error:
                progress.say(f"mail {outcome.message_id} ({outcome.source}) is kept unread: {outcome.error}")
            progress.advance(tally.mails)

        with opened(url) as store:
            try:
                replay(store, supply, tally, seen=seen, rules=rules, correlation=correlation)
            except KeyboardInterrupt:
                interrupted = True
            name = store.name
    seconds = time.monotonic() - began
    tell_alerts(url, started)
    if args.json:
        import json

        print(json.dumps(describe_tally(tally, seconds, interrupted=interrupted)))
    else:
        failures.print(args.db)
        print_tally(tally, seconds, name)
    if interrupted:
        complain(
            f"interrupted; the {_many(tally.mails, 'mail')} counted are kept, and the same command goes on"
        )
        return _INTERRUPTED
    return 1 if tally.failed or tally.quarantined else 0


class Failures:
    """The recipients that failed or wait, for the table."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._rows: list[tuple[object, ...]] = []
        self._more = 0

    def add(self, outcome: "Outcome") -> None:
        if not self._wanted:
            return
        for event in outcome.events:
            if event.verdict is None:
                continue
            if len(self._rows) < _ROWS:
                self._rows.append(_row(event.recipient, event.verdict))
            else:
                self._more += 1

    def print(self, db: str | None) -> None:
        """``db`` is the option as given, for the command that is recommended to work as it stands."""
        import shlex

        from dsn_processor.cli.render import print_fitted, print_text

        if self._rows:
            print_fitted(_COLUMNS, self._rows)
            if self._more:
                option = "" if db is None else f" --db {shlex.quote(db)}"
                print_text(f"and {self._more} more: dsn-processor events{option} lists them")
            print()


def _row(recipient: "RecipientReport", verdict: "Verdict") -> tuple[object, ...]:
    words = [evidence.text for evidence in verdict.evidence if evidence.source in {"diagnostic_code", "text"}]
    said = recipient.diagnostic_code or ""
    if len(said) < _TELLING and words:
        said = words[0]
    return recipient.address, verdict.bounce_type, verdict.reason, recipient.status, said


def describe_tally(tally: "Tally", seconds: float, *, interrupted: bool) -> dict[str, Any]:
    return {
        "mails": tally.mails,
        "new": tally.mails + tally.waiting - tally.duplicates,
        "duplicates": tally.duplicates,
        "unparsed": tally.unparsed,
        "quarantined": tally.quarantined,
        "skipped": tally.skipped,
        "failed": tally.failed,
        "kinds": dict(tally.kinds),
        "events": {
            "total": tally.events.total(),
            "repeated": tally.repeated,
            "by_kind": dict(tally.events),
            "by_type": dict(tally.types),
            "by_reason": _by_reason(tally),
        },
        "seconds": round(seconds, 3),
        "mails_per_second": round(tally.mails / seconds, 1) if seconds else None,
        "interrupted": interrupted,
    }


def _by_reason(tally: "Tally") -> dict[str, int]:
    reasons: dict[str, int] = {}
    for (_, reason), number in tally.reasons.items():
        reasons[reason] = reasons.get(reason, 0) + number
    return reasons


def print_tally(tally: "Tally", seconds: float, name: str) -> None:
    from dsn_processor.cli.render import print_table, print_text

    rate = f", {tally.mails / seconds:,.0f} a second" if tally.mails > 1 and seconds else ""
    print_text(f"{_many(tally.mails, 'mail')} in {seconds:.1f} s{rate}, into {name}")
    notes = {
        "were left waiting by an earlier run": tally.waiting,
        "known already, nothing added": tally.duplicates,
        "unparsed: plainly reports, but of nobody we can name": tally.unparsed,
        "met a fault of ours and are kept unread: see above": tally.quarantined,
        "of their recipients were told by another mail before": tally.repeated,
        "could not be read, see above": tally.failed,
        "left alone: links, FIFOs, devices": tally.skipped - tally.failed,
        "files passed over: no mail": tally.passed_over,
    }
    for what, number in notes.items():
        if number:
            print_text(f"{number:>7,}  {what}")
    if tally.kinds:
        print()
        rows = [(tally.kinds[kind], tally.events[kind], kind) for kind in tally.kinds | tally.events]
        rows.sort(reverse=True)
        print_table(("mails", "recipients", "kind"), [(f"{m:>5}", f"{e:>10}", kind) for m, e, kind in rows])
    if tally.reasons:
        print()
        reasons = sorted(tally.reasons.items(), key=lambda row: (-tally.types[row[0][0]], row[0][0], -row[1]))
        print_table(("recipients", "type", "reason"), [(f"{number:>10}", *pair) for pair, number in reasons])


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
