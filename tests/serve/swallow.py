"""Too much to swallow: what one client, or a hundred, can push into a server before it says no."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from serve.client import Address, Session, stuffed
from serve.mails import bounce

MB = 1_000_000


class Swallowed(NamedTuple):
    """How many bytes were sent before the server cut the connection, and what it said at last (0: nothing)."""

    sent: int
    code: int


def _endless_line() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def _line_ends() -> Iterator[bytes]:
    for _ in range(33 * MB // 65536):
        yield b"\r\n" * 32768
    yield b".\r\n"


def _endless_mail() -> Iterator[bytes]:
    while True:
        yield (b"x" * 76 + b"\r\n") * 840


def _endless_header() -> Iterator[bytes]:
    yield b"Subject:"
    while True:
        yield b" =?utf-8?q?x?=\r\n" * 4000


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "a line without end": _endless_line,
    "33 MB of line ends": _line_ends,
    "a mail without end": _endless_mail,
    "a header without end": _endless_header,
}


def swallow(address: Address, kind: str, most: int) -> Swallowed:
    """Send after DATA until the server answers or cuts the connection, ``most`` bytes at most."""
    with Session(address) as session:
        _to_data(session)
        sent = 0
        with suppress(ConnectionError):
            for chunk in KINDS[kind]():
                session.send(chunk)
                sent += len(chunk)
                if sent >= most:
                    break
        with suppress(OSError):
            return Swallowed(sent, session.reply().code)
        return Swallowed(sent, 0)


def commands_without_end(address: Address, most: int) -> int:
    """Send commands and never read an answer, until the server gives up. Returns how many bytes it took."""
    with Session(address) as session:
        session.socket.settimeout(20)
        sent = 0
        with suppress(OSError):
            while sent < most:
                session.send(b"EHLO client.example.com\r\n" * 1000)
                sent += 25_000
        return sent


def large_at_once(address: Address, count: int, size: int) -> list[int]:
    """So many sessions, each with a mail of ``size`` bytes, all open at once; the codes of their answers."""
    codes: list[int] = []
    at_once = threading.Barrier(count, timeout=60)

    def one(number: int) -> None:
        wire = stuffed(bounce(f"large-{number}", size).raw)
        with Session(address, timeout=120) as session:
            _to_data(session)
            session.send(wire[: size // 2])
            at_once.wait()
            session.send(wire[size // 2 :])
            codes.append(session.reply().code)

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    return codes


def _to_data(session: Session) -> None:
    session.greet()
    assert session.command("MAIL FROM:<>").code == 250
    assert session.command("RCPT TO:<news@example.com>").code == 250
    assert session.command("DATA").code == 354
