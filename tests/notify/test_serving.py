"""Webhooks of a running server."""

import json
import urllib.request

from notify.killing import SECTIONS, command, kill_again_and_again, sink_of_its_own
from notify.sink import Reply
from serve.harness import Serve, wait
from serve.load import Load
from serve.verify import wait_processed
from standardwebhooks.webhooks import Webhook


def test_nothing_is_lost_by_kill_9(tmp_path):
    outcome = kill_again_and_again(tmp_path, rounds=3)
    assert outcome.faults == []
    assert outcome.received >= 2 * outcome.events > 0


def test_commands_beside_a_server(tmp_path):
    with sink_of_its_own() as sink, Serve(tmp_path, sections=SECTIONS.format(port=sink.port)) as serve:
        added = command(
            serve, "webhooks", "add", sink.url, "--name", "app", "--events", "bounce.*,webhook.test"
        )
        secret = next(word for word in added.split() if word.startswith("whsec_"))
        assert "delivered 200" in command(serve, "webhooks", "test", "app")
        with Load(serve.smtp, 1):
            wait(lambda: len(sink.got) >= 5, "nothing is delivered", log=serve.log)
        wait_processed(serve.database)
        wait(lambda: not _states(serve).get("pending"), "some are not delivered", log=serve.log)
        bodies = [Webhook(secret).verify(request.body, request.headers) for request in sink.got]
        assert [body["type"] for body in bodies[:2]] == ["webhook.test", "bounce.failed"]
        page = urllib.request.urlopen(f"http://{serve.web[0]}:{serve.web[1]}/metrics").read().decode()
        assert 'webhook_attempts_total{endpoint="app",result="delivered"}' in page

        rotated = command(serve, "webhooks", "rotate", "app", "--grace", "1h")
        new = next(word for word in rotated.split() if word.startswith("whsec_"))
        assert new != secret
        command(serve, "webhooks", "test", "app")
        for valid in (secret, new):
            Webhook(valid).verify(sink.got[-1].body, sink.got[-1].headers)

        async def gone(_):
            return Reply(410)

        sink.answer = gone
        assert "failed 410" in command(serve, "webhooks", "test", "app", code=1)
        [row] = map(json.loads, command(serve, "webhooks", "list", "--json").splitlines())
        assert (row["enabled"], row["pending"], "410" in row["why"]) == (False, 1, True)
        assert "is disabled" in command(serve, "webhooks", "test", "app", code=1)
        sink.answer = sink._fine
        command(serve, "webhooks", "enable", "app")
        wait(lambda: not _states(serve).get("pending"), "it is not delivered", log=serve.log)
        replayed = command(serve, "webhooks", "replay", sink.got[0].id)
        assert replayed.startswith("1 ")
        wait(lambda: sink.got[-1].id == sink.got[0].id, "it does not come again", log=serve.log)
        assert sink.got[-1].body == sink.got[0].body
        assert "a server runs" in command(serve, "webhooks", "deliver", "--once")
        assert "app: removed" in command(serve, "webhooks", "remove", "app")
        assert serve.stop() == 0
        assert secret not in serve.log()
        assert sink.url not in serve.log()


def _states(serve):
    [row] = map(json.loads, command(serve, "webhooks", "list", "--json").splitlines())
    return {state: row[state] for state in ("pending", "delivered", "dead") if row[state]}


def _pause(serve, sink):
    """A receiver that asks to be left alone is, by the next process, too, until somebody enables it."""

    async def later(_):
        return Reply(429, {"Retry-After": "1000"})

    sink.answer = later
    assert "failed 429" in command(serve, "webhooks", "test", "app", code=1)
    asked = len(sink.got)
    sink.answer = sink._fine
    assert "left alone until" in command(serve, "webhooks", "test", "app", code=2)
    assert "1 deliveries wait" in command(serve, "webhooks", "deliver", "--once", code=1)
    assert len(sink.got) == asked
    [row] = map(json.loads, command(serve, "webhooks", "list", "--json").splitlines())
    assert row["paused_until"]
    command(serve, "webhooks", "enable", "app")
    assert "0 deliveries wait" in command(serve, "webhooks", "deliver", "--once")
    [row] = map(json.loads, command(serve, "webhooks", "list", "--json").splitlines())
    assert (row["pending"], row["paused_until"]) == (0, None)


def test_without_a_server_what_is_due_is_delivered_once(tmp_path):
    with sink_of_its_own() as sink:
        serve = Serve(tmp_path, sections=SECTIONS.format(port=sink.port))
        serve.configure()
        command(serve, "webhooks", "add", sink.url, "--name", "app")
        assert "delivered 200" in command(serve, "webhooks", "test", "app")

        async def no(_):
            return Reply(500)

        sink.answer = no
        assert "failed 500" in command(serve, "webhooks", "test", "app", code=1)
        assert "1 deliveries wait" in command(serve, "webhooks", "deliver", "--once", code=1)
        sink.answer = sink._fine
        command(serve, "webhooks", "enable", "app")
        assert "0 deliveries wait" in command(serve, "webhooks", "deliver", "--once")
        assert len({request.id for request in sink.got}) == 2
        _pause(serve, sink)
        [row] = map(
            json.loads, command(serve, "webhooks", "deliveries", "--json", "--limit", "1").splitlines()
        )
        assert (row["state"], row["attempts"] >= 2, row["next_at"]) == ("delivered", True, None)
        for wrong in (
            ("add", "http://10.0.0.1/"),
            ("add", sink.url, "--name", "app"),
            ("add", sink.url, "--name", "b", "--events", "nothing"),
            ("add", sink.url, "--name", "b", "--format", "smoke"),
            ("add", sink.url, "--name", "a b"),
            ("remove", "nobody"),
            ("replay", "--endpoint", "nobody"),
        ):
            assert command(serve, "webhooks", *wrong, code=2).startswith("dsn-processor: ") or wrong == (
                "replay",
            )
