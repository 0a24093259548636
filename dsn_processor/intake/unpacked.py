"""The unpacked bytes of a tar or of a gzip, bzip2 or xz file, never more than the limits allow."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from io import BufferedReader

from dsn_processor.intake.files import complaint
from dsn_processor.intake.items import Limits
from dsn_processor.intake.members import ArchiveError

# Unpackers read ahead, and a small file may well be all repetition: so much packed size is granted.
_SLACK = 2**17
_PIECE = 2**16
_XZ_MEMORY = 2**27  # xz -9 needs half of it; a header may ask for 4 GiB


class Unpacked:
    """``read`` raises ArchiveError where the packed bytes are damaged, or unpack to more than the limits."""

    def __init__(self, file: BufferedReader, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._unpack = _unpacker(file)
        self._total = 0

    def read(self, count: int) -> bytes:
        try:
            data = self._unpack(count)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise ArchiveError(f"is damaged: {error}") from None
        except OSError as error:
            raise ArchiveError(complaint(error) if error.errno else f"is damaged: {error}") from None
        self._total += len(data)
        if self._total > self._limits.archive:
            raise ArchiveError(f"unpacks to more than {self._limits.archive:,} bytes: unpack it yourself")
        if self._total > self._limits.ratio * (self._file.tell() + _SLACK):
            raise ArchiveError(
                f"unpacks to more than {self._limits.ratio} times its size: an archive bomb? If not, unpack it yourself"
            )
        return data


def _unpacker(file: BufferedReader) -> Callable[[int], bytes]:
    magic = file.peek(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb").read
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file).read
    if magic.startswith(b"\xfd7zXZ\0"):
        return _Xz(file).read
    return file.read


class _Xz:
    """LZMAFile with a bound on memory."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._stream: lzma.LZMADecompressor | None = None

    def read(self, count: int) -> bytes:
        while count:
            packed = b""
            if self._stream is None or self._stream.eof:  # a file may hold several streams, padded with zeros
                packed = (self._stream.unused_data if self._stream else b"").lstrip(b"\0")
                packed = packed or self._file.read(_PIECE).lstrip(b"\0")
                if not packed:
                    if self._file.peek(1):
                        continue
                    return b""
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            elif self._stream.needs_input and not (packed := self._file.read(_PIECE)):
                raise EOFError("it ends in the middle of a stream")
            if data := self._stream.decompress(packed, count):
                return data
        return b""
