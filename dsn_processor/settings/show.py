"""Settings as a configuration file would say them."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from dsn_processor.settings.keys import Key, keys
from dsn_processor.settings.load import Loaded
from dsn_processor.units import Unit, show_seconds, show_size

HIDDEN = "***"
DEFAULT = "default"


class Shown(NamedTuple):
    """A setting: what applies, and where that was written. A secret's value is hidden."""

    key: Key
    value: Any
    origin: str


def settings_in(loaded: Loaded) -> Iterator[Shown]:
    """Every setting, in the order of the documentation."""
    for key in keys().values():
        holder = getattr(loaded.settings, key.section) if key.section else loaded.settings
        value = getattr(holder, key.name)
        if key.unit is Unit.SECRET and value:
            value = HIDDEN
        yield Shown(key, value, loaded.origins.get(key.path, DEFAULT))


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
