"""Walk over what the user named, and hand out every mail in it, in a fixed order: names sorted, folders in place."""

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence

from dsn_processor.errors import UsageError
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.intake import formats, mbox
from dsn_processor.intake.files import (
    NotRegularError,
    complaint,
    describe,
    open_file,
    printable_path,
    read_head,
)
from dsn_processor.intake.folders import Folder
from dsn_processor.intake.formats import Format
from dsn_processor.intake.items import Item, Limits, PassedOver, Skipped

STDIN = "-"
_BUFFER = 2**17
_NO_ENVELOPE = Envelope()


class Walk:
    """Every mail under ``paths``, in order, and everything that was not read: see ``Item``.

    Raises UsageError at once where a path does not exist. Whatever goes wrong later is an item of its own.
    """

    def __init__(self, paths: Sequence[str], limits: Limits | None = None) -> None:
        self._paths = paths
        self._limits = limits or Limits()
        self._done = 0
        self._open: io.BufferedReader | None = None
        for path in paths:
            if path != STDIN and not os.path.lexists(path):
                raise UsageError(f"{printable_path(path)}: no such file or folder")
        if list(paths).count(STDIN) > 1:
            raise UsageError("standard input (-) can be read once only")

    @property
    def position(self) -> int:
        """Bytes of files read so far, as they lie on the disk: what a progress bar counts."""
        return self._done + (0 if self._open is None else self._open.tell())

    def __iter__(self) -> Iterator[Item]:
        for path in self._paths:
            if path == STDIN:
                yield _stdin(self._limits.mail)
            else:
                yield from self._named(path)

    def _named(self, path: str) -> Iterator[Item]:
        """What the user named is meant: a link or a FIFO is trouble here."""
        source = printable_path(path)
        try:
            mode = os.lstat(path).st_mode
        except OSError as error:
            yield Skipped(source, complaint(error))
            return
        if stat.S_ISDIR(mode):
            yield from self._folder(path, source)
        elif stat.S_ISREG(mode):
            yield from self._file(path, None, source)
        elif stat.S_ISLNK(mode):
            yield Skipped(
                source, f"is a symbolic link, not followed: name {printable_path(os.path.realpath(path))}"
            )
        else:
            yield Skipped(source, f"is {describe(mode)}, not read: use - to read standard input")

    def _folder(self, path: str, source: str) -> Iterator[Item]:
        """Depth first over a stack of open folders. A name is looked up in the folder that was listed, so that none
        can be swapped for a link to elsewhere.
        """
        stack: list[Folder] = []
        try:
            yield from _enter(stack, path, source.rstrip("/"))
            while stack:
                folder = stack[-1]
                if (name := folder.next()) is None:
                    stack.pop().close()
                    continue
                if folder.is_plain and name[-4:] == ".eml" and name[0] != ".":
                    # As nearly all: nothing else is to be asked.
                    yield self._mail(name, folder, f"{folder.source}/{printable_path(name)}")
                    continue
                source = f"{folder.source}/{printable_path(name.removesuffix('/'))}"
                if name[-1] != "/":
                    yield from self._entry(name, folder, source)
                elif len(stack) > self._limits.depth:
                    yield Skipped(
                        source, f"is more than {self._limits.depth} folders deep: name it to have it read"
                    )
                else:
                    yield from _enter(stack, name[:-1], source)
        finally:
            for folder in stack:
                folder.close()

    def _entry(self, name: str, folder: Folder, source: str) -> Iterator[Item]:
        if (odd := folder.odd.get(name)) is not None:
            yield Skipped(source, f"is {odd}, not read", failed=False)
        elif name.startswith(".") or folder.is_maildir:
            yield PassedOver(source)  # a Maildir's mails lie in cur and new; beside them are its indexes
        else:
            yield from self._file(name, folder, source)

    def _file(self, name: str, folder: Folder | None, source: str) -> Iterator[Item]:
        """``folder`` is None for a file that the user named: it is taken as mail unless we know it for more."""
        known = Format.MAIL if folder is not None and folder.holds_mail else formats.by_name(name)
        if known is Format.MAIL:
            yield self._mail(name, folder, source)
            return
        try:
            descriptor, size = open_file(name, None if folder is None else folder.descriptor)
        except (NotRegularError, OSError) as error:
            yield _left_out(source, error, folder)
            return
        try:
            yield from self._look(descriptor, known, source, named=folder is None)
        except OSError as error:
            yield Skipped(source, complaint(error))
        finally:
            os.close(descriptor)
            self._done += size

    def _mail(self, name: str, folder: Folder | None, source: str) -> InboundMessage | Skipped:
        """A file that is one mail."""
        try:
            descriptor, size = open_file(name, None if folder is None else folder.descriptor)
        except (NotRegularError, OSError) as error:
            return _left_out(source, error, folder)
        try:
            raw, cut = read_head(descriptor, size, self._limits.mail)
        except OSError as error:
            return Skipped(source, complaint(error))
        finally:
            os.close(descriptor)
            self._done += size
        return tuple.__new__(InboundMessage, (raw, source, _NO_ENVELOPE, cut))  # quicker than its constructor

    def _look(self, descriptor: int, known: Format | None, source: str, *, named: bool) -> Iterator[Item]:
        file: io.BufferedReader = io.BufferedReader(io.FileIO(descriptor, closefd=False), _BUFFER)
        with file:
            head = file.peek(formats.HEAD)[: formats.HEAD]
            found = known or formats.by_content(head)
            if found is Format.OTHER and named:
                found = Format.MAIL
            self._open = file
            try:
                if found is Format.MAIL:
                    raw = file.read(self._limits.mail + 1)
                    cut = len(raw) > self._limits.mail
                    yield InboundMessage(raw=raw[: self._limits.mail], source=source, truncated=cut)
                elif found is Format.MBOX:
                    for number, (raw, cut) in enumerate(mbox.split(file.read, self._limits.mail), 1):
                        yield InboundMessage(raw=raw, source=f"{source}#{number}", truncated=cut)
                elif found in formats.ARCHIVES and (known or named):
                    # Brings zipfile, lzma and more: half the time that parse of one mail takes to start.
                    from dsn_processor.intake import archives  # noqa: PLC0415

                    yield from archives.mails(file, found, source, self._limits)
                else:
                    yield PassedOver(source)
            finally:
                self._open = None


def _left_out(source: str, error: NotRegularError | OSError, folder: Folder | None) -> Skipped:
    """Why a file, which the user named where ``folder`` is None, was not opened."""
    if isinstance(error, NotRegularError):
        return Skipped(source, str(error), failed=folder is None)
    return Skipped(source, complaint(error))


def read_stdin(limit: int) -> InboundMessage:
    """One mail from standard input. Raises OSError."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    raw, cut = read_head(sys.stdin.fileno(), 2**16, limit)
    return InboundMessage(raw=raw, source=STDIN, truncated=cut)


def _stdin(limit: int) -> InboundMessage | Skipped:
    try:
        return read_stdin(limit)
    except OSError as error:
        return Skipped("standard input", complaint(error))


def _enter(stack: list[Folder], name: str, source: str) -> Iterator[Item]:
    """Push the folder onto the stack, or say why not."""
    parent = stack[-1] if stack else None
    try:
        folder = Folder.open(name, source, parent)
    except NotRegularError as error:
        yield Skipped(source, str(error), failed=parent is None)
    except OSError as error:
        yield Skipped(source, complaint(error))
    else:
        if parent is not None and name.startswith(".") and not folder.is_maildir:
            folder.close()  # .git and the like; a Maildir++ folder is named so, too
            yield PassedOver(source)
        else:
            stack.append(folder)
