"""What people do about webhooks, as words that a command can hand over to the server that holds the database."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dsn_processor.errors import UsageError
from dsn_processor.notify.attempts import State, date_of
from dsn_processor.notify.endpoints import EVERYTHING, Endpoint, EndpointKind, types_of
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.patterns import pattern
from dsn_processor.record import endpoints
from dsn_processor.record.deliveries import DeliveryFilter

if TYPE_CHECKING:
    from dsn_processor.record.store import Store

Deed = dict[str, Any]  #: JSON
_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def do(store: "Store", deed: Deed, options: WebhookOptions) -> dict[str, Any]:
    """Do it, in one transaction. Returns what came of it, as JSON. Raises UsageError, StoreError."""
    with store.transaction():
        if deed["do"] == "add":
            return _add(store, deed, options)
        if deed["do"] == "replay":
            return _replay(store, deed)
        endpoint = _named(store, deed["name"])
        if endpoint.kind is EndpointKind.PEOPLE and deed["do"] in {"remove", "rotate"}:
            raise UsageError(
                f"{endpoint.name} is a [[notify]] of the configuration: change it there, and reload the server"
            )
        if deed["do"] == "remove":
            waiting = store.outbox.counts().get(endpoint.id, {}).get(State.PENDING.value, 0)
            store.outbox.change(lambda connection: endpoints.remove(connection, endpoint.id))
            return {"waiting": waiting}
        if deed["do"] == "rotate":
            return _rotate(store, endpoint, float(deed["grace"]))
        if deed["do"] in {"enable", "disable"}:
            return _enable(store, endpoint, enabled=deed["do"] == "enable")
        if deed["do"] == "test":
            return _test(store, endpoint)
    raise UsageError(f"nothing is called {deed['do']!r}")


def _add(store: "Store", deed: Deed, options: WebhookOptions) -> dict[str, Any]:
    from dsn_processor.notify.formats import NOTES, Format, check_key  # noqa: PLC0415  only who adds needs these
    from dsn_processor.notify.guard import RefusedUrlError, check_url  # noqa: PLC0415
    from dsn_processor.notify.people.wording import check  # noqa: PLC0415
    from dsn_processor.notify.signing import new_secret  # noqa: PLC0415

    if deed["format"] not in set(Format):
        raise UsageError(f"no format is called {deed['format']!r}: write {', '.join(Format)}")
    format_ = Format(deed["format"])
    try:
        url = check_url(deed["url"], options)
        types_of(deed["events"] or EVERYTHING)
        check_key(format_, deed["key"])
        words = {name: deed[name] for name in ("user_message", "user_action") if deed.get(name)}
        for template in words.values():
            check(template)
    except (RefusedUrlError, ValueError) as error:
        raise UsageError(str(error)) from None
    name = deed["name"] or url.host
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name: letters, digits, dots, dashes and underscores, 64 at most")
    if any(one.name == name for one in store.outbox.endpoints().values()):
        raise UsageError(f"there is an endpoint {name!r} already: give this one another --name")
    secret = new_secret()
    endpoint = Endpoint(
        id=0,
        name=name,
        kind=EndpointKind.WEBHOOK,
        url=deed["url"],
        format=deed["format"],
        events=tuple(deed["events"] or EVERYTHING),
        filters=words,
        key=deed["key"],
        secret=secret,
    )
    store.outbox.change(lambda connection: endpoints.add(connection, endpoint, time.time()))
    return {"name": name, "secret": secret, "note": NOTES.get(format_)}


def _rotate(store: "Store", endpoint: Endpoint, grace: float) -> dict[str, Any]:
    from dsn_processor.notify.signing import new_secret  # noqa: PLC0415  as above

    secret, until = new_secret(), datetime.now(UTC) + timedelta(seconds=grace)
    store.outbox.change(lambda connection: endpoints.rotate(connection, endpoint, secret, until))
    return {"name": endpoint.name, "secret": secret, "until": until.isoformat()}


def _enable(store: "Store", endpoint: Endpoint, *, enabled: bool) -> dict[str, Any]:
    values = {"enabled": enabled, "why": "" if enabled else "disabled by a person", "paused_until": None}
    store.outbox.change(lambda connection: endpoints.change(connection, endpoint.id, values))
    if enabled:
        store.outbox.hasten(endpoint, time.time())
    return {"waiting": store.outbox.counts().get(endpoint.id, {}).get(State.PENDING.value, 0)}


def _test(store: "Store", endpoint: Endpoint) -> dict[str, Any]:
    from dsn_processor.record.telling import new_id  # noqa: PLC0415  as above

    if not endpoint.enabled:
        raise UsageError(f"{endpoint.name} is disabled: dsn-processor webhooks enable {endpoint.name}")
    if endpoint.paused_until > time.time():
        until = date_of(endpoint.paused_until).isoformat(timespec="seconds")
        raise UsageError(
            f"{endpoint.name} asked to be left alone until {until}: wait, or dsn-processor webhooks enable {endpoint.name}"
        )
    data = {"endpoint": endpoint.name, "text": "This is a test: nothing happened."}
    notification = Notification(
        id=new_id(), type=EventType.WEBHOOK_TEST, at=datetime.now(UTC), address="", data=data
    )
    if not store.outbox.tell([notification], only=endpoint):
        raise UsageError(f"the format {endpoint.format} has no word for a test")
    return {"id": notification.id}


def _replay(store: "Store", deed: Deed) -> dict[str, Any]:
    if deed["endpoint"] is not None:
        _named(store, deed["endpoint"])
    wanted = DeliveryFilter(
        endpoint=deed["endpoint"],
        state=State(deed["state"]) if deed["state"] else None,
        since=deed["since"],
        until=deed["until"],
    )
    ids = deed["ids"] or [None]
    now = time.time()
    return {"replayed": sum(store.outbox.replay(wanted._replace(message_id=one), now) for one in ids)}


def _named(store: "Store", name: str) -> Endpoint:
    for endpoint in store.outbox.endpoints().values():
        if endpoint.name == name:
            return endpoint
    raise UsageError(f"there is no endpoint {name!r}: `dsn-processor webhooks list` lists them")
