import argparse
import sys


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "parse",
        help="print what mails say, as JSON lines",
        description="Prints one JSON object a mail, in the order read. Nothing is stored.",
        epilog="example: dsn-processor parse bounces/ | jq -r '.recipients[] | [.address, .reason] | @tsv'",
    )
    command.add_argument("paths", nargs="+", metavar="PATH")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import gc

    from dsn_processor.cli.output import JsonLines
    from dsn_processor.contract import describe_mail
    from dsn_processor.facts import InboundMessage
    from dsn_processor.intake.items import Skipped
    from dsn_processor.intake.walk import Walk
    from dsn_processor.pipeline import read

    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # facts hold no cycles; the default looks for some every 700 objects
    out = JsonLines()
    failed = False
    try:
        for item in Walk(args.paths):
            if isinstance(item, InboundMessage):
                out.write(describe_mail(item, read(item.raw, item.envelope)))
            elif isinstance(item, Skipped):
                failed = failed or item.failed
                out.flush()
                print(f"dsn-processor: {item.source} {item.why}", file=sys.stderr)
    finally:
        out.flush()
    return 1 if failed else 0
