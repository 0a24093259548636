"""Consent to read mailboxes by OAuth2: get it, and look after it."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_config_option

if TYPE_CHECKING:
    from dsn_processor.intake.mailbox.consent import Prompt
    from dsn_processor.intake.mailbox.options import ImapOptions, PopOptions

    Account = ImapOptions | PopOptions

_COLUMNS = ("account", "grant", "refresh token", "written", "says")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "oauth",
        help="log in to mailboxes of Google, Microsoft 365 and others by OAuth2",
        description="Gets a person's consent to read the mailbox of an account, and shows what is kept of it. Run it as the "
        "user that the server runs as.",
        epilog="docs/oauth.md has the steps for Google and Microsoft 365.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    login = actions.add_parser(
        "login",
        help="have somebody consent, and keep the refresh token",
        description="Shows an address to open in a browser of this machine; after the login there the browser comes back, "
        "and the refresh token is written to the account's refresh_token_file. With --device a code is typed in at any "
        "other machine instead, where the provider has that.",
        epilog="from afar: ssh -L 8400:127.0.0.1:8400 HOST, then dsn-processor oauth login ACCOUNT --port 8400",
    )
    login.add_argument("account", metavar="ACCOUNT", help="its name in the configuration")
    how = login.add_mutually_exclusive_group()
    how.add_argument("--device", action="store_true", help="by a code that is typed in elsewhere")
    how.add_argument(
        "--port", type=_port, default=0, metavar="PORT", help="the port to come back to (default: any)"
    )
    login.set_defaults(run=run_login)
    status = actions.add_parser(
        "status",
        help="show what is kept, and whether it is good",
        description="Asks for an access token for each account with OAuth2, which tells whether it would get in; with "
        "--offline nobody is asked. Exits 1 if one of them would not.",
    )
    status.add_argument("account", nargs="?", metavar="ACCOUNT", help="one account alone")
    status.add_argument("--offline", action="store_true", help="look at files alone")
    status.add_argument("--json", action="store_true", help="print a JSON object a line")
    status.set_defaults(run=run_status)
    for action in (login, status):
        add_config_option(action)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 1 to 65535")


def run_login(args: argparse.Namespace) -> int:
    from dsn_processor.errors import MailboxError
    from dsn_processor.intake.mailbox import consent, tokenfile

    [account] = _accounts(args.config, args.account)
    assert account.oauth2 is not None
    path = account.oauth2.refresh_token_file
    if path and (trouble := tokenfile.unwritable(path)):  # before somebody takes the trouble of consenting
        raise MailboxError(trouble)
    if args.device:
        token = consent.by_device(account, _show)
    else:
        token = consent.by_browser(account, _show, port=args.port)
    try:
        tokenfile.keep(path, token)
    except OSError as error:
        raise MailboxError(f"{path} cannot be written: {error.strerror}; log in again when it can") from None
    print(f"{account.name} is logged in: the refresh token is in {path}")
    return 0


def _show(prompt: "Prompt") -> None:
    minutes = max(1, round(prompt.seconds / 60))
    if prompt.code:
        print(f"Open   {prompt.url}\nand type in   {prompt.code}")
    else:
        print(f"Open this address in a browser of this machine:\n\n{prompt.url}\n")
    print(f"Waiting for it, {minutes} minutes at most; Ctrl-C gives up.", flush=True)


def run_status(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import print_json_lines
    from dsn_processor.cli.render import print_table
    from dsn_processor.safe import safe

    rows = [_state(account, ask=not args.offline) for account in _accounts(args.config, args.account)]
    if args.json:
        print_json_lines(rows)
    elif rows:
        print_table(
            _COLUMNS,
            [tuple(safe(value or "") for name, value in row.items() if name != "ok") for row in rows],
        )
    else:
        print("no account logs in by OAuth2", file=sys.stderr)
    return 0 if all(row["ok"] for row in rows) else 1


def _state(account: "Account", *, ask: bool) -> dict[str, Any]:
    import os
    from datetime import UTC, datetime

    from dsn_processor.errors import MailboxError
    from dsn_processor.intake.mailbox.credentials import file_problems
    from dsn_processor.intake.mailbox.oauth import TokenSource

    assert account.oauth2 is not None
    path = account.oauth2.refresh_token_file if account.oauth2.grant == "refresh_token" else None
    problems = list(file_problems(account))
    says = "; ".join(problems)
    if not problems and ask:
        source = TokenSource(account)
        try:
            source.token()
        except MailboxError as error:
            problems.append(says := str(error))
        else:
            says = f"good: gets an access token, for {round(source.seconds_left() / 60)} minutes"
    written = None
    if path and os.path.exists(path):
        written = datetime.fromtimestamp(os.stat(path).st_mtime, UTC).isoformat(timespec="seconds")
    return {
        "account": account.name,
        "grant": account.oauth2.grant,
        "file": path,
        "written": written,
        "says": says or "not asked",
        "ok": not problems,
    }


def _accounts(config: str | None, name: str | None) -> "list[Account]":
    """The account of that name; without one all that log in by OAuth2."""
    from dsn_processor.errors import ConfigurationError, UsageError
    from dsn_processor.settings.load import load

    accounts = load(config).settings.accounts
    if name is None:
        return [account for account in accounts if account.oauth2 is not None]
    found = [account for account in accounts if account.name == name]
    if not found:
        there = ", ".join(account.name for account in accounts) or "none"
        raise UsageError(f"there is no account {name} in the configuration: there are {there}")
    if found[0].oauth2 is None:
        raise ConfigurationError(f"{name} logs in with a password: there is nothing to consent to")
    return found
