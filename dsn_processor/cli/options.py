"""Options that several commands have."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsn_processor.reading import Rules


def add_config_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $DSN_PROCESSOR_CONFIG, ./dsn-processor.toml, /etc/dsn-processor/dsn-processor.toml)",
    )


def add_db_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--db",
        metavar="URL",
        help="the database (default: $DSN_PROCESSOR_DB, else the configuration's, else sqlite:///dsn-processor.db)",
    )


def add_rules_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--rules",
        metavar="FILE",
        help="your own rules, which come before all others (default: $DSN_PROCESSOR_RULES, else the configuration's, else none)",
    )


def chosen_rules(option: str | None) -> "Rules | None":
    """The rules that ``--rules`` or the environment names; None for the package's alone. Raises ConfigurationError."""
    from dsn_processor.settings import rules_file

    path = rules_file(option)
    if path is None:
        return None
    from dsn_processor.teach.own import load_rules

    return load_rules(path)


def followed_rules(option: str | None, say: Callable[[str], None]) -> "Callable[[], Rules | None]":
    """As ``chosen_rules``, for a long run: what is given asks whether the file changed each time it is called."""
    from dsn_processor.settings import rules_file

    path = rules_file(option)
    if path is None:
        return lambda: None
    from dsn_processor.teach.own import RulesFile

    return RulesFile(path, say).current
