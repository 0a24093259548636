"""What can be set, and how a value of it is read."""

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dsn_processor.intake.mailbox.options import OAuthOptions
from dsn_processor.settings.model import ACCOUNTS, Settings
from dsn_processor.settings.sources import Given
from dsn_processor.units import Unit, parse_mode, parse_seconds, parse_size

OAUTH = "oauth2"  #: the table of an account that says how to get tokens
REQUIRED = MISSING  #: the default of a key that has none
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


@cache
def keys() -> dict[tuple[str, str], Key]:
    """All there is to set but accounts, in order."""
    defaults = Settings()
    found: dict[tuple[str, str], Key] = {}
    for section, holder in {"": defaults, **sections(defaults)}.items():
        others = {*sections(holder), *ACCOUNTS}
        found |= _keys_of(section, type(holder), [one for one in fields(holder) if one.name not in others])
    return found


@cache
def account_keys() -> dict[tuple[str, str], Key]:
    """All there is to set of an account or of people, in order. Sections are imap, imap.oauth2, pop3, pop3.oauth2, notify."""
    found: dict[tuple[str, str], Key] = {}
    for section, kind in ACCOUNTS.items():
        found |= _keys_of(section, kind, [one for one in fields(kind) if one.name != OAUTH])
        if any(one.name == OAUTH for one in fields(kind)):
            found |= _keys_of(f"{section}.{OAUTH}", OAuthOptions, fields(OAuthOptions))
    return found


def _keys_of(section: str, kind: type[Any], wanted: Iterable[Field[Any]]) -> dict[tuple[str, str], Key]:
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for one in wanted:
        unit = next((part for part in get_args(hints[one.name])[1:] if isinstance(part, Unit)), None)
        default = one.default if one.default_factory is MISSING else one.default_factory()
        found[section, one.name] = Key(section, one.name, hints[one.name], unit, default)
    return found


def sections(holder: Any) -> dict[str, Any]:
    """The options of each room, by the name of their section."""
    values = {one.name: getattr(holder, one.name) for one in fields(holder)}
    return {name: value for name, value in values.items() if is_dataclass(value)}


def read_value(key: Key, given: Given) -> Any:
    """The value that somebody wrote, as options want it. Raises ValueError, of which pydantic's is one."""
    value = given.value
    if isinstance(value, str) and key.unit in _READ:
        return _READ[key.unit](value)
    adapter = _adapter(key)
    if isinstance(key.default, tuple):
        if given.text:
            if value.lstrip().startswith("["):
                return adapter.validate_json(value, strict=True)
            value = [part.strip() for part in value.split(",") if part.strip()]
        return adapter.validate_python(tuple(value) if isinstance(value, list) else value, strict=True)
    return adapter.validate_strings(value) if given.text else adapter.validate_python(value, strict=True)


@cache
def _adapter(key: Key) -> TypeAdapter[Any]:
    return TypeAdapter(key.type)


def wanted(error: ValidationError) -> str:
    """What is wanted instead, in words of TOML rather than of Python."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return _WORDS.get(first["type"], first["msg"].removeprefix("Input should be "))
