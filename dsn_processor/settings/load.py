"""From what is written to Settings: every value checked, every mistake told at once, with where it stands."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from dsn_processor.errors import ConfigurationError, SettingsError
from dsn_processor.settings import sources
from dsn_processor.settings.accounts import Written, in_variables, read_accounts
from dsn_processor.settings.keys import account_keys, keys, read_value, sections, wanted
from dsn_processor.settings.model import ACCOUNTS, Settings
from dsn_processor.settings.sources import File, Given
from dsn_processor.units import Unit

_T = TypeVar("_T")


class Loaded(NamedTuple):
    """Settings; where each value that is no default was written; the file; what is not wrong but unwise."""

    settings: Settings
    origins: dict[str, str]
    file: str | None
    warnings: tuple[str, ...]


def load(
    config: str | None = None,
    *,
    options: Mapping[str, Given] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Read the configuration: option before variable before file before default. ``options`` are those of the command
    line by key, as in ``{"database": Given(url, "--db")}``. Raises SettingsError, which holds every mistake found.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    try:
        file = sources.read_file(config)
    except ConfigurationError as error:
        file = None
        problems.append(str(error))
    given = dict(_from_file(file, problems)) if file else {}
    given.update(_from_environment(environ, problems))
    given.update({("", name): one for name, one in (options or {}).items()})
    values = dict(_converted(given, problems))
    accounts, of_accounts = read_accounts(file, environ, problems)
    built = _build(values, given, problems)
    settings = replace(built, imap=accounts["imap"], pop3=accounts["pop3"], notify=accounts["notify"])
    if problems:
        raise SettingsError(sorted(problems, key=_line))
    written = [*(Written(keys()[path], one) for path, one in given.items()), *of_accounts]
    origins = {key.path: one.origin for key, one in written}
    warnings = (*_unwise(settings, written, file), *_misspelt(settings, environ))
    return Loaded(settings, origins, file.path if file else None, warnings)


def _line(problem: str) -> int:
    """What a person mends from top to bottom is told from top to bottom; what has no line comes first."""
    found = re.search(r" line (\d+):", problem)
    return int(found[1]) if found else 0


def _from_file(file: File, problems: list[str]) -> Iterator[tuple[tuple[str, str], Given]]:
    tables = {section for section, _ in keys() if section}
    for name, value in file.values.items():
        if name in ACCOUNTS:
            continue
        if name in tables and not isinstance(value, dict):
            problems.append(
                f"{file.origin('', name)}: {name} is a section: write [{name}] on a line of its own"
            )
        elif name in tables:
            for key, inner in value.items():
                if (name, key) in keys():
                    yield (name, key), Given(inner, file.origin(name, key))
                else:
                    problems.append(f"{file.origin(name, key)}: {_unknown(name, key)}")
        elif ("", name) in keys():
            yield ("", name), Given(value, file.origin("", name))
        elif isinstance(value, dict):
            problems.append(f"{file.origin(name, '')}: {_unknown(name, '')}")
        else:
            problems.append(f"{file.origin('', name)}: {_unknown('', name)}")


def _from_environment(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[tuple[str, str], Given]]:
    for name, section, key in sources.names_in(environ):
        if section in ACCOUNTS:
            continue
        if (section, key) not in keys() and (section, key.removesuffix("_file")) not in keys():
            problems.append(f"${name} sets nothing: {_unknown(section, key, as_variable=True)}")
    for section, key in keys():
        try:
            given = sources.from_environment(section, key, environ)
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        if given is not None:
            yield (section, key), given


def _unknown(section: str, name: str, *, as_variable: bool = False) -> str:
    """What is unknown, and what was meant."""
    tables = sorted({owner for owner, _ in keys() if owner})
    if not name:
        near = get_close_matches(section, [*tables, *ACCOUNTS], n=1)
        header = next((f"[[{one}]]" if one in ACCOUNTS else f"[{one}]" for one in near), "")
        return f"there is no section {section}: " + (
            f"did you mean {header}?" if header else f"there are {', '.join([*tables, *ACCOUNTS])}"
        )
    path = f"{section}.{name}" if section else name
    paths = {key.path: where for where, key in keys().items()}
    near = [one for one in paths if one.rpartition(".")[2] == name] or get_close_matches(path, paths, n=1)
    if near:
        meant = f"${sources.variable(*paths[near[0]])}" if as_variable else near[0]
        return f"there is no key {path}: did you mean {meant}?"
    mates = [key for owner, key in keys() if owner == section] or tables
    return f"there is no key {path}: there are {', '.join(mates)}"


def _converted(
    given: Mapping[tuple[str, str], Given], problems: list[str]
) -> Iterator[tuple[tuple[str, str], Any]]:
    for path, one in given.items():
        key = keys()[path]
        try:
            yield path, read_value(key, one)
        except ValidationError as error:
            problems.append(f"{one.origin}: {key.path} has to be {wanted(error)}")
        except ValueError as error:
            problems.append(f"{one.origin}: {key.path}: {error}")


def _build(
    values: Mapping[tuple[str, str], Any], given: Mapping[tuple[str, str], Given], problems: list[str]
) -> Settings:
    """Each room checks its own values; what it says is told with the place of the value that it is about."""
    made: dict[str, Any] = {}
    places: dict[str, str] = {}
    for section, holder in sections(Settings()).items():
        mine = {name: value for (owner, name), value in values.items() if owner == section}
        origins = {name: given[section, name].origin for name in mine}
        made[section], wrong = _make(type(holder), mine, origins, f"{section}.")
        problems += wrong
        places[section] = ", ".join(dict.fromkeys(origins.values()))
    top = {name: value for (owner, name), value in values.items() if not owner}
    places |= {name: given["", name].origin for name in top}
    settings, wrong = _make(Settings, {**made, **top}, places, "")
    problems += wrong
    return settings


def _make(
    kind: type[_T], values: dict[str, Any], places: Mapping[str, str], prefix: str
) -> tuple[_T, list[str]]:
    """``kind`` of those values that are right, and what is wrong with the others. A mistake is that value's without
    which it is gone; the next shows when that value is left out.
    """
    problems: list[str] = []
    values = dict(values)
    while True:
        try:
            return kind(**values), problems
        except ValueError as error:
            without = {name: {key: values[key] for key in values if key != name} for name in values}
            guilty = [name for name in values if _mistake(kind, without[name]) != str(error)]
            if not guilty:
                raise
            name = next((one for one in guilty if one in str(error)), guilty[0])
            what = str(error).removeprefix(name)
            named = f"{prefix}{name}" + (what if what != str(error) else f": {what}")
            problems.append(f"{places[name]}: {named}")
            values = without[name]


def _mistake(kind: type[Any], values: Mapping[str, Any]) -> str:
    try:
        kind(**values)
    except ValueError as error:
        return str(error)
    return ""


def _unwise(settings: Settings, written: Iterable[Written], file: File | None) -> Iterator[str]:
    if not (settings.smtp.listen or settings.lmtp.listen or settings.accounts):
        yield "neither [smtp] nor [lmtp] listens, and there is no account: no mail comes in but by `ingest` and `replay`"
    for account in settings.accounts:
        if account.tls == "none" and not account.local:
            yield f'{account.name} shows its mails and its password to the network: set tls = "implicit" or "starttls"'
    for key, one in written:
        holder: str | None = None
        if key.unit is Unit.SECRET and one.value:
            holder = one.path or (file.path if file and one.origin.startswith(file.path) else None)
        elif key.name in _SECRET_FILES:
            holder = one.value
        if holder and _readable_by_all(holder):
            yield f"{holder} holds the secret {key.path} and can be read by everybody: chmod o-r {holder}"


_SECRET_FILES = {name for _, name in account_keys() if name.endswith("_file") and name != "ca_file"}


def _misspelt(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    right = [sources.variable(*path) for path in keys()]
    for kind in ACCOUNTS:
        for account in getattr(settings, kind):
            for section, name in account_keys():
                owner, _, table = section.partition(".")
                if owner == kind:
                    parts = (kind, in_variables(account.name), *filter(None, [table]))
                    right.append(sources.variable("__".join(parts), name))
    known = {name.replace("__", "_"): name for name in right}
    for name in environ:
        if name in known and name not in sources.SHORT:
            yield f"${name} means nothing: did you mean ${known[name]}?"


def _readable_by_all(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)  # noqa: PTH116  paths may hold bytes that are no text
    except OSError:
        return False
