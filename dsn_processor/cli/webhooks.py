"""Webhooks: who is told of what happens, what was delivered, and what was not."""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option
from dsn_processor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsn_processor.notify.endpoints import Endpoint
    from dsn_processor.notify.options import WebhookOptions
    from dsn_processor.notify.people.options import NotifyOptions
    from dsn_processor.record.deliveries import Delivery
    from dsn_processor.record.store import Store

_STATES = ("pending", "delivered", "dead")
_ENDPOINTS = ("name", "enabled", "why", "paused_until", "format", "events", "pending", "dead", "url")
_SHOWN = ("id", "endpoint", "webhook", "type", "address", "state", "attempts", "next", "status", "error")
_LIMIT = 100


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "webhooks",
        help="tell applications what happens",
        description="Who is told of bounces, complaints and suppressions, over HTTP: docs/webhooks.md. `serve` delivers.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    adding = actions.add_parser("add", help="tell one more endpoint; prints its secret, once")
    adding.add_argument("url", metavar="URL", help="where to post to")
    adding.add_argument("--name", help="what to call it (default: the URL's host)")
    adding.add_argument(
        "--format", default="own", help="whose words to use: docs/webhook-formats.md (default: own)"
    )
    adding.add_argument(
        "--events",
        default="",
        metavar="TYPES",
        help="what to tell, as in bounce.*,address.suppressed (default: all)",
    )
    adding.add_argument(
        "--key-file",
        metavar="FILE",
        help="what a foreign format signs with, as mailgun's does, or user:password for its handler",
    )
    for option, words in (
        (
            "--user-message",
            "what to show to a user whose address is dead, as in '${email} does not work any more'",
        ),
        ("--user-action", "where that user goes to give another (default: /settings/email)"),
    ):
        adding.add_argument(option, default="", metavar="TEXT", help=words)
    adding.set_defaults(run=run_add)
    listing = actions.add_parser("list", help="list endpoints")
    listing.set_defaults(run=run_list)
    for name, words in (
        ("remove", "tell an endpoint no more, and forget what waits for it"),
        ("enable", "tell an endpoint again, also what has been waiting for it"),
        ("disable", "tell an endpoint nothing for now; what happens meanwhile it will not hear of"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("name", metavar="NAME")
        action.set_defaults(run=run_change)
    rotating = actions.add_parser("rotate", help="give an endpoint another secret; prints it, once")
    rotating.add_argument("name", metavar="NAME")
    rotating.add_argument(
        "--grace",
        default="24h",
        metavar="TIME",
        help="for so long the one before is valid, too (default: 24h)",
    )
    rotating.set_defaults(run=run_rotate)
    testing = actions.add_parser("test", help="send an endpoint a test, and say what it answered")
    testing.add_argument("name", metavar="NAME")
    testing.set_defaults(run=run_test)
    showing = actions.add_parser("deliveries", help="list what was delivered, or not")
    showing.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"so many (default: {_LIMIT})"
    )
    showing.add_argument("--body", type=int, metavar="ID", help="write one body out, byte for byte")
    showing.set_defaults(run=run_deliveries)
    again = actions.add_parser(
        "replay",
        help="deliver once more, the same body under the same id",
        description="Names webhooks by their ids (msg_...), or takes all of --endpoint, --state, --since and --until.",
    )
    again.add_argument("ids", nargs="*", metavar="WEBHOOK")
    again.set_defaults(run=run_replay)
    for action in (showing, again):
        _add_filter(action)
    delivering = actions.add_parser("deliver", help="deliver what is due, where no server runs")
    delivering.add_argument("--once", action="store_true", required=True, help="and end")
    delivering.set_defaults(run=run_deliver)
    for action in (listing, showing):
        action.add_argument("--json", action="store_true", help="print JSON")
    for action in actions.choices.values():
        add_db_option(action)


def _add_filter(action: argparse.ArgumentParser) -> None:
    from dsn_processor.cli.query import moment

    action.add_argument("--endpoint", metavar="NAME", help="of one endpoint")
    action.add_argument("--state", choices=_STATES, help="dead are those given up")
    for option in ("--since", "--until"):
        action.add_argument(option, type=moment, metavar="TIME", help="an ISO date, or 90m, 24h, 7d ago")


def run_add(args: argparse.Namespace) -> int:
    key = ""
    if args.key_file:
        try:
            key = Path(args.key_file).read_text("utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise UsageError(f"{args.key_file} cannot be read: {error}") from None
    events = [one for one in args.events.replace(",", " ").split() if one]
    words = {"url": args.url, "name": args.name, "format": args.format, "events": events, "key": key}
    words |= {"user_message": args.user_message, "user_action": args.user_action}
    answer = _do(args, {"do": "add", **words})
    print(f"{answer['name']} is told from now on. Its secret, shown this once:\n\n  {answer['secret']}\n")
    if answer["note"]:
        print(f"Note: {answer['note']}.")
    print(f"Next: dsn-processor webhooks test {answer['name']}")
    return 0


def run_list(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table

    with _open(args) as store:
        endpoints, counts = store.outbox.endpoints(), store.outbox.counts()
    rows = [_endpoint(one, counts.get(number, {})) for number, one in endpoints.items()]
    if args.json:
        print_json_lines(rows)
    else:
        print_table(_ENDPOINTS, [tuple(_cell(row[name]) for name in _ENDPOINTS) for row in rows])
    return 0


def _endpoint(endpoint: "Endpoint", counts: dict[str, int]) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "kind": endpoint.kind.value,
        "enabled": endpoint.enabled,
        "why": endpoint.why or None,
        "paused_until": _moment(endpoint.paused_until).isoformat(timespec="seconds")
        if endpoint.paused_until > time.time()
        else None,
        "format": endpoint.format if endpoint.kind == "webhook" else "people",
        "events": list(endpoint.events),
        "url": endpoint.url,
        "rotating_until": endpoint.previous_until and endpoint.previous_until.isoformat(),
        **{state: counts.get(state, 0) for state in _STATES},
    }


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, list) else value


def run_change(args: argparse.Namespace) -> int:
    waiting = _do(args, {"do": args.action, "name": args.name})["waiting"]
    told = {
        "remove": "forgotten with it",
        "enable": "to be delivered now",
        "disable": "kept until it is enabled",
    }
    print(f"{args.name}: {args.action}d; {waiting} deliveries {told[args.action]}")
    return 0


def run_rotate(args: argparse.Namespace) -> int:
    from dsn_processor.units import parse_seconds

    try:
        grace = parse_seconds(args.grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}") from None
    answer = _do(args, {"do": "rotate", "name": args.name, "grace": grace})
    print(f"The new secret of {args.name}, shown this once:\n\n  {answer['secret']}\n")
    print(f"Until {answer['until']} each webhook is signed with both.")
    return 0


def run_test(args: argparse.Namespace) -> int:
    from dsn_processor import app
    from dsn_processor.notify.attempts import State

    webhook = _do(args, {"do": "test", "name": args.name})["id"]
    delivery = app.outcome_of_webhook(_url(args), webhook, *_both())
    if delivery is None:
        print(f"{webhook} waits: the server has not got to it yet; see `dsn-processor webhooks deliveries`")
        return 1
    status = "" if delivery.status is None else f" {delivery.status}"
    print(
        f"{webhook}: {'delivered' if delivery.state == State.DELIVERED else 'failed'}{status} {delivery.error}".rstrip()
    )
    return 0 if delivery.state == State.DELIVERED else 1


def run_deliveries(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table
    from dsn_processor.notify.attempts import State
    from dsn_processor.record.deliveries import DeliveryFilter

    with _open(args) as store:
        if args.body is not None:
            body = store.outbox.body(args.body)
            if body is None:
                raise UsageError(f"there is no delivery {args.body}")
            sys.stdout.buffer.write(body)
            return 0
        wanted = DeliveryFilter(
            endpoint=args.endpoint,
            state=State(args.state) if args.state else None,
            since=args.since and args.since.timestamp(),
            until=args.until and args.until.timestamp(),
            limit=args.limit,
        )
        rows = store.outbox.deliveries(wanted)
        if args.json:
            print_json_lines(map(_described, rows))
        else:
            print_table(_SHOWN, map(_shown, rows))
    return 0


def run_replay(args: argparse.Namespace) -> int:
    if not (args.ids or args.endpoint or args.state or args.since or args.until):
        raise UsageError(
            "name webhooks by their ids, or say which: --state dead, --endpoint NAME, --since TIME"
        )
    words = {
        "ids": args.ids,
        "endpoint": args.endpoint,
        "state": args.state,
        "since": args.since and args.since.timestamp(),
        "until": args.until and args.until.timestamp(),
    }
    number = _do(args, {"do": "replay", **words})["replayed"]
    print(f"{number} deliveries to be made once more")
    return 0 if number else 1


def run_deliver(args: argparse.Namespace) -> int:
    from dsn_processor import app

    figures = app.deliver_webhooks(_url(args), *_both())
    if figures is None:
        print("a server runs, and delivers by itself: dsn-processor webhooks deliveries")
        return 0
    print(f"{figures.pending} deliveries wait for another attempt, {figures.dead} were given up")
    return 1 if figures.pending else 0


def _do(args: argparse.Namespace, deed: dict[str, Any]) -> dict[str, Any]:
    from dsn_processor import app

    return app.do_webhooks(_url(args), deed, _options())


def _options() -> "WebhookOptions":
    return _both()[0]


def _both() -> tuple["WebhookOptions", "Sequence[NotifyOptions]"]:
    from dsn_processor.settings.load import load

    settings = load().settings
    return settings.webhooks, settings.notify


def _url(args: argparse.Namespace) -> str:
    from dsn_processor.settings import database_url

    return database_url(args.db)


def _open(args: argparse.Namespace) -> "Store":
    from dsn_processor.record.store import Store

    return Store.open(_url(args), readonly=True)


def _described(row: "Delivery") -> dict[str, Any]:
    told = row._asdict()
    for name in ("created_at", "next_at", "attempted_at"):
        told[name] = told[name] and _moment(told[name]).isoformat()
    if row.state != "pending":
        told["next_at"] = None
    return told


def _shown(row: "Delivery") -> tuple[object, ...]:
    following = f"{_moment(row.next_at):%Y-%m-%d %H:%M:%S}" if row.state == "pending" else "-"
    told = (row.id, row.endpoint, row.message_id, row.type, row.address, row.state, row.attempts)
    return *told, following, row.status, row.error


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
