"""Sizes, durations and the like, as people write them into a configuration.

A room marks its options with these types; ``settings`` reads and shows their values accordingly:

    size_limit: Size = 10_000_000     # also "10MB"
    session_timeout: Seconds = 1800.0 # also "30m"
"""

from enum import Enum, auto
from typing import Annotated

from dsn_processor.patterns import pattern


class Unit(Enum):
    """What a number or a text of an option is."""

    SIZE = auto()
    SECONDS = auto()
    MODE = auto()
    SECRET = auto()


Size = Annotated[int, Unit.SIZE]  #: bytes
Seconds = Annotated[float, Unit.SECONDS]
Mode = Annotated[int, Unit.MODE]  #: of a file, as in 0o660
Secret = Annotated[str, Unit.SECRET]  #: never shown, never logged; empty is none
Secrets = Annotated[tuple[str, ...], Unit.SECRET]  #: several of them

_NUMBER = pattern(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)[ _]?([a-zA-Z]*)")
_SIZES: dict[str, int] = {"": 1, "b": 1} | {
    f"{letter}{kind}": base**power
    for power, letter in enumerate("kmgt", 1)
    for kind, base in (("", 1000), ("b", 1000), ("i", 1024), ("ib", 1024))
}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_size(text: str) -> int:
    """``10MB`` (1000s), ``16 MiB`` (1024s) or a number of bytes. Raises ValueError."""
    found = _NUMBER.fullmatch(text.strip())
    if not found or found[2].lower() not in _SIZES:
        raise ValueError(f"{text!r} is no size: write bytes, or 100kB, 10MB, 2GB, 16MiB")
    size: float = float(found[1]) * _SIZES[found[2].lower()]
    return round(size)


def parse_seconds(text: str) -> float:
    """``30s``, ``5m``, ``2h``, ``500ms`` or a number of seconds. Raises ValueError."""
    found = _NUMBER.fullmatch(text.strip())
    if not found or found[2].lower() not in _SECONDS:
        raise ValueError(f"{text!r} is no duration: write seconds, or 500ms, 30s, 5m, 2h, 1d")
    return float(found[1]) * _SECONDS[found[2].lower()]


def parse_mode(text: str) -> int:
    """``0660`` or ``0o660``: octal digits. Raises ValueError."""
    digits = text.strip().lower().removeprefix("0o")
    if not 1 <= len(digits) <= 5 or not set(digits) <= set("01234567"):
        raise ValueError(f"{text!r} is no file mode: write octal digits, as in 0660")
    return int(digits, 8)


def show_size(size: int) -> str:
    """As ``parse_size`` reads it, in the largest unit that is exact: 10MB, 64MiB, 1234B."""
    for letter in ("T", "G", "M", "k"):
        for kind in (f"{letter}B", f"{letter}iB"):
            factor = _SIZES[kind.lower()]
            if size >= factor and size % factor == 0:
                return f"{size // factor}{kind}"
    return f"{size}B"


def show_seconds(seconds: float) -> str:
    """As ``parse_seconds`` reads it: 30s, 5m, 1.5s."""
    for unit in ("d", "h", "m"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:g}s"
