"""What comes of an attempt to deliver: done, again and when, or given up. Pure: time and chance are parameters."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from dsn_processor.notify.endpoints import Endpoint

#: Seconds after the first attempt, the second, and so on; after the last of them it is given up (Standard Webhooks 1.0.0).
DELAYS = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
_JITTER = 0.1  # of a delay, added: many that failed together are not to come again together
LONGEST_WAIT = 86_400.0  #: seconds that a receiver may ask for
_PATIENCE = frozenset({429, 502, 503, 504})
_GONE = 410


class State(StrEnum):
    """Where a delivery is on its way. ``DEAD``: given up, kept to be replayed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Due(NamedTuple):
    """A delivery whose turn it is. ``attempts`` have been made. ``body`` goes out as it is."""

    id: int
    endpoint: int
    message_id: str
    type: str
    address: str
    attempts: int
    body: bytes
    content_type: str
    headers: dict[str, str]


class Wanted(NamedTuple):
    """Up to ``number`` deliveries of an endpoint, without those that are here already."""

    number: int
    besides: frozenset[int]


class Turn(NamedTuple):
    """What there is to do: all endpoints by number, and deliveries that are due, the oldest first."""

    endpoints: Mapping[int, Endpoint]
    due: Sequence[Due]


class Answer(NamedTuple):
    """What a receiver said, or why nobody did. ``status`` is HTTP's, None where there was none; ``retry_after`` in seconds."""

    status: int | None
    error: str = ""
    retry_after: float | None = None


class Outcome(NamedTuple):
    """What came of one attempt, made ``at``, both in seconds since 1970. ``next_at`` is None where it was the last one.
    ``gone``: the receiver wants no more, ever.
    """

    due: Due
    state: State
    at: float
    next_at: float | None
    answer: Answer
    gone: bool = False


def outcome_of(due: Due, answer: Answer, now: float, chance: float) -> Outcome:
    """``chance`` is from 0 to 1."""
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Outcome(due, State.DELIVERED, now, None, answer)
    if status == _GONE:
        return Outcome(due, State.PENDING, now, now, answer, gone=True)
    if due.attempts >= len(DELAYS):
        return Outcome(due, State.DEAD, now, None, answer)
    wait = DELAYS[due.attempts] * (1.0 + _JITTER * chance)
    if asked := pause_of(answer):
        wait = max(wait, asked + _JITTER * chance * asked)
    return Outcome(due, State.PENDING, now, now + wait, answer)


def pause_of(answer: Answer) -> float:
    """For how many seconds the receiver wants to be left alone altogether."""
    if answer.status not in _PATIENCE or answer.retry_after is None:
        return 0.0
    return min(max(answer.retry_after, 0.0), LONGEST_WAIT)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds by a Retry-After header (RFC 9110 section 10.2.3): a number, or a date. None where it cannot be read."""
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  who reads the outbox need not wait for it

    text = value.strip()[:40]
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now


def date_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
