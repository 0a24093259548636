"""Return-path tokens: make a key, make a token, look at one."""

import argparse
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_config_option
from dsn_processor.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from dsn_processor.correlate.options import Ours
    from dsn_processor.correlate.token import Token


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "token",
        help="make and check return-path tokens",
        description="A token in the return path of a mail proves which recipient a report about it is about: "
        "docs/correlation.md. Keys are those of the configuration.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    keygen = actions.add_parser("keygen", help="make a key")
    keygen.add_argument(
        "--id", type=_key_id, default=1, metavar="N", help="its number, 0 to 255; no two keys have the same"
    )
    keygen.set_defaults(run=run_keygen)

    mint = actions.add_parser("mint", help="make the return path of one mail to one recipient")
    mint.add_argument("--recipient", required=True, metavar="ADDRESS", help="whom the mail is for")
    mint.add_argument("--message-id", metavar="ID", help="the mail's Message-ID")
    mint.add_argument("--stream", metavar="NAME", help="what sort of mail it is: newsletter, receipts")
    mint.add_argument("--domain", help="print an address at this domain instead of the token alone")
    mint.add_argument(
        "--prefix", default="b-", help="what stands before the token in the address (default: b-)"
    )
    mint.add_argument("--json", action="store_true", help="print JSON")
    mint.set_defaults(run=run_mint)

    verify = actions.add_parser(
        "verify",
        help="say whether a token is ours, and what it says",
        description="Says whether one of our keys made a token, and what it says. Exits 1 where none did, or where it is "
        "not for --recipient or --message-id, or late.",
    )
    verify.add_argument("token", metavar="TOKEN", help="a token, or an address that holds one")
    verify.add_argument("--recipient", metavar="ADDRESS", help="whom it should be for")
    verify.add_argument("--message-id", metavar="ID", help="which mail it should be of")
    verify.add_argument("--json", action="store_true", help="print JSON")
    verify.set_defaults(run=run_verify)
    for action in (mint, verify):
        add_config_option(action)


def run_keygen(args: argparse.Namespace) -> int:
    import base64
    import secrets

    print(f"{args.id}:{base64.b32encode(secrets.token_bytes(35)).decode().lower()}")
    return 0


def run_mint(args: argparse.Namespace) -> int:
    from dsn_processor.tokens import mint, return_path

    ours = _ours(args)
    assert ours.signing is not None
    today = datetime.now(UTC).date()
    about = {"message_id": args.message_id, "stream": args.stream, "days": ours.valid_days, "today": today}
    try:
        if args.domain:
            printed = return_path(
                ours.signing, args.recipient, domain=args.domain, prefix=args.prefix, **about
            )
        else:
            printed = mint(ours.signing, args.recipient, **about)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if args.json:
        _print_json(
            {
                "address" if args.domain else "token": printed,
                "recipient": args.recipient,
                "message_id": args.message_id,
                "stream": args.stream,
                "key": ours.signing.id,
                "expires": (today + timedelta(days=ours.valid_days)).isoformat(),
            }
        )
    else:
        print(printed)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    from dsn_processor.cli.complaints import complain
    from dsn_processor.correlate.token import shaped, verify

    ours = _ours(args)
    found = shaped([args.token.encode(errors="surrogateescape")])
    token = next(filter(None, (verify(ours.keys, one) for one in found)), None)
    if token is None:
        complain("none of our keys made this" if found else "there is no token in this")
        return 1
    told = _told(token, args, datetime.now(UTC).date(), ours)
    if args.json:
        _print_json(told)
    else:
        for name, value in told.items():
            if value is not None:
                print(f"{name:<10}  {_word(value)}")
    return 1 if told["late"] or False in (told["recipient"], told["message_id"]) else 0


def _told(token: "Token", args: argparse.Namespace, today: date, ours: "Ours") -> dict[str, Any]:
    """``recipient`` and ``message_id`` are None where nothing was asked."""
    from dsn_processor.canonical import canonical_address, reference

    return {
        "token": token.text,
        "key": token.key.id,
        "expires": token.expires.isoformat(),
        "late": token.late(today),
        "recipient": None if args.recipient is None else token.names(canonical_address(args.recipient)),
        "message_id": None if args.message_id is None else token.message == reference(args.message_id),
        "stream": next((name for name in ours.streams if token.names_stream(name)), None),
    }


def _word(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _print_json(value: dict[str, Any]) -> None:
    from dsn_processor.cli.output import JsonLines

    out = JsonLines()
    out.write(value)
    out.flush()


def _ours(args: argparse.Namespace) -> "Ours":
    from dsn_processor.correlate.options import ours
    from dsn_processor.settings import correlation_options

    options = correlation_options(args.config)
    if options is None or not options.keys:
        raise ConfigurationError(
            'there is no key: write what `dsn-processor token keygen` prints into keys = ["..."] of [correlation], or a file '
            "that $DSN_PROCESSOR__CORRELATION__KEYS_FILE names"
        )
    return ours(options)


def _key_id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:4]) > 255:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 255")
    return int(text)
