"""Schedules of attempts, and what to do about a failure."""

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from dsn_processor.terms import Advice, BounceType, Kind, Reason, Scope
from dsn_processor.units import parse_seconds

#: Seconds before each attempt, counted from the one before.
PRESETS: dict[str, tuple[float, ...]] = {
    "seed": (0, 300, 1_800, 7_200, 28_800),
    "industry": (0, 14_400, 28_800, 86_400, 129_600),  # three attempts in a day, five in 72 hours
    "window72": (0, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 57_600, 87_300),
}


class Schedule(NamedTuple):
    """``delays`` are seconds before each attempt, the first 0."""

    delays: tuple[float, ...]

    @property
    def totals(self) -> tuple[float, ...]:
        """Seconds from the first attempt to each."""
        return tuple(accumulate(self.delays))


@lru_cache(maxsize=256)
def schedule(words: str) -> Schedule:
    """A preset by its name, or waits with slashes between: ``0s/5m/30m``. Raises ValueError."""
    if words in PRESETS:
        return Schedule(PRESETS[words])
    try:
        delays = tuple(map(parse_seconds, words.split("/")))
    except ValueError:
        delays = ()
    if not delays or delays[0] != 0 or len(delays) > 100:
        raise ValueError(
            f"retries: {words!r} is no schedule: write {', '.join(PRESETS)}, or waits as in 0s/5m/30m/2h"
        )
    return Schedule(delays)


class Trouble(NamedTuple):
    """A message to one recipient that failed, or is delayed. ``times`` are those of its failed attempts that were told to
    us, ``since`` is when the first attempt was made, as far as we know.
    """

    kind: Kind
    bounce_type: BounceType
    reason: Reason
    scope: Scope
    since: datetime
    times: tuple[datetime, ...]


class Retry(NamedTuple):
    """What to do about it. ``effective_type`` is hard where a passing trouble of the recipient lasted for all attempts."""

    advice: Advice
    attempt: int
    final: bool
    exhausted: bool
    effective_type: BounceType
    next_retry_at: datetime | None


_A = Advice
_ADVICE: dict[Reason, Advice] = {
    Reason.MAILBOX_FULL: _A.WAIT_AND_RETRY,
    Reason.RECIPIENT_RATE_LIMITED: _A.SLOW_DOWN,
    Reason.MAILING_LIST: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.RELAY_DENIED: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.DNS_FAILURE: _A.WAIT_AND_RETRY,
    Reason.NETWORK_ERROR: _A.WAIT_AND_RETRY,
    Reason.SERVER_UNAVAILABLE: _A.WAIT_AND_RETRY,
    Reason.SYSTEM_ERROR: _A.WAIT_AND_RETRY,
    Reason.SYSTEM_FULL: _A.WAIT_AND_RETRY,
    Reason.ROUTING_LOOP: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.MAILER_ERROR: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.EXPIRED: _A.WAIT_AND_RETRY,
    Reason.GREYLISTED: _A.WAIT_AND_RETRY,
    Reason.TOO_MANY_RECIPIENTS: _A.SLOW_DOWN,
    Reason.MESSAGE_TOO_LARGE: _A.FIX_CONTENT,
    Reason.SPAM_CONTENT: _A.FIX_CONTENT,
    Reason.VIRUS: _A.FIX_CONTENT,
    Reason.PROHIBITED_ATTACHMENT: _A.FIX_CONTENT,
    Reason.CONTENT_FORMAT: _A.FIX_CONTENT,
    Reason.EAI_UNSUPPORTED: _A.FIX_CONTENT,
    Reason.IP_BLOCKLISTED: _A.REQUEST_DELISTING,
    Reason.REPUTATION: _A.REQUEST_DELISTING,
    Reason.AUTH_FAILED: _A.FIX_AUTHENTICATION,
    Reason.PTR_MISSING: _A.FIX_AUTHENTICATION,
    Reason.SENDER_REJECTED: _A.FIX_AUTHENTICATION,
    Reason.RATE_LIMITED: _A.SLOW_DOWN,
    Reason.AUTH_REQUIRED: _A.FIX_AUTHENTICATION,
    Reason.PROTOCOL_ERROR: _A.FIX_CONTENT,
    Reason.RECIPIENT_RESTRICTED: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.TRANSPORT_SECURITY: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.POLICY: _A.CONTACT_RECIPIENT_ADMIN,
    Reason.UNDETERMINED: _A.NONE,
}
_AGAIN = {_A.WAIT_AND_RETRY, _A.SLOW_DOWN}


def advise(trouble: Trouble, plan: Schedule) -> Retry:
    """What to do. A delayed message is the MTA's to try again; one that it tried for longer than the plan is not
    planned anew.
    """
    final = trouble.kind is Kind.FAILED
    attempt = len(trouble.times)
    soft = trouble.bounce_type is BounceType.SOFT
    advice = (
        _A.VERIFY_OR_REMOVE
        if trouble.bounce_type is BounceType.HARD
        else _ADVICE.get(trouble.reason, _A.NONE)
    )
    exhausted = final and soft and attempt >= len(plan.delays)
    effective = trouble.bounce_type
    if exhausted and trouble.scope is Scope.RECIPIENT:
        effective = BounceType.HARD
    again = None
    if final and soft and advice in _AGAIN:
        last = max(trouble.times)
        over = last - trouble.since > timedelta(seconds=plan.totals[-1])
        if effective is BounceType.HARD:
            advice = _A.VERIFY_OR_REMOVE
        elif exhausted or over:
            advice = _A.RESEND_MANUALLY
        else:
            again = last + timedelta(seconds=plan.delays[attempt])
    return Retry(advice, attempt, final, exhausted, effective, again)
