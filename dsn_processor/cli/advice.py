"""What to do about stored events: each with the advice that all that is known of its address gives."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsn_processor.policy.happenings import Known
    from dsn_processor.policy.options import PolicyOptions
    from dsn_processor.policy.schedule import Retry
    from dsn_processor.record.entries import StoredEvent
    from dsn_processor.record.store import Store

_PAGE = 500  # events whose addresses are looked at together


def advised(
    store: "Store", events: "Iterable[StoredEvent]", options: "PolicyOptions"
) -> "Iterator[tuple[StoredEvent, Retry | None]]":
    """Each event with what to do about it; None where nothing failed and nothing is delayed."""
    from dsn_processor.terms import BounceType, Kind

    waiting = iter(events)
    while page := list(islice(waiting, _PAGE)):
        soft = {
            one.concerned
            for one in page
            if one.kind is Kind.FAILED and one.verdict and one.verdict.bounce_type is BounceType.SOFT
        }
        known = store.addresses.known(sorted(soft))
        for one in page:
            yield one, _retry(one, known.get(one.concerned), options)


def _retry(event: "StoredEvent", known: "Known | None", options: "PolicyOptions") -> "Retry | None":
    from dsn_processor.moments import believable
    from dsn_processor.policy.retrying import Failure, retry_of
    from dsn_processor.terms import Kind

    verdict = event.verdict
    if verdict is None or event.kind not in {Kind.FAILED, Kind.DELAYED}:
        return None
    failure = Failure(
        event.identity,
        event.concerned,
        event.occurred_at,
        event.kind,
        verdict.bounce_type,
        verdict.reason,
        verdict.scope,
        since=believable((event.arrival_date,), event.occurred_at),
    )
    return retry_of(failure, known, options)


def describe_retry(retry: "Retry | None") -> dict[str, Any]:
    """What to do as JSON has it; null where nothing failed and nothing is delayed."""
    names = ("attempt", "final", "exhausted", "effective_type", "advice", "next_retry_at")
    if retry is None:
        return dict.fromkeys(names)
    told = retry._asdict()
    told["next_retry_at"] = retry.next_retry_at and retry.next_retry_at.isoformat()
    return {name: told[name] for name in names}
