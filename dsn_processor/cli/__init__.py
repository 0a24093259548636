"""Arguments in, exit code out. Each command lives in a module of its own and imports what it needs when it runs."""

import argparse
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from dsn_processor import __version__
from dsn_processor.errors import ConfigurationError, DsnProcessorError, StoreError, UsageError

OK, SOME_FAILED, USAGE, CONFIGURATION, STORE = range(5)
INTERRUPTED = 130  # 128 + SIGINT, as shells count


#: Command -> its module, in the order of --help.
COMMANDS = {
    "serve": "serve",
    "parse": "parse",
    "explain": "explain",
    "replay": "replay",
    "ingest": "ingest",
    "poll": "poll",
    "accounts": "poll",
    "events": "query",
    "show": "query",
    "stats": "query",
    "check": "check",
    "rebuild": "check",
    "suppressions": "suppressions",
    "retries": "retries",
    "webhooks": "webhooks",
    "quarantine": "quarantine",
    "reclassify": "reclassify",
    "token": "token",
    "sends": "sends",
    "rules": "rules",
    "oauth": "oauth",
    "config": "config",
    "doctor": "doctor",
}


class Formatter(argparse.HelpFormatter):
    """As wide as the terminal. Argparse makes one for each option, and would ask shutil, which loads compression."""

    def __init__(self, prog: str) -> None:
        try:
            width = os.get_terminal_size().columns
        except (OSError, ValueError):
            width = 80
        super().__init__(prog, width=width - 2)


class Parser(argparse.ArgumentParser):
    """The parser of a command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Formatter, **options})


class OneLine(Parser):
    """Tells what is wrong in one line: that is what MTAs log."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def build_parser(kind: type[Parser] = Parser, command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; of one alone where it is known which, since each costs its import."""
    parser = kind(
        prog="dsn-processor",
        description="Reads returned mail and says, for every recipient, what failed, why, and how sure that is.",
        epilog="exit codes: 0 all well, 1 some failed, 2 usage, 3 configuration, 4 database",
    )
    parser.add_argument("--version", action="version", version=f"dsn-processor {__version__}")
    commands = parser.add_subparsers(  # prog: argparse would find it out with half of its modules
        prog="dsn-processor", dest="command", required=True, metavar="COMMAND", title="commands"
    )
    if command == "--version":
        wanted = []  # it is told before a command is asked for
    else:
        wanted = [COMMANDS[command]] if command in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    for module in wanted:
        import_module(f"dsn_processor.cli.{module}").add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 all well, 1 some failed, 2 usage, 3 configuration, 4 store."""
    arguments = sys.argv[1:] if argv is None else argv
    command = arguments[0] if arguments else None
    if command == "ingest":
        from dsn_processor.cli.ingest import guarded

        return guarded(lambda: run(build_parser(OneLine, command).parse_args(arguments)))
    if sys.stdout is None:
        return _complain("standard output is closed: send it to /dev/null if nobody wants it", USAGE)
    try:
        return run(build_parser(command=command).parse_args(arguments))
    except UsageError as error:
        return _complain(error, USAGE)
    except ConfigurationError as error:
        return _complain(error, CONFIGURATION)
    except StoreError as error:
        return _complain(error, STORE)
    except DsnProcessorError as error:
        return _complain(error, SOME_FAILED)
    except BrokenPipeError:
        _let_go_of_output()  # the reader (head, less) has seen enough
        return OK
    except OSError as error:
        _let_go_of_output()
        return _complain(error, SOME_FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except Exception:
        import traceback

        traceback.print_exc()
        return _complain("this is a fault of ours: please report it with the lines above", SOME_FAILED)


def _let_go_of_output() -> None:
    """Keep the interpreter from complaining at exit of what could not be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(args: argparse.Namespace) -> int:
    code: int = args.run(args)
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def _complain(error: object, code: int) -> int:
    from dsn_processor.cli.complaints import complain

    complain(error)
    return code
