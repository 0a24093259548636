"""When to try a failed message again, and what else to do: by all that is known of its address. Numbers are in schedule.py."""

from datetime import datetime
from typing import NamedTuple

from dsn_processor.policy.happenings import Happening, Known
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.policy.schedule import Retry, Trouble, advise
from dsn_processor.terms import Advice, BounceType, Kind, Reason, Scope


class Failure(NamedTuple):
    """A failure or delay that was told of ``address``, the canonical one that it concerns. ``since`` is when its report says
    that the message came to the MTA.
    """

    identity: str
    address: str
    at: datetime
    kind: Kind
    bounce_type: BounceType
    reason: Reason
    scope: Scope
    since: datetime | None = None


def retry_of(failure: Failure, known: Known | None, options: PolicyOptions) -> Retry:
    """What to do about it. ``known`` is of its address; without it the failure stands alone. Nothing is to be tried again that
    was delivered since.
    """
    same = _same_message(failure, known) if known is not None else []
    times = {failure.at, *(at for one in same for at in (one.at, *(made.at for made in one.attempts)))}
    told = [failure.since, *(one.since for one in same)]
    since = min([*times, *(one for one in told if one is not None)])
    trouble = Trouble(
        failure.kind, failure.bounce_type, failure.reason, failure.scope, since, tuple(sorted(times))
    )
    retry = advise(trouble, options.schedule_of(failure.address.rpartition("@")[2]))
    if known is not None and same and _delivered_since(known, same[0].about, max(times)):
        return retry._replace(advice=Advice.NONE, next_retry_at=None)
    return retry


def _same_message(failure: Failure, known: Known) -> list[Happening]:
    """The soft failures of the message that this one is about."""
    about = next((one.about for one in known.happenings if one.identity == failure.identity), None)
    return [
        one
        for one in known.happenings
        if one.about == about and one.kind is Kind.FAILED and one.bounce_type is BounceType.SOFT
    ]


def _delivered_since(known: Known, about: str, last: datetime) -> bool:
    return any(one.about == about and one.at > last for one in known.successes)
