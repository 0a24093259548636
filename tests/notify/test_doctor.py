"""What doctor says of webhooks."""

import time

import pytest
from notify.delivery import tell

from dsn_processor import webhooks
from dsn_processor.cli import main
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record.store import Store


@pytest.fixture
def said(url, tmp_path, monkeypatch, capsys):
    """What it says in its lines about webhooks."""
    monkeypatch.chdir(tmp_path)

    def look():
        main(["doctor", "--db", url])
        lines = capsys.readouterr().out.splitlines()
        at = [number for number, line in enumerate(lines) if "webhooks" in line]
        return "\n".join(line for number in at for line in lines[number : number + 2])

    return look


def do(store, what, **words):
    return webhooks.do(store, {"do": what, "name": "app", **words}, WebhookOptions())


def test_an_endpoint_as_it_does(url, said):
    with Store.open(url) as store:
        do(store, "add", url="https://app.example.com/", format="own", key="", events=[])
        tell(store, "a@example.net")
    assert "app is told, 1 deliveries wait" in said()
    with Store.open(url) as store, store.transaction():
        store._connection.exec_driver_sql(
            "UPDATE webhook SET state = 'dead', attempted_at = ?", (time.time(),)
        )
    found = said()
    assert "1 deliveries were given up" in found
    assert "replay --state dead --endpoint app" in found
    with Store.open(url) as store:
        do(store, "disable")
    assert "app is disabled (disabled by a person)" in said()
