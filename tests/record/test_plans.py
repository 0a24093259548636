"""What a commit asks of the database costs the same however much is stored: each look-up goes by an index that leads to few."""

import re
from datetime import UTC, datetime

import pytest

from dsn_processor import webhooks
from dsn_processor.bulk import take
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.matching import register
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record.store import Store

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
#: Indexes that lead to a large part of their table.
BROAD = re.compile(r"INDEX ix_(?:recipient_event_(?:kind|reason|occurred_at)|report_kind|message_state)")
#: Tables that hold no more rows than somebody set up or was told of.
SHORT = "json_each|given|wanted|asked|pair|wave|alert|endpoint|counter|alembic_version|sqlite_master"
WHOLE = re.compile(rf"SCAN (?!(?:{SHORT})\b|CONSTANT ROW|\(subquery)")


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def plans(store, work):
    """Each statement that ``work`` runs, with the steps by which SQLite goes through the tables."""
    driver = store._connection.connection.dbapi_connection
    said = {}
    driver.set_trace_callback(
        lambda statement: said.setdefault(re.sub(r"\d+|'[^']*'", "?", statement), statement)
    )
    try:
        work()
    finally:
        driver.set_trace_callback(None)
    asked = [one for one in said.values() if re.match(r"\s*(?:SELECT|UPDATE|DELETE)", one)]
    return {one: [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {one}")] for one in asked}


def broad(found):
    """The steps that look at a large part of a table, but for those of questions whether a table holds anything."""
    return [
        (statement, step)
        for statement, steps in found.items()
        if "EXISTS (SELECT 1 FROM" not in statement
        for step in steps
        if WHOLE.match(step) or BROAD.search(step)
    ]


@pytest.mark.parametrize("told", [False, True])
def test_no_statement_of_a_commit_goes_through_a_table(store, write_dsn, told):
    if told:
        hook = {"do": "add", "url": "https://app.example.com/hook", "name": "app", "format": "own", "key": ""}
        webhooks.do(store, {**hook, "events": []}, WebhookOptions())
    mails = [
        InboundMessage(
            write_dsn(number=n, recipient=f"bob{n % 40}@example.net", returned_id=f"<sent-{n}@example.com>"),
            f"{n}.eml",
            Envelope("", ("bounces@example.com",)),
        )
        for n in range(120)
    ]
    sent = [Send(f"sent-{n}@example.com", f"bob{n}@example.net", NOW) for n in range(40)]

    def work():
        register(store, sent, delivered=False, keep=86_400)
        register(store, sent[:5], delivered=True, keep=86_400)
        take(store, mails[:60], now=NOW)
        take(store, mails, now=NOW)

    found = plans(store, work)
    assert any("FROM recipient_event" in statement for statement in found)
    assert any("FROM webhook" in statement for statement in found) or not told
    assert broad(found) == []


def test_a_step_through_a_table_would_be_seen(store):
    assert broad(
        plans(
            store,
            lambda: store._connection.exec_driver_sql("SELECT * FROM recipient_event WHERE status = ''"),
        )
    )
    kinds = "SELECT * FROM recipient_event WHERE kind IN ('failed', 'delayed')"
    assert broad(plans(store, lambda: store._connection.exec_driver_sql(kinds)))
