"""What a walk over files hands out, and the limits it keeps."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dsn_processor.facts import InboundMessage


class Limits(NamedTuple):
    """Bounds on what is read, all in bytes unless named otherwise.

    ``mail``: a longer mail is kept as its head and marked truncated. ``archive``: unpacked size of one archive.
    ``archive_mails``: number of members of one archive. ``ratio``: unpacked size over packed size of an archive, and
    of a member of a zip. ``depth``: folders inside folders.
    """

    mail: int = 100_000_000
    archive: int = 16 * 2**30
    archive_mails: int = 1_000_000
    ratio: int = 100
    depth: int = 64


class Skipped(NamedTuple):
    """Something that was not read, and why. ``failed`` tells trouble (mails may be missing) from what is left alone
    on purpose (a symbolic link, a FIFO, a device inside a folder).
    """

    source: str
    why: str
    failed: bool = True


class PassedOver(NamedTuple):
    """A file in a folder or archive that plainly is no mail: a README, an expectation, an index."""

    source: str


Item = InboundMessage | Skipped | PassedOver


def gathered(
    items: Iterable[Item], mails: int, size: int
) -> Iterator[list[InboundMessage] | Skipped | PassedOver]:
    """The mails in lists of ``mails``, a list ending sooner where they come to ``size`` bytes; what is no mail as it is met."""
    batch: list[InboundMessage] = []
    have = 0
    for item in items:
        if not isinstance(item, InboundMessage):
            yield item
            continue
        batch.append(item)
        have += len(item.raw)
        if len(batch) >= mails or have >= size:
            yield batch
            batch, have = [], 0
    if batch:
        yield batch
