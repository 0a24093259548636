import argparse
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_rules_option, chosen_rules
from dsn_processor.errors import DsnProcessorError, UsageError

if TYPE_CHECKING:
    from dsn_processor.facts import InboundMessage
    from dsn_processor.reading import Rules


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "parse",
        help="print what mails say, as JSON lines",
        description="Prints one JSON object a mail, in the order read; nothing is stored. PATH is an .eml file, a "
        "folder, an mbox, a Maildir, a tar or zip of mails, or - for one mail on standard input.",
        epilog="example: dsn-processor parse bounces/ | jq -r '.recipients[] | [.address, .reason] | @tsv'",
    )
    command.add_argument("paths", nargs="*", metavar="PATH")
    command.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of a line, and do nothing else"
    )
    add_rules_option(command)
    command.add_argument(
        "--mappings",
        action="store_true",
        help="add what SES, Postmark, SparkPost, PowerMTA, KumoMTA and Sisimai call each answer",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.schema:
        return _print_schema()
    if not args.paths:
        raise UsageError("parse what? Name files or folders, or - for one mail on standard input")
    return _parse(args)


def _parse(args: argparse.Namespace) -> int:
    from dsn_processor.cli.complaints import complain
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.intake.items import Skipped, gathered
    from dsn_processor.intake.walk import Walk
    from dsn_processor.reading import TOGETHER, TOGETHER_BYTES, expect_many

    expect_many()
    rules = chosen_rules(args.rules)
    out = JsonLines()
    failed = False
    try:
        for found in gathered(Walk(args.paths), 1 if out.is_watched else TOGETHER, TOGETHER_BYTES):
            if isinstance(found, Skipped):
                failed = failed or found.failed
                complain(f"{found.source} {found.why}")
            if not isinstance(found, list):
                continue
            for line in _lines(found, rules, mappings=args.mappings):
                if isinstance(line, str):
                    failed = True
                    complain(line)
                else:
                    out.write(line)
    finally:
        out.flush()
    return 1 if failed else 0


def _lines(
    messages: "list[InboundMessage]", rules: "Rules | None", *, mappings: bool
) -> list[dict[str, Any] | str]:
    """What each mail says; a complaint where one meets a fault of ours."""
    from dsn_processor.contract import describe_mail
    from dsn_processor.reading import read_all

    try:
        readings = read_all(messages, rules)
        return [
            describe_mail(message, reading, mappings=mappings)
            for message, reading in zip(messages, readings, strict=True)
        ]
    except (DsnProcessorError, OSError):
        raise  # not a mail's fault: the rules cannot be read
    except Exception as error:
        if len(messages) > 1:
            return [line for one in messages for line in _lines([one], rules, mappings=mappings)]
        fault = f"{type(error).__name__}: {error}"
        return [f"{messages[0].source} met a fault of ours, please report it: {fault}"]


def _print_schema() -> int:
    from importlib.resources import files

    print((files("dsn_processor") / "schemas" / "parse.schema.json").read_text(encoding="utf-8"), end="")
    return 0
