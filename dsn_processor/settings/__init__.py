"""What the surroundings say: the sole reader of the environment and of the configuration file.

What every command needs is here, and loads in a blink; load.py reads all that a server needs into model.py's Settings.
"""

import os
from typing import TYPE_CHECKING

from dsn_processor.errors import ConfigurationError
from dsn_processor.facts import Envelope
from dsn_processor.settings.sources import PREFIX, Given, lookup, read_file

if TYPE_CHECKING:
    from dsn_processor.correlate.options import CorrelationOptions
    from dsn_processor.policy.modes import Ruling

DATABASE_VARIABLE = "DSN_PROCESSOR_DB"
DEFAULT_DATABASE = "sqlite:///dsn-processor.db"
RULES_VARIABLE = "DSN_PROCESSOR_RULES"


def database_url(option: str | None = None) -> str:
    """The database to use: the ``--db`` option, else the environment, else the configuration file, else a file in the
    current folder. Raises ConfigurationError.
    """
    given = Given(option, "--db") if option is not None else lookup("database")
    if given is None:
        return DEFAULT_DATABASE
    if "://" not in given.value:
        raise ConfigurationError(
            f"{given.origin} is {given.value!r}, no database URL: write sqlite:///path/to/file.db"
        )
    return str(given.value)


def rules_file(option: str | None = None) -> str | None:
    """The operator's own rules: the ``--rules`` option, else the environment, else the configuration file, else none."""
    if option == "":  # an unset variable of a script, most likely: not to use the rules then would go unseen
        raise ConfigurationError("--rules is empty: name a file, or leave it out")
    if option is not None:
        return option
    given = lookup("rules")
    return given.value or None if given is not None else None


def correlation_options(config: str | None = None) -> "CorrelationOptions | None":
    """How reports are held against what was sent; None where nobody has written anything about it. Only where somebody
    has is the whole configuration read. Raises ConfigurationError.
    """
    if not any(name.startswith(f"{PREFIX}CORRELATION__") for name in os.environ):
        file = read_file(config)
        if file is None or "correlation" not in file.values:
            return None
    from dsn_processor.settings.load import load  # noqa: PLC0415  takes as long to import as to read a hundred mails

    return load(config).settings.correlation


def ruling(config: str | None = None) -> "Ruling":
    """By what addresses are judged. As with correlation, the whole configuration is read only where somebody has written
    something about it. Raises ConfigurationError.
    """
    from dsn_processor.policy.modes import Ruling  # noqa: PLC0415  most commands judge nobody

    file = read_file(config)
    written = {*(file.values if file is not None else ())}
    written.update(
        section.lower()
        for section in ("POLICY", "CORRELATION")
        if any(name.startswith(f"{PREFIX}{section}__") for name in os.environ)
    )
    if not written & {"policy", "correlation"}:
        return Ruling()
    from dsn_processor.settings.load import load  # noqa: PLC0415  as above

    return load(config).settings.ruling


def pipe_envelope() -> Envelope:
    """The envelope that an MTA puts into the environment of a command it pipes a mail to.

    Postfix's local(8) sets SENDER, RECIPIENT and ORIGINAL_RECIPIENT, Exim's pipe transport SENDER and RECIPIENT.
    The original recipient comes first: it still has what an alias took away.
    """
    sender = _variable("SENDER")
    recipients = (_variable("ORIGINAL_RECIPIENT"), _variable("RECIPIENT"))
    return Envelope(
        sender="" if sender is not None and sender.casefold() in _NULL_SENDERS else sender,
        recipients=tuple(dict.fromkeys(recipient for recipient in recipients if recipient)),
    )


# How MTAs write <> there: Exim as nothing, Postfix as the name in its From lines.
_NULL_SENDERS = frozenset({"", "<>", "mailer-daemon"})


def _variable(name: str) -> str | None:
    value = os.environ.get(name)
    return None if value is None else os.fsencode(value).decode("utf-8", "replace").strip()
