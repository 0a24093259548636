"""A server holds reports against what was sent, by the keys and the registry of today."""

import signal
import subprocess
import sys
from datetime import UTC, datetime

from serve.client import Session
from serve.harness import Serve, wait
from serve.verify import wait_processed

from dsn_processor.correlate.token import Key
from dsn_processor.record.entries import EventFilter
from dsn_processor.record.store import Store
from dsn_processor.terms import Match, Trust
from dsn_processor.tokens import return_path

OLD, NEW = "1:correct-horse-battery-staple", "2:another-secret-of-enough-length"


def command(serve, *words, stdin=b""):
    program = [sys.executable, "-m", "dsn_processor", *words, "--db", f"sqlite:///{serve.database}"]
    return subprocess.run(program, input=stdin, capture_output=True, timeout=120, check=True).stdout.decode()


def deliver(serve, raw, recipient):
    with Session(serve.smtp) as session:
        session.greet()
        assert session.deliver(raw.replace(b"\n", b"\r\n"), recipients=(recipient,)).code == 250


def proof(serve, address):
    wait_processed(serve.database)
    with Store.open(f"sqlite:///{serve.database}", readonly=True) as store:
        [event] = store.events(EventFilter(address=address))
        return event.correlation


def test_tokens_sends_and_a_change_of_keys(tmp_path, write_dsn):
    with Serve(tmp_path, sections=f'[correlation]\nkeys = ["{OLD}"]\n') as serve:
        path = return_path(Key.parse(OLD), "alice@example.net", domain="bounces.example.com")
        deliver(serve, write_dsn(recipient="alice@example.net", returned_id="<1@example.com>"), path.upper())
        assert (proof(serve, "alice@example.net").trust) is Trust.SIGNED

        now = datetime.now(UTC).isoformat()
        line = f'{{"message_id": "2@example.com", "recipient": "bob@example.net", "time": "{now}", "campaign": "c"}}\n'
        assert command(serve, "sends", "register", "-", stdin=line.encode()).startswith(
            "1 taken, 1 of them new"
        )
        assert command(serve, "sends", "delivered", "-", stdin=line.encode()).startswith(
            "1 taken, 1 of them new"
        )
        deliver(
            serve,
            write_dsn(recipient="bob@example.net", returned_id="<2@example.com>"),
            "bounces@example.com",
        )
        bob = proof(serve, "bob@example.net")
        assert (bob.trust, bob.matched_by, bob.campaign) == (Trust.MATCHED, Match.MESSAGE_ID, "c")

        replayed = tmp_path / "eve.eml"
        eve = return_path(Key.parse(NEW), "eve@example.net", domain="bounces.example.com")
        replayed.write_bytes(
            f"Delivered-To: {eve}\n".encode() + write_dsn(recipient="eve@example.net", number=3)
        )
        serve.configure(sections=f'[correlation]\nkeys = ["{NEW}", "{OLD}"]\n')
        serve.signal(signal.SIGHUP)
        wait(lambda: '"event":"reloaded"' in serve.log(), "the settings are not read again", log=serve.log)
        command(serve, "replay", str(replayed))
        assert proof(serve, "eve@example.net").matched_by is Match.TOKEN_INSIDE

        assert command(serve, "sends", "purge", "--older", "0s") == "1 forgotten\n"
        assert "secret-of" not in serve.log()
        assert "staple" not in serve.log()
