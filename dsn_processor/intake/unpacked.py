"""The unpacked bytes of a tar or of a gzip, bzip2 or xz file, never more than the limits allow."""

import bz2
import gzip
import lzma
import zlib
from io import BufferedReader

from dsn_processor.intake.files import complaint
from dsn_processor.intake.items import Limits
from dsn_processor.intake.members import ArchiveError

# Unpackers read ahead: the packed size of one member is known to about this many bytes only.
_SLACK = 2**17


class Unpacked:
    """``read`` raises ArchiveError where the packed bytes are damaged, or unpack to more than the limits."""

    def __init__(self, file: BufferedReader, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._inner = _unpacker(file)
        self._total = 0
        self._packed_before = self._unpacked_before = 0

    def begin_member(self) -> None:
        """From here on the ratio is counted anew."""
        self._packed_before, self._unpacked_before = self._file.tell(), self._total

    def read(self, count: int) -> bytes:
        try:
            data = self._inner.read(count)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise ArchiveError(f"is damaged: {error}") from None
        except OSError as error:
            raise ArchiveError(complaint(error) if error.errno else f"is damaged: {error}") from None
        self._total += len(data)
        if self._total > self._limits.archive:
            raise ArchiveError(f"unpacks to more than {self._limits.archive:,} bytes: unpack it yourself")
        packed = self._file.tell() - self._packed_before + _SLACK
        if self._total - self._unpacked_before > self._limits.ratio * packed:
            raise ArchiveError(f"unpacks to more than {self._limits.ratio} times its size: an archive bomb?")
        return data


def _unpacker(file: BufferedReader) -> BufferedReader | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    magic = file.peek(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    return file
