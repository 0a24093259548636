import argparse
import signal
from collections.abc import Callable
from types import FrameType

from dsn_processor.cli.complaints import complain

# sysexits.h: an MTA that pipes a mail to us keeps it and tries again. Any other code makes it bounce the mail.
EX_TEMPFAIL = 75
#: Seconds to wait for a database that another process holds.
PATIENCE = 30.0


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    from dsn_processor.cli.options import add_rules_option  # here, for ``guarded`` to answer for it, too

    command = commands.add_parser(
        "ingest",
        help="take one mail from an MTA's pipe",
        description="Stores one mail from standard input, with the envelope from $SENDER, $RECIPIENT and "
        "$ORIGINAL_RECIPIENT. Whatever fails exits 75, so that the MTA keeps the mail and tries again.",
        epilog='example, in /etc/aliases: bounces: "|/path/to/dsn-processor ingest - --db sqlite:////var/lib/dsn/dsn.db"',
    )
    command.add_argument("source", choices=["-"], metavar="-", help="read standard input")
    command.add_argument("--db", metavar="URL", help="the database; name its file by an absolute path")
    add_rules_option(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dsn_processor import app
    from dsn_processor.cli.options import chosen_rules

    app.ingest(args.db, lambda: chosen_rules(args.rules), wait=PATIENCE)
    return 0


def guarded(command: Callable[[], int]) -> int:
    """Run ``command``; every way to fail, a signal included, becomes 75 and one line on standard error."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        return EX_TEMPFAIL if command() else 0
    except SystemExit as leaving:  # the help that was asked for
        return EX_TEMPFAIL if leaving.code else 0
    except BaseException as error:
        complain(" ".join(str(error).split()) or type(error).__name__)
        return EX_TEMPFAIL


class StoppedError(BaseException):
    """A signal told us to stop before the mail was ours."""


def _stop(number: int, _: FrameType | None) -> None:
    raise StoppedError(f"stopped by {signal.Signals(number).name}; the mail stays with the MTA")
