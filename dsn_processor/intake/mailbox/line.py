"""The line that fetched mails stand in: committed in order, in a thread of its own, while more are fetched.

fetch --piece--> begin: known? read by workers -> finish: COMMIT --done--> what is done in the mailbox
(the account's thread)            (this line's thread)                     (the account's thread)
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from dsn_processor.errors import MailboxError, StoreError
from dsn_processor.intake.mailbox.taking import Begun, Fetched, Taken, Taker
from dsn_processor.record.entries import MailboxMail, MailboxPosition

_AHEAD = 2  # pieces that stand in line, beyond those that workers read


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Mails fetched together. ``failed`` could not be fetched; with this piece the folder is read as far as ``position``."""

    mails: list[Fetched]
    failed: list[MailboxMail]
    position: MailboxPosition | None = None


_Piece = TypeVar("_Piece", bound=Piece)


class _Waiting(NamedTuple, Generic[_Piece]):
    piece: _Piece
    begun: Future[Begun]


class Line(Generic[_Piece]):
    """Takes pieces of one folder; use as a context manager. ``done`` is told of each that is committed, and whether the
    connection still stands: then something can be done in the mailbox.
    """

    def __init__(
        self, taker: Taker, folder: str, ahead: int, done: Callable[[_Piece, Taken, bool], None]
    ) -> None:
        self._taker = taker
        self._folder = folder
        self._ahead = ahead + _AHEAD
        self._done = done
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="line")
        self._begun: deque[_Waiting[_Piece]] = deque()
        self._finishing: deque[tuple[_Piece, Future[Taken]]] = deque()
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self, pieces: Iterator[_Piece]) -> None:
        """Take pieces as they are fetched. What was fetched is committed even where the connection breaks then. Raises
        StoreError where something cannot be committed: then nothing behind it was, either.
        """
        try:
            for piece in pieces:
                begun = self._thread.submit(self._taker.begin, self._folder, piece.mails)
                self._begun.append(_Waiting(piece, begun))
                self._commit()
                self._tell(1)
        except MailboxError:
            self._commit(all_=True)
            self._tell(0, connected=False)
            raise
        self._commit(all_=True)
        self._tell(0)

    def _commit(self, *, all_: bool = False) -> None:
        """Have those committed that are read, or need not be; and others where too many stand in line."""
        while self._begun and (all_ or len(self._begun) > self._ahead or _is_read(self._begun[0].begun)):
            piece, begun = self._begun.popleft()
            self._finishing.append((piece, self._thread.submit(self._finish, piece, begun)))

    def _finish(self, piece: _Piece, begun: Future[Begun]) -> Taken:
        """What is behind a piece that could not be committed must not be: the folder would count as read beyond it."""
        if self._broken:
            raise StoreError("what came before could not be stored")
        try:
            return self._taker.finish(begun.result(), piece.position, piece.failed)
        except BaseException:
            self._broken = True
            raise

    def _tell(self, left: int, *, connected: bool = True) -> None:
        """Tell of pieces that are committed, and wait until no more than ``left`` are not."""
        while self._finishing and (len(self._finishing) > left or self._finishing[0][1].done()):
            piece, taken = self._finishing.popleft()
            self._done(piece, taken.result(), connected)


def _is_read(begun: Future[Begun]) -> bool:
    return begun.done() and begun.exception() is None and begun.result().reading.done()
