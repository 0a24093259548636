"""From what is written to Settings: every value checked, every mistake told at once, with where it stands."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dsn_processor.errors import ConfigurationError, SettingsError
from dsn_processor.settings import sources
from dsn_processor.settings.model import Settings
from dsn_processor.settings.sources import File, Given
from dsn_processor.units import Unit, parse_mode, parse_seconds, parse_size

_T = TypeVar("_T")
#: What pydantic calls a mistake -> what is wanted.
_WORDS = {
    "int_type": "a whole number, without quotes",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number, without quotes",
    "float_parsing": "a number",
    "bool_type": "true or false, without quotes",
    "bool_parsing": "true or false",
    "string_type": "text in quotes",
    "tuple_type": 'a list, as in ["..."]',
    "json_invalid": 'a list, as in ["..."], or words with commas between',
}
_READ = {Unit.SIZE: parse_size, Unit.SECONDS: parse_seconds, Unit.MODE: parse_mode}


class Key(NamedTuple):
    """One thing that can be set. ``section`` is "" for those that stand before all sections."""

    section: str
    name: str
    type: Any
    unit: Unit | None
    default: Any

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}" if self.section else self.name


class Loaded(NamedTuple):
    """Settings; where each value that is no default was written; the file; what is not wrong but unwise."""

    settings: Settings
    origins: dict[str, str]
    file: str | None
    warnings: tuple[str, ...]


@cache
def keys() -> dict[tuple[str, str], Key]:
    """All there is to set, in order."""
    defaults = Settings()
    found = {}
    for section, holder in {"": defaults, **sections(defaults)}.items():
        hints = get_type_hints(type(holder), include_extras=True)
        for one in _plain(holder):
            unit = next((part for part in get_args(hints[one.name])[1:] if isinstance(part, Unit)), None)
            key = Key(section, one.name, hints[one.name], unit, getattr(holder, one.name))
            found[section, one.name] = key
    return found


def sections(settings: Settings) -> dict[str, Any]:
    """The options of each room, by the name of their section."""
    values = {one.name: getattr(settings, one.name) for one in fields(settings)}
    return {name: value for name, value in values.items() if is_dataclass(value)}


def _plain(holder: Any) -> Iterator[Field[Any]]:
    return (one for one in fields(holder) if not is_dataclass(getattr(holder, one.name)))


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
    settings = _build(values, given, problems)
    if problems:
        raise SettingsError(sorted(problems, key=_line))
    origins = {keys()[key].path: one.origin for key, one in given.items()}
    return Loaded(settings, origins, file.path if file else None, tuple(_unwise(settings, given, file, environ)))


def _line(problem: str) -> int:
    """What a person mends from top to bottom is told from top to bottom; what has no line comes first."""
    found = re.search(r" line (\d+):", problem)
    return int(found[1]) if found else 0


def _from_file(file: File, problems: list[str]) -> Iterator[tuple[tuple[str, str], Given]]:
    tables = {section for section, _ in keys() if section}
    for name, value in file.values.items():
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
        near = get_close_matches(section, tables, n=1)
        return f"there is no section {section}: " + (
            f"did you mean [{near[0]}]?" if near else f"there are {', '.join(tables)}"
        )
    wanted = f"{section}.{name}" if section else name
    paths = {key.path: where for where, key in keys().items()}
    near = [path for path in paths if path.rpartition(".")[2] == name] or get_close_matches(
        wanted, paths, n=1
    )
    if near:
        meant = f"${sources.variable(*paths[near[0]])}" if as_variable else near[0]
        return f"there is no key {wanted}: did you mean {meant}?"
    mates = [key for owner, key in keys() if owner == section] or tables
    return f"there is no key {wanted}: there are {', '.join(mates)}"


def _converted(
    given: Mapping[tuple[str, str], Given], problems: list[str]
) -> Iterator[tuple[tuple[str, str], Any]]:
    for path, one in given.items():
        key = keys()[path]
        try:
            yield path, _value(key, one)
        except ValidationError as error:
            problems.append(f"{one.origin}: {key.path} has to be {_wanted(error)}")
        except ValueError as error:
            problems.append(f"{one.origin}: {key.path}: {error}")


def _value(key: Key, given: Given) -> Any:
    value = given.value
    if isinstance(value, str) and key.unit in _READ:
        return _READ[key.unit](value)
    adapter = _adapter(key)
    if get_origin(key.type) is tuple:
        if given.text:
            if value.lstrip().startswith("["):
                return adapter.validate_json(value, strict=True)
            value = [part.strip() for part in value.split(",") if part.strip()]
        return adapter.validate_python(tuple(value) if isinstance(value, list) else value, strict=True)
    return adapter.validate_strings(value) if given.text else adapter.validate_python(value, strict=True)


@cache
def _adapter(key: Key) -> TypeAdapter[Any]:
    return TypeAdapter(key.type)


def _wanted(error: ValidationError) -> str:
    """What is wanted instead, in words of TOML rather than of Python."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return _WORDS.get(first["type"], first["msg"].removeprefix("Input should be "))


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


def _unwise(
    settings: Settings, given: Mapping[tuple[str, str], Given], file: File | None, environ: Mapping[str, str]
) -> Iterator[str]:
    if not settings.smtp.listen and not settings.lmtp.listen:
        yield "neither [smtp] nor [lmtp] listens: no mail comes in but by `ingest` and `replay`"
    for path, one in given.items():
        key = keys()[path]
        if key.unit is Unit.SECRET and one.value:
            holder = one.path or (file.path if file and one.origin.startswith(file.path) else None)
            if holder and _readable_by_all(holder):
                yield f"{holder} holds the secret {key.path} and can be read by everybody: chmod o-r {holder}"
    known = {sources.variable(*path).replace("__", "_"): sources.variable(*path) for path in keys()}
    for name in environ:
        if name in known and name not in sources.SHORT:
            yield f"${name} means nothing: did you mean ${known[name]}?"


def _readable_by_all(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)  # noqa: PTH116  paths may hold bytes that are no text
    except OSError:
        return False
