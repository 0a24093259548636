"""Arguments in, exit code out. Each command lives in a module of its own and imports what it needs when it runs."""

import argparse
import os
import sys

from dsn_processor import __version__
from dsn_processor.cli import explain, parse, query, reclassify, replay
from dsn_processor.errors import ConfigurationError, DsnProcessorError, StoreError

OK, SOME_FAILED, USAGE, CONFIGURATION, STORE = range(5)
EX_TEMPFAIL = 75  # sysexits.h: an MTA that pipes mail to us keeps it and tries again


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dsn-processor",
        description="Reads returned mail and says, for every recipient, what failed, why, and how sure that is.",
    )
    parser.add_argument("--version", action="version", version=f"dsn-processor {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for module in (parse, explain, replay, query, reclassify):
        module.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 all well, 1 some failed, 2 usage, 3 configuration, 4 store."""
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except ConfigurationError as error:
        return _complain(error, CONFIGURATION)
    except StoreError as error:
        return _complain(error, STORE)
    except DsnProcessorError as error:
        return _complain(error, SOME_FAILED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _complain(error: Exception, code: int) -> int:
    print(f"dsn-processor: {error}", file=sys.stderr)
    return code
