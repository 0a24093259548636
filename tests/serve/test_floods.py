"""Many connections at once, and much to swallow, while an honest client is served and memory stays bounded."""

import pytest
from serve.attack import attack, bounded
from serve.client import Session
from serve.harness import Serve
from serve.mails import bounce
from serve.swallow import KINDS, MB, commands_without_end, large_at_once, swallow
from serve.verify import wait_processed


@pytest.mark.parametrize(
    ("loris", "idle", "sources"), [(100, 500, 3), (1_000, 1_000, 40)], ids=["few addresses", "many"]
)
def test_an_honest_client_is_served_while_others_hold_connections(tmp_path, loris, idle, sources):
    with Serve(tmp_path) as serve:
        outcome = attack(serve, loris=loris, idle=idle, sources=sources, honest=20)
        assert outcome.faults == []
        assert outcome.served == 20


@pytest.mark.parametrize("kind", KINDS)
def test_too_much_is_cut_off_and_costs_little_memory(serve, kind):
    outcome = swallow(serve.smtp, kind, 300 * MB)
    assert outcome.sent < 250 * MB
    assert outcome.code in {0, 250, 552, 421}
    assert bounded(serve, 1) == []
    _still_serves(serve)


def test_who_never_reads_is_cut_off(serve):
    assert commands_without_end(serve.smtp, 50 * MB) < 50 * MB
    assert bounded(serve, 1) == []
    _still_serves(serve)


def test_many_large_mails_at_once_are_all_stored(serve):
    codes = large_at_once(serve.smtp, 20, 5 * MB)
    assert codes == [250] * 20
    assert bounded(serve, 20) == []
    _still_serves(serve)


def _still_serves(serve):
    with Session(serve.smtp) as session:
        session.greet()
        assert session.deliver(bounce("after").raw).code == 250
    wait_processed(serve.database)
