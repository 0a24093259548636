"""What is fetched is committed in order, in a thread of its own; nothing behind what could not be committed."""

from concurrent.futures import Future

import pytest

from dsn_processor.errors import MailboxError, StoreFullError
from dsn_processor.intake.mailbox.line import Line, Piece
from dsn_processor.intake.mailbox.numbers import CHUNK, in_sets, set_of
from dsn_processor.intake.mailbox.taking import Begun, Taken
from dsn_processor.record.entries import MailboxMail, MailboxPosition
from dsn_processor.terms import MailboxTask


class Taker:
    """Commits to a list; the piece that reads as far as ``full`` cannot be committed."""

    def __init__(self, full=0):
        self.committed = []
        self._full = full

    def begin(self, folder, mails):
        reading = Future()
        reading.set_result([])
        return Begun(folder, (), {}, reading)

    def finish(self, begun, position, failed):
        if position.last_uid == self._full:
            raise StoreFullError("full")
        self.committed.append(position.last_uid)
        return Taken([], 0, [])


def pieces(number, error=None):
    for last in range(1, number + 1):
        yield Piece(mails=[], failed=[], position=MailboxPosition(1, last))
    if error is not None:
        raise error


@pytest.mark.parametrize("number", [0, 1, 2, 30])
def test_pieces_are_committed_in_order_and_told(number):
    taker, told = Taker(), []
    with Line(
        taker, "INBOX", 1, lambda piece, taken, open_: told.append((piece.position.last_uid, open_))
    ) as line:
        line.take(pieces(number))
    assert taker.committed == list(range(1, number + 1))
    assert told == [(last, True) for last in taker.committed]


@pytest.mark.parametrize("full", [1, 5, 20])
def test_nothing_behind_what_could_not_be_committed_is(full):
    """Else the folder would count as read beyond mails that are not stored."""
    taker, told = Taker(full), []
    with (
        pytest.raises(StoreFullError, match="full"),
        Line(taker, "INBOX", 1, lambda piece, *_: told.append(piece.position.last_uid)) as line,
    ):
        line.take(pieces(20))
    assert taker.committed == list(range(1, full))
    assert told == taker.committed


def test_what_was_fetched_before_the_connection_broke_is_committed():
    taker, told = Taker(), []
    with (
        pytest.raises(MailboxError, match="gone"),
        Line(taker, "INBOX", 1, lambda piece, taken, open_: told.append(open_)) as line,
    ):
        line.take(pieces(7, MailboxError("gone")))
    assert taker.committed == [1, 2, 3, 4, 5, 6, 7]
    assert told[-1] is False  # nothing more can be done in the mailbox


@pytest.mark.parametrize(
    "numbers, said",
    [([], ""), ([7], "7"), ([3, 1, 2], "1:3"), ([1, 3, 4, 9], "1,3:4,9"), (range(5, 105), "5:104")],
)
def test_numbers_are_named_in_sets(numbers, said):
    assert set_of(numbers) == said


def test_mails_of_which_the_same_is_to_be_done_are_one():
    mails = [MailboxMail(str(uid), MailboxTask.FILE, unparsed=uid == 3) for uid in range(1, 6)]
    assert in_sets(mails) == [
        MailboxMail("1:2,4:5", MailboxTask.FILE),
        MailboxMail("3", MailboxTask.FILE, unparsed=True),
    ]
    many = [MailboxMail(str(uid), MailboxTask.FILE) for uid in range(1, 3 * CHUNK, 2)]
    sets = in_sets(many)
    assert sum(len(one.uid.split(",")) for one in sets) == len(many)
    assert max(len(one.uid) for one in sets) < 8_000
