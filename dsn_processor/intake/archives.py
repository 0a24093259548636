"""Mails out of archives, streamed: nothing is unpacked to disk, nothing is unpacked without bound."""

from collections.abc import Iterator
from io import BufferedReader

from dsn_processor.intake.formats import Format
from dsn_processor.intake.items import Item, Limits


def mails(file: BufferedReader, form: Format, source: str, limits: Limits) -> Iterator[Item]:
    """Every mail of the archive in ``file``, named ``source#n`` with n from 1."""
    raise NotImplementedError
    yield
