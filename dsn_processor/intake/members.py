"""What the archive readers hand over."""

from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[int], bytes]


class ArchiveError(Exception):
    """Nothing more can be read from this archive; the text says why."""


class MemberError(Exception):
    """One member cannot be read; those after it can."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive. ``odd`` says what it is if no regular file. ``read(n)`` gives its next bytes, as many
    as come at once, b"" at the end; it is valid until the next member is asked for.
    """

    name: str
    odd: str | None
    read: Read


def read_up_to(read: Read, count: int) -> bytes:
    """``count`` bytes, or fewer at the end."""
    parts = []
    while count and (data := read(min(count, 2**18))):
        parts.append(data)
        count -= len(data)
    return b"".join(parts)
