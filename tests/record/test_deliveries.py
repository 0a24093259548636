"""What the outbox's statements keep."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from dsn_processor import webhooks
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.store import Store

LATER = 4_000_000_000.0  # seconds since 1970


def tell(store, number, address):
    notification = Notification(
        id=f"msg_{number}",
        type=EventType.BOUNCE_FAILED,
        at=datetime(2026, 11, 21, tzinfo=UTC),
        address=address,
        data={"number": number},
    )
    with store.transaction():
        store.outbox.tell([notification])


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        for name in ("app", "other"):
            deed = {"do": "add", "url": "https://app.example.com/hook", "name": name, "format": "own"}
            webhooks.do(opened, {**deed, "key": "", "events": []}, WebhookOptions())
        yield opened


def test_the_second_about_an_address_waits_as_long_as_the_first(store):
    tell(store, 1, "bob@example.net")
    with store._connection.begin():  # as after an attempt that failed
        store._connection.execute(
            text("UPDATE webhook SET next_at = :at WHERE endpoint_id = 1"), {"at": LATER}
        )
    for number, address in enumerate(("bob@example.net", "ann@example.net", ""), 2):
        tell(store, number, address)
    waits = {
        (row.endpoint, row.message_id): row.next_at == LATER
        for row in store.outbox.deliveries(DeliveryFilter())
        if row.message_id != "msg_1"
    }
    assert [key for key, long in waits.items() if long] == [("app", "msg_2")]
    assert len(waits) == 6
