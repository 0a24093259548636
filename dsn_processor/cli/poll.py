"""Fetch mail from mailboxes, and show how their accounts do."""

import argparse
import signal
import time
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.complaints import complain
from dsn_processor.cli.options import add_config_option, add_db_option, add_rules_option, followed_rules
from dsn_processor.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from dsn_processor.cli.progress import MailProgress
    from dsn_processor.intake.mailbox.accounts import Options
    from dsn_processor.pipeline import Outcome
    from dsn_processor.polling import Polling
    from dsn_processor.record.entries import AccountStatus
    from dsn_processor.replaying import Tally
    from dsn_processor.settings.model import Settings

_INTERRUPTED = 130
_COLUMNS = ("account", "state", "last success", "waiting", "taken", "next look", "last error")
_PATIENCE = 10.0


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    poll = commands.add_parser(
        "poll",
        help="fetch mail from mailboxes, over IMAP and POP3",
        description="Takes the reports in the configured mailboxes into the database, and then flags, moves or deletes them "
        "there as configured. A server does the same all the time: `serve`.",
        epilog="Without --once it goes on until Ctrl-C or SIGTERM. docs/imap.md tells what is done to mails.",
    )
    poll.add_argument("--once", action="store_true", help="look at each account once, and end")
    poll.add_argument(
        "--account", action="append", metavar="NAME", help="this account alone; may be repeated"
    )
    poll.add_argument(
        "--dry-run",
        action="store_true",
        help="look once, and tell what there is: nothing is stored or changed",
    )
    poll.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_config_option(poll)
    add_db_option(poll)
    add_rules_option(poll)
    poll.set_defaults(run=run_poll)
    accounts = commands.add_parser(
        "accounts",
        help="show how the accounts do that mail is fetched from",
        description="For each account: whether it works, when its mailbox was last read to the end, what went wrong last, when "
        "it is looked at next. Exits 1 if one fails.",
    )
    accounts.add_argument("--json", action="store_true", help="print a JSON object a line")
    add_config_option(accounts)
    add_db_option(accounts)
    accounts.set_defaults(run=run_accounts)


def run_poll(args: argparse.Namespace) -> int:
    from dsn_processor import logs
    from dsn_processor.cli.progress import MailProgress
    from dsn_processor.polling import polling
    from dsn_processor.replaying import Tally
    from dsn_processor.settings import database_url
    from dsn_processor.settings.load import load

    settings = load(args.config).settings
    wanted = _chosen(settings, args.account)
    once = args.once or args.dry_run
    # What ends a look is told in words below; a run that goes on is for a log.
    logs.configure(logs.LogOptions(level="warning", format="console") if once else settings.log)
    signal.signal(signal.SIGTERM, _interrupt)
    tally = Tally()
    began = time.monotonic()
    interrupted = False
    with MailProgress() as progress:
        rules = followed_rules(args.rules, progress.say)
        follower = Follower(tally, progress)
        url = database_url(args.db) if args.db or not args.config else settings.database
        with polling(url, follower, rules, processing=settings.processing, dry_run=args.dry_run) as mailboxes:
            errors: dict[str, Any] = {}
            try:
                errors = mailboxes.look_once(wanted) if once else _go_on(mailboxes, wanted)
            except KeyboardInterrupt:
                interrupted = True
    for name, error in errors.items():
        if error is not None:
            complain(f"{name}: {error}")
    failed = any(errors.values()) or any(status.failing for status in follower.statuses.values())
    _tell(args, follower, tally, time.monotonic() - began, url)
    if interrupted:
        complain("interrupted; what is counted is kept, and the same command goes on")
        return _INTERRUPTED
    return 1 if once and (failed or tally.quarantined) else 0


def _chosen(settings: "Settings", names: Sequence[str] | None) -> "list[Options]":
    known = {one.name: one for one in settings.accounts}
    if not known:
        raise ConfigurationError(
            "no account is configured: write an [[imap]] or [[pop3]] section; docs/imap.md shows one"
        )
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no account {name}: there are {', '.join(known)}")
    return [one for name, one in known.items() if not names or name in names]


def _go_on(mailboxes: "Polling", wanted: "list[Options]") -> dict[str, Any]:
    """Look after the accounts until told to end, which is no failure."""
    mailboxes.go_on(wanted)
    try:
        while True:
            time.sleep(1)  # not signal.pause(): a signal that comes right before it would wait with us
    except KeyboardInterrupt:
        mailboxes.stop(_PATIENCE)
    return {}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Follower:
    """Counts what comes of accounts, from any thread."""

    def __init__(self, tally: "Tally", progress: "MailProgress") -> None:
        self._tally = tally
        self._progress = progress
        self._lock = Lock()
        self.statuses: dict[str, AccountStatus] = {}
        self.left = 0
        self._began: float | None = None
        self.fetching_seconds = (
            0.0  # from the first mail that was found to the last that was fetched, stored and filed
        )

    def found(self, account: str, waiting: int) -> None:  # noqa: ARG002  (the protocol's)
        self._began = self._began or time.monotonic()
        self._progress.found(waiting)

    def taken(self, account: str, outcomes: "Sequence[Outcome]", handled: int, waiting: int) -> None:  # noqa: ARG002  (the protocol's)
        with self._lock:
            if handled and self._began is not None:
                self.fetching_seconds = time.monotonic() - self._began
            for outcome in outcomes:
                if outcome.waits:
                    continue  # and is told when it was processed
                self._tally.mails += 1
                self._tally.count(outcome)
                if outcome.error:
                    self._progress.say(f"a mail ({outcome.source}) is kept unread: {outcome.error}")
            self.left += max(0, handled - len(outcomes))
        self._progress.advance(handled)

    def account(self, status: "AccountStatus") -> None:
        self.statuses[status.account] = status


def _tell(args: argparse.Namespace, follower: Follower, tally: "Tally", seconds: float, url: str) -> None:
    from dsn_processor.cli.render import print_text
    from dsn_processor.cli.replay import describe_tally, print_tally

    if args.json:
        import json

        told = describe_tally(tally, seconds, interrupted=False)
        told |= {"left": follower.left, "fetching_seconds": round(follower.fetching_seconds, 3)}
        print(json.dumps({**told, "dry_run": args.dry_run}))
        return
    print_tally(tally, seconds, "nothing: a dry run" if args.dry_run else url)
    if follower.left:
        print_text(f"{follower.left:>7,}  left where they are: no reports, or gone meanwhile")


def run_accounts(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url
    from dsn_processor.settings.load import load

    settings = load(args.config).settings
    url = database_url(args.db) if args.db or not args.config else settings.database
    with Store.open(url, readonly=True) as store:
        found = {status.account: status for status in store.accounts()}
    names = [one.name for one in settings.accounts] or list(found)
    if not names:
        raise ConfigurationError(
            "no account is configured: write an [[imap]] or [[pop3]] section; docs/imap.md shows one"
        )
    if args.json:
        print_json_lines(_described(name, found.get(name)) for name in names)
    else:
        print_table(_COLUMNS, [_row(name, found.get(name)) for name in names])
    return 1 if any(found[name].failing for name in names if name in found) else 0


def _described(name: str, status: "AccountStatus | None") -> dict[str, Any]:
    from dsn_processor.record.entries import AccountStatus

    return {
        key: value.isoformat(timespec="seconds") if hasattr(value, "isoformat") else value
        for key, value in (status or AccountStatus(name))._asdict().items()
    } | {"lag_seconds": None if status is None else _age(status.checked_at)}


def _row(name: str, status: "AccountStatus | None") -> tuple[object, ...]:
    if status is None:
        return name, "never looked at", "", "", "", "", ""
    age, ahead = _age(status.checked_at), _age(status.next_try_at)
    return (
        name,
        "fails" if status.failing else "works",
        "never" if age is None else f"{_about(age)} ago",
        status.waiting,
        status.taken,
        "" if ahead is None or ahead >= 0 else f"in {_about(-ahead)}",
        status.error or "",
    )


def _age(moment: "datetime | None") -> float | None:
    from datetime import UTC, datetime

    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)


def _about(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
