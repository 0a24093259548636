"""Mails out of archives, streamed: nothing is unpacked to disk, nothing is unpacked without bound."""

from collections.abc import Iterator
from io import BufferedReader

from dsn_processor.facts import InboundMessage
from dsn_processor.intake import formats, mbox, tar, zips
from dsn_processor.intake.formats import Format
from dsn_processor.intake.items import Item, Limits, PassedOver, Skipped
from dsn_processor.intake.members import ArchiveError, Member, MemberError, Read, read_up_to
from dsn_processor.intake.unpacked import Unpacked

_MAILDIR_FOLDERS = frozenset({"cur", "new"})


def mails(file: BufferedReader, form: Format, source: str, limits: Limits) -> Iterator[Item]:
    """Every mail of the archive in ``file``, named ``source#n`` with n from 1."""
    archive = _Archive(source, limits)
    try:
        yield from archive.zip(file) if form is Format.ZIP else archive.stream(file, form)
    except ArchiveError as error:
        before = f" (mails read before that: {archive.mails:,})" if archive.mails else ""
        yield Skipped(source, f"{error}{before}")


class _Archive:
    def __init__(self, source: str, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._members = 0
        self.mails = 0

    def zip(self, file: BufferedReader) -> Iterator[Item]:
        for member in zips.members(file, self._limits):
            yield from self._member(member)

    def stream(self, file: BufferedReader, form: Format) -> Iterator[Item]:
        """A tar, packed or not; or an mbox or one mail, packed."""
        unpacked = Unpacked(file, self._limits)
        head = read_up_to(unpacked.read, formats.HEAD)
        read = _with_head(head, unpacked.read)
        name = self._source.rpartition(".")[0]  # x.tar.gz holds x.tar
        if Format.TAR in {form, formats.by_name(name), formats.by_content(head)}:
            for member in tar.members(read):
                yield from self._member(member)
        else:
            yield from self._content(name, read, self._source)

    def _member(self, member: Member) -> Iterator[Item]:
        self._members += 1
        if self._members > self._limits.archive_mails:
            raise ArchiveError(f"holds more than {self._limits.archive_mails:,} files: split it")
        source = f"{self._source}: {member.name}"
        try:
            if member.odd is not None:
                yield Skipped(source, f"is {member.odd}, not read", failed=False)
            else:
                yield from self._content(member.name, member.read, source)
        except MemberError as error:
            yield Skipped(source, str(error))

    def _content(self, path: str, read: Read, source: str) -> Iterator[Item]:
        folder, _, name = path.rpartition("/")
        found = formats.by_name(name)
        if name.startswith("."):  # also ._name, what macOS keeps beside a file
            yield PassedOver(source)
            return
        if found in formats.ARCHIVES:
            yield Skipped(source, "is an archive inside an archive, not entered: unpack the outer one")
            return
        if found is None and folder.rpartition("/")[2] in _MAILDIR_FOLDERS:
            found = Format.MAIL
        if found is None:
            head = read_up_to(read, formats.HEAD)
            found, read = formats.by_content(head), _with_head(head, read)
        if found is Format.MAIL:
            raw = read_up_to(read, self._limits.mail + 1)
            yield self._mail(raw[: self._limits.mail], len(raw) > self._limits.mail)
        elif found is Format.MBOX:
            for raw, cut in mbox.split(read, self._limits.mail):
                yield self._mail(raw, cut)
        else:
            yield PassedOver(source)

    def _mail(self, raw: bytes, cut: bool) -> InboundMessage:
        self.mails += 1
        return InboundMessage(raw=raw, source=f"{self._source}#{self.mails}", truncated=cut)


def _with_head(head: bytes, read: Read) -> Read:
    """Read on from ``head``, bytes that were taken from ``read`` to look at them."""
    left = head

    def read_on(count: int) -> bytes:
        nonlocal left
        if not left:
            return read(count)
        data, left = left[:count], left[count:]
        return data

    return read_on
