"""Where settings are written: a TOML file and the environment. Found and read here, understood in load.py.

Every command asks this module for the database and the rules, so it loads next to nothing; a TOML parser only where there
is a file.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from dsn_processor.errors import ConfigurationError
from dsn_processor.patterns import pattern

CONFIG_VARIABLE = "DSN_PROCESSOR_CONFIG"
PREFIX = "DSN_PROCESSOR__"
#: Names that were there before the others: variable -> key.
SHORT = {"DSN_PROCESSOR_DB": "database", "DSN_PROCESSOR_RULES": "rules"}
#: Where the file is looked for if nobody names one.
PLACES = ("dsn-processor.toml", "/etc/dsn-processor/dsn-processor.toml")
_LONGEST = 100_000  # characters of a value that a variable names the file of


class Given:
    """A value somebody wrote, and where. ``text``: it came as text, whatever its type is to be. ``path`` is the file
    that it was read from, where it has one of its own.

    A plain class, as is File: every command starts with these, and a named tuple takes several times as long to make.
    """

    __slots__ = ("origin", "path", "text", "value")

    def __init__(self, value: Any, origin: str, *, text: bool = False, path: str | None = None) -> None:
        self.value = value
        self.origin = origin
        self.text = text
        self.path = path


class File:
    """A TOML file: its tables, and its text to find lines in."""

    __slots__ = ("path", "text", "values")

    def __init__(self, path: str, values: dict[str, Any], text: str) -> None:
        self.path = path
        self.values = values
        self.text = text

    def origin(self, section: str, key: str, *else_: tuple[str, str]) -> str:
        """``path line N``; the line of what else is named, or none, where that is not plain to see. Of tables of which
        there are many the section tells which, as in ``imap[0]``.
        """
        line = next(filter(None, (_line_of(self.text, *place) for place in ((section, key), *else_))), None)
        return f"{self.path} line {line}" if line else self.path


def read_file(option: str | None = None) -> File | None:
    """The configuration file: the one that ``--config`` or $DSN_PROCESSOR_CONFIG names, else ./dsn-processor.toml, else
    /etc/dsn-processor/dsn-processor.toml; None where there is none, or the variable is empty. Raises ConfigurationError.
    """
    if option == "":
        raise ConfigurationError("--config is empty: name a file, or leave it out")
    named = option if option is not None else os.environ.get(CONFIG_VARIABLE)
    if named is not None:
        return _read(named, "--config" if option is not None else f"${CONFIG_VARIABLE}") if named else None
    for place in PLACES:
        if os.path.lexists(place):
            return _read(place, "")
    return None


def _read(path: str, origin: str) -> File:
    import tomllib  # noqa: PLC0415  few commands meet a file

    named = f"{origin} names {path}, which" if origin else path
    try:
        with open(path, "rb") as file:  # noqa: PTH123  paths may hold bytes that are no text
            text = file.read().decode()
        return File(path, tomllib.loads(text), text)
    except OSError as error:
        raise ConfigurationError(
            f"{named} cannot be read: {error.strerror}; mend that, or set {CONFIG_VARIABLE}= to do without a file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from None


def _line_of(text: str, section: str, key: str) -> int | None:
    """The line that sets ``key``, or begins ``section`` if there is none; None where several, or none, look like it."""
    header = pattern(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?")
    wanted = f"{section}.{key}" if section else key
    counts: dict[str, int] = {}
    here, found = "", []
    for number, line in enumerate(text.splitlines(), 1):
        if table := header.fullmatch(line):
            here = _place(table[2], counts, one_of_many=table[1] == "[[")
            if not key and here == section:
                found.append(number)
        elif key and "=" in line:
            name = line.partition("=")[0].strip()
            if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
                name = name[1:-1]
            if wanted == (f"{here}.{name}" if here else name):
                found.append(number)
    return found[0] if len(found) == 1 else None


def _place(name: str, counts: dict[str, int], *, one_of_many: bool) -> str:
    """What a table of that name is called here: tables of which there are many are counted, as in ``imap[0].oauth2``."""
    first, dot, rest = name.partition(".")
    if one_of_many:
        counts[name] = counts.get(name, -1) + 1
        return f"{name}[{counts[name]}]"
    return f"{first}[{counts[first]}]{dot}{rest}" if first in counts else name


def variable(section: str, key: str) -> str:
    """The variable that sets a key: DSN_PROCESSOR__SMTP__LISTEN."""
    return PREFIX + "__".join(part.upper() for part in (section, key) if part)


def from_environment(
    section: str, key: str, environ: Mapping[str, str] | None = None, *, with_file: bool = True
) -> Given | None:
    """What the environment says of a key; ``..._FILE`` names a file that holds the value, unless ``with_file`` is off.
    Raises ConfigurationError.
    """
    environ = os.environ if environ is None else environ
    name = variable(section, key)
    by_file = f"{name}_FILE" if with_file else ""
    if name in environ and by_file in environ:
        raise ConfigurationError(f"${name} and ${by_file} are both set: leave one out")
    for short, long in SHORT.items():
        if not section and long == key and short in environ:
            return Given(environ[short], f"${short}", text=True)
    if name in environ:
        return Given(environ[name], f"${name}", text=True)
    if by_file in environ:
        return Given(_content(environ[by_file], by_file), f"${by_file}", text=True, path=environ[by_file])
    return None


def names_in(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The variables that set keys: (name, section, key), in lower case; "" is the section of keys that have none."""
    for name in sorted(environ):
        if name.startswith(PREFIX):
            parts = name.removeprefix(PREFIX).lower().split("__")
            yield (name, parts[0], "__".join(parts[1:])) if len(parts) > 1 else (name, "", parts[0])


def _content(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  as above
            text = file.read(_LONGEST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError(f"${name} names {path}, which cannot be read: {why}") from None
    if "\n" in text:
        raise ConfigurationError(
            f"${name} names {path}, which has several lines: it has to hold the value alone. Where a path is wanted, "
            f"write it into ${name.removesuffix('_FILE')}"
        )
    return text


def lookup(key: str) -> Given | None:
    """What environment or file say of a key without section, for commands that need no more."""
    given = from_environment("", key)
    if given is None and (file := read_file()) is not None and key in file.values:
        given = Given(file.values[key], file.origin("", key))
    if given is not None and not isinstance(given.value, str):
        raise ConfigurationError(f"{given.origin}: {key} has to be text in quotes")
    return given
