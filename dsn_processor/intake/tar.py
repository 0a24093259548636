"""Read a tar (POSIX.1-2017 pax and ustar, GNU long names) member by member from a stream that cannot seek.

Not tarfile: that one reads headers of any declared size into memory and keeps every member it has seen.
"""

from collections.abc import Iterator

from dsn_processor.intake.members import ArchiveError, Member, Read

_BLOCK = 512
_PIECE = 2**18
_LONGEST_HEADER = 2**16  # of a pax header or a GNU long name: a path of 4,096 bytes and some times, usually

_LINK = "a link"
_DEVICE = "a device"
_ODD = {
    b"1": _LINK,
    b"2": _LINK,
    b"3": _DEVICE,
    b"4": _DEVICE,
    b"6": "a FIFO",
    b"S": "a sparse file",
    b"M": "the rest of another volume",
}
_REGULAR = frozenset({b"0", b"\0", b"7"})
_FOLDER = b"5"
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"


def members(read: Read) -> Iterator[Member]:
    """Every member but folders, in order. Raises ArchiveError."""
    name: str | None = None
    size: int | None = None
    sparse = False
    while (header := _block(read)) is not None:
        flag = header[156:157]
        declared = _number(header[124:136])
        if flag in {_PAX, _LONG_NAME}:
            body = _Body(read, declared).whole(_LONGEST_HEADER)
            if flag == _LONG_NAME:
                name = _text(body)
                continue
            records = _pax_records(body)
            name = _text(records[b"path"]) if b"path" in records else name
            size = _decimal(records[b"size"]) if b"size" in records else size
            sparse = any(key.startswith(b"GNU.sparse.") for key in records)
            continue
        body_of_member = _Body(read, declared if size is None else size)
        if flag not in {_PAX_GLOBAL, _LONG_LINK, _FOLDER}:
            odd = None if flag in _REGULAR else _ODD.get(flag, "of an unknown type")
            yield Member(name or _name(header), _ODD[b"S"] if sparse else odd, body_of_member.read)
        body_of_member.skip()
        if flag not in {_PAX_GLOBAL, _LONG_LINK}:
            name, size, sparse = None, None, False


def _damaged(where: str) -> ArchiveError:
    return ArchiveError(f"is damaged: {where}")


class _Body:
    """The bytes of one member, and the padding after them."""

    __slots__ = ("_left", "_padding", "_read")

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, count: int) -> bytes:
        data = self._read(min(count, self._left))
        if not data and count and self._left:
            raise _damaged("it ends in the middle of a file")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        while self._left:
            self.read(_PIECE)
        self._left, self._padding = self._padding, 0
        while self._left:
            self.read(_PIECE)

    def whole(self, limit: int) -> bytes:
        if self._left > limit:
            raise _damaged(f"a header of {self._left} bytes is longer than any real one")
        parts = []
        while self._left:
            parts.append(self.read(self._left))
        self.skip()
        return b"".join(parts)


def _block(read: Read) -> bytes | None:
    """The next header, or None at the end: a block of zeros, or of the file."""
    block = b""
    while len(block) < _BLOCK and (data := read(_BLOCK - len(block))):
        block += data
    if not block.strip(b"\0"):
        return None
    if len(block) < _BLOCK:
        raise _damaged("it ends in the middle of a header")
    # The checksum counts its own eight bytes as spaces; old tars summed signed bytes.
    plain = block[:148] + b" " * 8 + block[156:]
    total = sum(plain)
    if _number(block[148:156]) not in {total, total - 256 * sum(byte > 127 for byte in plain)}:
        raise _damaged("a header's checksum is wrong")
    return block


def _number(field: bytes) -> int:
    """Octal digits, or, with the first bit set, a big-endian number (GNU)."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise _damaged("a negative number in a header")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    if digits.strip(b"01234567"):  # a sign or "_" would pass int()
        raise _damaged("a header that is none")
    return int(digits or b"0", 8)


def _decimal(field: bytes) -> int:
    if not field.isdigit() or len(field) > 20:
        raise _damaged("a number that is none in a header")
    return int(field)


def _name(header: bytes) -> str:
    name = header[:100]
    if header[257:263] == b"ustar\0" and header[345] != 0:
        return f"{_text(header[345:500])}/{_text(name)}"
    return _text(name)


def _text(name: bytes) -> str:
    return name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _pax_records(body: bytes) -> dict[bytes, bytes]:
    r"""Records "LENGTH KEY=VALUE\n", where LENGTH counts the whole record."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(body) and body[at] != 0:
        length, space, _ = body[at : at + 12].partition(b" ")
        end = at + _decimal(length)
        if not space or end > len(body) or end <= at + len(length) + 1:
            raise _damaged("a pax header that is none")
        key, _, value = body[at + len(length) + 1 : end - 1].partition(b"=")
        records[key] = value
        at = end
    return records
