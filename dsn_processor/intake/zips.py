"""The members of a zip, in the order of its directory."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from typing import IO, cast

from dsn_processor.intake.files import complaint
from dsn_processor.intake.items import Limits
from dsn_processor.intake.members import ArchiveError, Member, MemberError, Read

# zipfile reads the whole directory at once: about 50 bytes there become 500 in memory.
_LARGEST_DIRECTORY = 2**25
_SLACK = 2**13
# zipfile unpacks what bzip2 and LZMA members hold without bound, whatever size their headers tell.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1

_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    zlib.error,
    struct.error,
    ValueError,  # an offset before the file begins
    OverflowError,
)


def members(file: BufferedReader, limits: Limits) -> Iterator[Member]:
    """Every member but folders. Raises ArchiveError; a member's ``read`` raises MemberError."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _Guarded(file)))
    except _DAMAGE as error:
        raise ArchiveError(f"is damaged or no zip: {error}") from None
    packed = file.seek(0, 2)
    unpacked = 0
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            unpacked += 0 if _is_bomb(info, limits) else info.file_size
            # Members may share their packed bytes, so their sum is held against the whole file.
            if unpacked > min(limits.archive, limits.ratio * (packed + _SLACK)):
                raise ArchiveError(f"unpacks to {unpacked:,} bytes or more: an archive bomb?")
            yield Member(info.filename, _odd(info), _reader(archive, info, limits))


def _odd(info: zipfile.ZipInfo) -> str | None:
    mode = info.external_attr >> 16
    return "a link" if stat.S_ISLNK(mode) else None


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Read:
    """Opens the member at the first read: one that is passed over by its name is never looked at."""
    opened: list[zipfile.ZipExtFile] = []

    def read(count: int) -> bytes:
        try:
            if not opened:
                _check(info, limits)
                opened.append(archive.open(info))  # type: ignore[arg-type]
            return opened[0].read(count)
        except _DAMAGE as error:
            raise MemberError(f"is damaged: {error}") from None
        except OSError as error:
            raise MemberError(complaint(error)) from None

    return read


def _check(info: zipfile.ZipInfo, limits: Limits) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise MemberError("is encrypted")
    if info.compress_type not in _METHODS:
        raise MemberError(f"is packed by a method not read here ({info.compress_type}): pack it anew")
    if _is_bomb(info, limits):
        raise MemberError(f"unpacks to more than {limits.ratio} times its size: an archive bomb?")


def _is_bomb(info: zipfile.ZipInfo, limits: Limits) -> bool:
    return info.file_size > limits.ratio * (info.compress_size + _SLACK)


class _Guarded:
    """A file that refuses to be read in one huge piece."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes: split it into smaller archives")
        return self._file.read(size)
