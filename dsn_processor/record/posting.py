"""Makes rows of the outbox: what is told, in the words of each endpoint that wants to hear it. Loaded only where somebody does."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from dsn_processor.notify import formats
from dsn_processor.notify.attempts import State
from dsn_processor.notify.endpoints import Endpoint, EndpointKind
from dsn_processor.notify.notification import Notification
from dsn_processor.notify.people.wanting import due_at, wanted

_Row = dict[str, Any]


def rows_of(
    told: Iterable[Notification], endpoints: Sequence[Endpoint], now: datetime, *, all_types: bool = False
) -> Iterator[_Row]:
    """One for each endpoint that wants it; of ``all_types``, whatever it asked for."""
    seconds = now.timestamp()
    for notification in told:
        fresh = {
            "message_id": notification.id,
            "type": notification.type.value,
            "address": notification.address,
            "created_at": seconds,
            "state": State.PENDING.value,
            "attempts": 0,
            "next_at": seconds,
            "attempted_at": None,
            "error": "",
        }
        bodies: dict[tuple[str, str], _Row | None] = {}  # by what makes them differ
        for endpoint in endpoints:
            if not (all_types or notification.type in endpoint.types):
                continue
            people = endpoint.kind is EndpointKind.PEOPLE
            if people and not wanted(endpoint.filters, notification):
                continue
            words = endpoint.format, endpoint.key
            if endpoint.filters or words not in bodies:
                bodies[words] = _body(endpoint, notification, now)
            body = bodies[words]
            if body is None:  # its format has no word for it
                continue
            row = {"endpoint_id": endpoint.id, **fresh, **body}
            if people:  # in no order
                row |= {"address": "", "next_at": due_at(endpoint.filters, notification, seconds)}
            yield row


def _body(endpoint: Endpoint, notification: Notification, now: datetime) -> _Row | None:
    """One that cannot be rendered for a fault of ours is kept as given up: what a mail says must not be lost for it."""
    fault: _Row = {}
    try:
        rendered = formats.render(
            formats.Format(endpoint.format), notification, key=endpoint.key, at=now, words=endpoint.filters
        )
    except Exception as error:
        from dsn_processor import logs  # noqa: PLC0415  takes as long to import as all else here

        log = logs.get_logger(room="outbox")
        log.exception("webhook not rendered", endpoint=endpoint.name, type=notification.type.value)
        rendered = formats.render(formats.Format.OWN, notification, at=now)
        fault = {
            "state": State.DEAD.value,
            "attempted_at": now.timestamp(),
            "error": f"fault of ours: {error!r}",
        }
    if rendered is None:
        return None
    return {
        **fault,
        "content_type": rendered.content_type,
        "headers": dict(rendered.headers) or None,
        "body": rendered.body,
    }
