"""When to try again, by all that is known of an address."""

from datetime import UTC, datetime, timedelta

from dsn_processor.policy.happenings import Attempt, Happening, Known, Success
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.policy.retrying import Failure, retry_of
from dsn_processor.terms import Advice, BounceType, Kind, Mode, Reason, Scope, Trust

START = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = PolicyOptions()
BOB = "bob@example.net"


def at(seconds):
    return START + timedelta(seconds=seconds)


def happened(identity, seconds, *, about="m", attempts=(), bounce_type=BounceType.SOFT):
    return Happening(
        identity,
        at(seconds),
        Kind.FAILED,
        about,
        Mode.OPEN,
        Trust.UNPROVED,
        bounce_type=bounce_type,
        reason=Reason.MAILBOX_FULL,
        scope=Scope.RECIPIENT,
        attempts=tuple(Attempt(at(one), Trust.UNPROVED) for one in attempts),
    )


def failure(identity="a", seconds=0, since=None):
    return Failure(
        identity,
        BOB,
        at(seconds),
        Kind.FAILED,
        BounceType.SOFT,
        Reason.MAILBOX_FULL,
        Scope.RECIPIENT,
        since if since is None else at(since),
    )


def known(*happenings, successes=()):
    return Known(
        BOB, tuple(happenings), tuple(Success(f"s{one}", at(one), about) for about, one in successes)
    )


def test_alone_it_is_the_first_attempt():
    told = retry_of(failure(), None, OPTIONS)
    assert (told.attempt, told.next_retry_at) == (1, at(300))


def test_other_reports_of_the_message_are_attempts():
    told = retry_of(failure(), known(happened("a", 0, attempts=(0, 300)), happened("b", 2100)), OPTIONS)
    assert (told.attempt, told.next_retry_at) == (3, at(2100 + 7200))


def test_reports_of_other_messages_are_not():
    others = known(happened("a", 0), happened("b", 300, about="other"))
    assert retry_of(failure(), others, OPTIONS).attempt == 1


def test_five_attempts_are_all():
    told = retry_of(failure(), known(happened("a", 0, attempts=(0, 300, 2100, 9300, 38100))), OPTIONS)
    assert (told.exhausted, told.effective_type, told.next_retry_at) == (True, BounceType.HARD, None)
    assert told.advice is Advice.VERIFY_OR_REMOVE


def test_what_the_mta_tried_for_longer_is_not_planned():
    assert retry_of(failure(seconds=38_100, since=0), None, OPTIONS).next_retry_at is not None
    told = retry_of(failure(seconds=38_101, since=0), None, OPTIONS)
    assert (told.advice, told.next_retry_at) == (Advice.RESEND_MANUALLY, None)


def test_what_was_delivered_since_is_not_tried_again():
    for seconds, again in ((1, False), (-1, True)):
        told = retry_of(failure(), known(happened("a", 0), successes=[("m", seconds)]), OPTIONS)
        assert (told.next_retry_at is not None) is again
    other = retry_of(failure(), known(happened("a", 0), successes=[("other", 1)]), OPTIONS)
    assert other.next_retry_at is not None
