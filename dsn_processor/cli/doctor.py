"""Look the machine over: what keeps a server from taking mail, or soon will."""

import argparse
import sys

from dsn_processor.cli.options import add_config_option

_COLORS = {"ok": "32", "warn": "33", "fail": "31"}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "doctor",
        help="check database, disk, versions, clock, ports and permissions",
        description="Looks at all that a server needs, whether it runs or not, and changes nothing. Exits 1 if something "
        "fails. Run it as the user that the server runs as.",
        epilog="example: dsn-processor doctor --config /etc/dsn-processor/dsn-processor.toml",
    )
    add_config_option(command)
    command.add_argument("--db", metavar="URL", help="the database, whatever the configuration says")
    command.add_argument("--json", action="store_true", help="print a JSON line a check")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dsn_processor.cli.checks import FAIL, OK, WARN, examine
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.safe import safe

    counts = {OK: 0, WARN: 0, FAIL: 0}
    out = JsonLines() if args.json else None
    colored = out is None and sys.stdout.isatty()
    for finding in examine(args.config, args.db):
        counts[finding.level] += 1
        if out is not None:
            out.write(finding._asdict())
            continue
        level = f"{finding.level:4}"
        if colored:
            level = f"\x1b[{_COLORS[finding.level]}m{level}\x1b[0m"
        print(f"{level}  {finding.about:9} {safe(finding.found)}")
        if finding.advice:
            print(f"{'':16}-> {safe(finding.advice)}")
    if out is not None:
        out.flush()
    elif counts[FAIL]:
        print(f"\n{counts[FAIL]} to mend" + (f", {counts[WARN]} to look at" if counts[WARN] else ""))
    else:
        print("\nall well" + (f"; {counts[WARN]} to look at" if counts[WARN] else ""))
    return 1 if counts[FAIL] else 0
