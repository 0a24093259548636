"""Check the configuration, show what applies."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsn_processor.cli.options import add_config_option

if TYPE_CHECKING:
    from dsn_processor.settings.load import Loaded
    from dsn_processor.settings.model import Settings

_ORIGIN_COLUMN = 44


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "config",
        help="check the configuration of serve, or show it",
        description="The configuration is a TOML file and variables: docs/configuration.md has every key.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    check = actions.add_parser(
        "check",
        help="say everything that is wrong with it",
        description="Says everything that is wrong with the configuration, the rules file and the certificate it names, "
        "and exits 3; else what would listen where. Run it before `serve` is told to reload.",
        epilog="example: dsn-processor config check --config /etc/dsn-processor/dsn-processor.toml",
    )
    add_config_option(check)
    check.set_defaults(run=run_check)
    show = actions.add_parser(
        "show",
        help="show what applies, and where it was written",
        description="Shows every setting as TOML, and where it was written. Secrets are hidden.",
        epilog="example: dsn-processor config show --json",
    )
    add_config_option(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)


def run_check(args: argparse.Namespace) -> int:
    from dsn_processor.cli.complaints import complain
    from dsn_processor.errors import SettingsError
    from dsn_processor.safe import safe
    from dsn_processor.settings.load import load

    loaded = load(args.config)
    _warn(loaded)
    if problems := list(file_problems(loaded.settings)):
        complain(SettingsError(problems))
        return 3
    print(f"ok: {safe(loaded.file or 'no file; defaults and variables')}")
    for name, said in _summary(loaded.settings):
        print(f"  {name:9} {safe(said)}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.safe import safe
    from dsn_processor.settings.load import load
    from dsn_processor.settings.show import groups_in, toml_value

    loaded = load(args.config)
    if args.json:
        out = JsonLines()
        shown = [one for group in groups_in(loaded) for one in group.settings]
        out.write({one.key.path: {"value": one.value, "origin": one.origin} for one in shown})
        out.flush()
        return 0
    print(f"# {safe(loaded.file or 'no file')}")
    for heading, settings in groups_in(loaded):
        if heading:
            print(f"\n{heading}")
        for key, value, origin in settings:
            print(f"{safe(f'{key.name} = {toml_value(key, value)}'):{_ORIGIN_COLUMN}} # {safe(origin)}")
    _warn(loaded)
    return 0


def file_problems(settings: "Settings") -> Iterator[str]:
    """What is wrong with the database's URL and the files that the configuration names."""
    import ssl

    from dsn_processor.errors import ConfigurationError
    from dsn_processor.record.sqlite import file_of
    from dsn_processor.teach.own import load_rules

    try:
        file_of(settings.database)
    except ConfigurationError as error:
        yield f"database: {error}"
    if settings.rules:
        try:
            load_rules(settings.rules)
        except ConfigurationError as error:
            yield f"rules: {error}"
    certificate, key = settings.smtp.tls_certificate, settings.smtp.tls_key
    if certificate:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key or None)
        except ssl.SSLError as error:
            yield (
                f"smtp.tls_certificate: {certificate} and {key or 'the key in it'} cannot be used together: "
                f"{error.reason or error}; give the chain as PEM, and its key without a passphrase"
            )
        except OSError as error:
            yield f"smtp.tls_certificate, smtp.tls_key: {certificate}, {key or certificate}: {error.strerror}"
    yield from _account_problems(settings)
    yield from _people_problems(settings)


def _account_problems(settings: "Settings") -> Iterator[str]:
    from dsn_processor.intake.mailbox import credentials

    for kind, accounts in (("imap", settings.imap), ("pop3", settings.pop3)):
        for account in accounts:
            for problem in credentials.file_problems(account):
                yield f"{kind}.{account.name}: {problem}"


def _people_problems(settings: "Settings") -> Iterator[str]:
    if settings.notify:
        from dsn_processor.notify.people.sending import problems

        for people in settings.notify:
            yield from problems(people)


def _summary(settings: "Settings") -> Iterator[tuple[str, str]]:
    from dsn_processor.record.sqlite import file_of

    smtp = settings.smtp
    whom = ", ".join(smtp.recipients) if smtp.recipients else "anybody, since only this machine gets there"
    yield "smtp", ", ".join(smtp.listen) or "off"
    yield "lmtp", ", ".join(settings.lmtp.listen) or "off"
    if smtp.listen or settings.lmtp.listen:
        yield "mail for", whom
    for kind, accounts in (("imap", settings.imap), ("pop3", settings.pop3)):
        for account in accounts:
            yield kind, f"{account.name} at {account.host}:{account.port_in_use}, then {account.after}"
    for people in settings.notify:
        digest = "" if people.digest == "none" else f", {people.digest}"
        yield "notify", f"{people.name}: {', '.join(people.on)}{digest}"
    yield "web", str(settings.web.address() or "off")
    yield "database", str(file_of(settings.database).absolute())
    yield "rules", settings.rules or "the package's"


def _warn(loaded: "Loaded") -> None:
    from dsn_processor.cli.complaints import complain

    for warning in loaded.warnings:
        complain(f"warning: {warning}")
