"""Settings as a configuration file would say them."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from dsn_processor.settings.keys import OAUTH, Key, account_keys, keys
from dsn_processor.settings.load import Loaded
from dsn_processor.settings.model import ACCOUNTS
from dsn_processor.units import Unit, show_seconds, show_size

HIDDEN = "***"
DEFAULT = "default"


class Shown(NamedTuple):
    """A setting: what applies, and where that was written. A secret's value is hidden."""

    key: Key
    value: Any
    origin: str


class Group(NamedTuple):
    """Settings below one ``heading``, such as [smtp] or [[imap]]; "" is the first, which has none."""

    heading: str
    settings: tuple[Shown, ...]


def groups_in(loaded: Loaded) -> Iterator[Group]:
    """Every setting, in the order of the documentation: sections, then accounts."""
    settings = loaded.settings
    for section, of_section in groupby(keys().values(), key=lambda key: key.section):
        holder = getattr(settings, section) if section else settings
        yield Group(f"[{section}]" if section else "", _shown(loaded, of_section, holder, section))
    for kind in ACCOUNTS:
        for account in getattr(settings, kind):
            of_account = [key for key in account_keys().values() if key.section == kind]
            yield Group(f"[[{kind}]]", _shown(loaded, of_account, account, f"{kind}.{account.name}"))
            if getattr(account, OAUTH, None) is not None:
                section = f"{kind}.{OAUTH}"
                of_tokens = [key for key in account_keys().values() if key.section == section]
                named = f"{kind}.{account.name}.{OAUTH}"
                yield Group(f"[{section}]", _shown(loaded, of_tokens, account.oauth2, named))


def _shown(loaded: Loaded, wanted: Iterable[Key], holder: Any, section: str) -> tuple[Shown, ...]:
    found = []
    for key in wanted:
        key = key._replace(section=section)
        value = getattr(holder, key.name)
        if key.unit is Unit.SECRET and value:
            value = HIDDEN
        found.append(Shown(key, value, loaded.origins.get(key.path, DEFAULT)))
    return tuple(found)


def toml_value(key: Key, value: Any) -> str:
    """``value`` as TOML, in the unit that is easiest to read."""
    if key.unit is Unit.SIZE:
        return _text(show_size(value))
    if key.unit is Unit.SECONDS:
        return _text(show_seconds(value))
    if key.unit is Unit.MODE:
        return f"0o{value:o}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
