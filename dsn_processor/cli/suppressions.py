"""Who gets no mail, and why; and what people decide about that."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option
from dsn_processor.errors import UsageError
from dsn_processor.terms import Act, Standing, SuppressionKind

if TYPE_CHECKING:
    from dsn_processor.record.checking import SuppressionRow
    from dsn_processor.record.standing import NewAct
    from dsn_processor.record.store import Store

_PAGE = 5_000
_COLUMNS = ("address", "kind", "standing", "at", "until", "reason", "cause", "tier", "author")
_SHOWN = ("address", "kind", "standing", "since", "until", "reason", "by")
_KINDS = [kind.value for kind in SuppressionKind]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "suppressions",
        help="list and change who gets no mail",
        description="Who gets no mail, and why: docs/policy.md. Whatever changes something is kept with --reason and --author.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    listing = actions.add_parser("list", help="list suppressions")
    export = actions.add_parser("export", help="write suppressions as CSV, or JSON lines")
    for action, run in ((listing, run_list), (export, run_export)):
        for standing in Standing:
            action.add_argument(
                f"--{standing.value}",
                dest="standing",
                action="store_const",
                const=standing,
                help=f"those {standing.value}",
            )
        action.add_argument("--kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
        action.add_argument("--domain", help="of addresses at this domain")
        action.set_defaults(run=run)
    export.add_argument("--format", choices=["csv", "jsonl"], default="csv", help="csv (default) or jsonl")
    show = actions.add_parser("show", help="tell all about one address")
    show.add_argument("address", metavar="ADDRESS")
    show.set_defaults(run=run_show)
    waves = actions.add_parser(
        "waves", help="list waves that are or were held, and what else a person should know"
    )
    waves.set_defaults(run=run_waves)
    for action in (listing, show, waves):
        action.add_argument("--json", action="store_true", help="print JSON")
    _add_acts(actions)
    for action in actions.choices.values():
        add_db_option(action)


def _add_acts(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for act, words in (
        (Act.ADD, "suppress addresses"),
        (Act.REMOVE, "let addresses be mailed again; what failed before is forgotten"),
        (Act.ACCEPT, "make proposed suppressions count"),
        (Act.REJECT, "drop proposed suppressions"),
    ):
        action = actions.add_parser(act.value, help=words)
        several = act in {Act.ACCEPT, Act.REJECT}
        action.add_argument("addresses", nargs="*" if several else "+", metavar="ADDRESS")
        if several:
            action.add_argument("--all", action="store_true", help="all that are proposed")
        else:
            action.add_argument(
                "--kind",
                choices=_KINDS,
                default=SuppressionKind.MANUAL.value if act is Act.ADD else None,
                help=f"{', '.join(_KINDS)} (default: {'manual' if act is Act.ADD else 'all'})",
            )
        if act is Act.ADD:
            action.add_argument(
                "--for", dest="lasting", metavar="TIME", help="for so long: 36h, 14d (default: for good)"
            )
        action.set_defaults(run=run_act, act=act)
    loading = actions.add_parser(
        "import", help="take in a list: CSV of SES, Postmark, SendGrid, Mailgun, or our own"
    )
    loading.add_argument("file", metavar="FILE", help="CSV with a header; - is standard input")
    loading.add_argument(
        "--kind", choices=_KINDS, default="manual", help="of entries that do not say theirs (default: manual)"
    )
    loading.set_defaults(run=run_import)
    for decision, words in (
        ("release", "let a held wave count"),
        ("undo", "take a wave back: its addresses did not bounce"),
    ):
        action = actions.add_parser(decision, help=words)
        action.add_argument("wave", metavar="WAVE", help="its name, as `suppressions waves` lists it")
        action.set_defaults(run=run_settle, decision={"release": "released", "undo": "undone"}[decision])
    for name in (*(act.value for act in Act), "import", "release", "undo"):
        actions.choices[name].add_argument("--reason", required=True, help="why")
        actions.choices[name].add_argument("--author", help="who says so (default: your login name)")


def run_list(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table

    with _open(args) as store:
        rows = _rows(store, args)
        if args.json:
            print_json_lines(map(_described, rows))
        else:
            print_table(_SHOWN, map(_shown, rows))
    return 0


def run_export(args: argparse.Namespace) -> int:
    import csv

    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.suppressionlines import safe_cell

    with _open(args) as store:
        if args.format == "jsonl":
            print_json_lines(map(_described, _rows(store, args)))
            return 0
        writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row in _rows(store, args):
            described = _described(row)
            writer.writerow(
                ["" if described[name] is None else safe_cell(str(described[name])) for name in _COLUMNS]
            )
    return 0


def run_show(args: argparse.Namespace) -> int:
    from dsn_processor.canonical import canonical_address
    from dsn_processor.policy.roles import is_role

    address = canonical_address(args.address)
    with _open(args) as store:
        report = store.addresses.show(address, datetime.now(UTC))
    state = dict(report.state or {"deliverability": "ok", "strikes": 0.0})
    state.pop("domain", None)
    standing = {row.kind: row.standing for row in report.suppressions}
    if (
        state["deliverability"] == "undeliverable"
        and standing.get(SuppressionKind.BOUNCE) is not Standing.ACTIVE
    ):
        state["deliverability"] = "at_risk"  # held, or over
    told: dict[str, Any] = {
        **state,
        "address": address,
        "role": is_role(address),
        "suppressions": [_described(row) for row in report.suppressions],
        "events": [
            _words(one._asdict(), "attempts")
            for one in sorted(report.known.happenings, key=lambda one: one.at)
        ],
        "deliveries": len(report.known.successes),
        "history": [_words(entry._asdict()) for entry in report.audit],
    }
    _print(_words(told), as_json=args.json)
    return 0


def run_waves(args: argparse.Namespace) -> int:
    from dsn_processor.cli.render import print_table, print_text

    with _open(args) as store:
        waves, alerts = store.addresses.waves(), store.addresses.alerts()
    if args.json:
        told = {
            "waves": [one._asdict() for one in waves],
            "alerts": [_words(one._asdict()) for one in alerts],
        }
        _print(told, as_json=True)
        return 0
    print_table(
        ("wave", "addresses", "held", "decision"),
        [(one.name, one.addresses, one.held, one.decision or "to be made") for one in waves],
    )
    for one in alerts:
        print_text(f"alert: {one}")
    return 0


def run_act(args: argparse.Namespace) -> int:
    from dsn_processor.canonical import canonical_address
    from dsn_processor.record.standing import NewAct

    now = datetime.now(UTC)
    until = None
    if getattr(args, "lasting", None):
        from dsn_processor.units import parse_seconds

        try:
            until = now + timedelta(seconds=parse_seconds(args.lasting))
        except (ValueError, OverflowError) as error:
            raise UsageError(f"--for: {error}") from None
    addresses = [canonical_address(one) for one in args.addresses]
    if getattr(args, "all", False):
        with _open(args) as store:
            wanted = argparse.Namespace(standing=Standing.PROPOSED, kind=None, domain=None)
            addresses += [row.address for row in _rows(store, wanted)]
    elif not addresses:
        raise UsageError("name an address, or --all")
    for address in addresses:
        if "@" not in address:
            raise UsageError(f"{address!r} is no address")
    kind = getattr(args, "kind", None)
    acts = [
        NewAct(one, args.reason, now, SuppressionKind(kind) if kind else None, until) for one in addresses
    ]
    return _do(args, args.act, acts)


def run_import(args: argparse.Namespace) -> int:
    from dsn_processor.cli.suppressionlines import read_list
    from dsn_processor.safe import safe

    bad = 0

    def wrong(line: int, why: str) -> None:
        nonlocal bad
        bad += 1
        if bad <= 20:
            print(f"dsn-processor: {safe(args.file)} line {line}: {safe(why)}", file=sys.stderr)

    source = sys.stdin.fileno() if args.file == "-" else args.file
    with open(source, encoding="utf-8", errors="replace", newline="", closefd=args.file != "-") as lines:
        try:
            _do(
                args,
                Act.ADD,
                read_list(lines, args.reason, SuppressionKind(args.kind), datetime.now(UTC), wrong),
            )
        except ValueError as error:
            raise UsageError(f"{args.file}: {error}") from None
    if bad:
        print(f"dsn-processor: {bad} lines could not be used", file=sys.stderr)
    return 1 if bad else 0


def run_settle(args: argparse.Namespace) -> int:
    from dsn_processor import app, deeds
    from dsn_processor.record.standing import By
    from dsn_processor.settings import database_url

    by = By(_author(args), args.reason)
    number = app.do(database_url(args.db), [deeds.settling(args.wave, args.decision, by)])
    print(f"{number} addresses {args.decision}")
    return 0


def _do(args: argparse.Namespace, act: Act, acts: "Iterable[NewAct]") -> int:
    from dsn_processor import app, deeds
    from dsn_processor.settings import database_url

    author = _author(args)
    waiting = iter(acts)
    pages = iter(lambda: list(islice(waiting, _PAGE)), [])
    changed = app.do(database_url(args.db), (deeds.acting(act, page, author) for page in pages))
    print(f"{changed} addresses changed")
    return 0


def _author(args: argparse.Namespace) -> str:
    import getpass

    if args.author:
        return str(args.author)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("nobody is logged in: say who you are with --author") from None


def _open(args: argparse.Namespace) -> "Store":
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url

    return Store.open(database_url(args.db), readonly=True)


def _rows(store: "Store", args: argparse.Namespace) -> "Iterator[SuppressionRow]":
    from dsn_processor.canonical import canonical_domain
    from dsn_processor.record.checking import SuppressionFilter

    domain = None if args.domain is None else canonical_domain(args.domain.strip().lstrip("@"))
    kind = SuppressionKind(args.kind) if args.kind else None
    return store.addresses.suppressions(
        SuppressionFilter(now=datetime.now(UTC), standing=args.standing, kind=kind, domain=domain)
    )


def _described(row: "SuppressionRow") -> dict[str, Any]:
    from dsn_processor.policy.roles import is_role

    return _words(row._asdict()) | {"role": is_role(row.address)}


def _shown(row: "SuppressionRow") -> tuple[object, ...]:
    since, until = (f"{at:%Y-%m-%d %H:%M}" if at else "for good" for at in (row.at, row.until))
    return row.address, row.kind, row.standing, since, until, row.reason, row.author or "policy"


def _words(values: dict[str, Any], *without: str) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if name not in without
    }


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    import json

    from dsn_processor.safe import safe

    if as_json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        if isinstance(value, list):
            print(f"{name}:")
            for one in value:
                print(
                    "  " + safe("  ".join(f"{key}={item}" for key, item in one.items() if item is not None))
                )
        elif value is not None:
            print(f"{name:<16}  {safe(str(value))}")
