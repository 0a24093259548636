"""Accounts under a server, and under a poll that goes on: news, faults, signals, and what is told of it."""

import signal
import urllib.request

import pytest
from mailboxes.dovecot import Dovecot
from mailboxes.poller import Poller, account, ask, faults, processed, report
from serve.harness import Serve, wait


def page(serve):
    host, port = serve.web
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def fetch(tmp_path, dovecot, user):
    """``fetch(poll_interval=...)``: a server with the user's account."""
    running = []

    def started(*more, **options):
        serve = Serve(tmp_path, sections="\n".join([account(dovecot, user, **options), *more]))
        running.append(serve)
        return serve.start()

    yield started
    for serve in running:
        serve.kill()


def wait_processed(serve, number, patience=60):
    wait(lambda: processed(serve.database) >= number, f"not {number} are processed", patience, log=serve.log)


def test_mail_is_fetched_as_soon_as_the_server_tells_of_it(dovecot, user, fetch):
    dovecot.put(user, [report(0)])
    serve = fetch(poll_interval=300)
    wait_processed(serve, 1)
    dovecot.put(user, [report(1)])
    wait_processed(serve, 2)
    wait(lambda: dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 2, "not flagged")
    assert serve.stop() == 0
    assert faults(serve.database, 2) == []


def test_without_idle_it_looks_again_and_again(dovecot, user, fetch):
    serve = fetch(poll_interval=1, idle=False)
    dovecot.put(user, [report(0)])
    wait_processed(serve, 1)


def test_a_connection_that_is_kicked_comes_back(dovecot, user, fetch):
    serve = fetch(poll_interval=300)
    dovecot.put(user, [report(0)])
    wait_processed(serve, 1)
    before = dovecot.logins()
    dovecot.doveadm("kick", user)
    wait(lambda: dovecot.logins() > before, "it does not come back", 60, log=serve.log)
    dovecot.put(user, [report(1)])
    wait_processed(serve, 2)
    assert "account failed" in serve.log()


def test_metrics_tell_how_accounts_do(dovecot, user, fetch):
    dovecot.put(user, [report(0)])
    serve = fetch(account(dovecot, "stranger", password="wrong"))
    wait_processed(serve, 1)
    told = f'dsn_processor_account_mails_total{{account="{user}",result="stored"}} 1.0'
    wait(lambda: told in page(serve), "not told", log=serve.log)
    wait(lambda: f'dsn_processor_account_up{{account="{user}"}} 1.0' in page(serve), "not told")
    failures = 'dsn_processor_account_failures_total{account="stranger"} 1.0'
    wait(lambda: failures in page(serve), "not told", log=serve.log)
    assert 'dsn_processor_account_up{account="stranger"} 0.0' in page(serve)
    [(later,)] = ask(
        serve.database,
        "SELECT (julianday(next_try_at) - julianday(error_at)) * 86400 FROM mailbox_account WHERE account = 'stranger'",
    )
    assert 890 < later < 910  # a refused login is not tried again soon: that locks accounts
    assert "wrong" not in serve.log()


def test_sighup_takes_new_accounts_and_leaves_old_ones(dovecot, user, fetch):
    other = f"{user}b"
    dovecot.put(user, [report(0)])
    dovecot.put(other, [report(1)])
    serve = fetch()
    wait_processed(serve, 1)
    serve.configure(sections=account(dovecot, other))
    serve.signal(signal.SIGHUP)
    wait_processed(serve, 2)
    assert f'dsn_processor_account_up{{account="{user}"}}' not in page(serve)
    dovecot.put(user, [report(3)])
    dovecot.put(other, [report(2)])
    wait_processed(serve, 3)
    assert serve.stop() == 0
    assert faults(serve.database, 3) == []


def test_a_poll_hands_over_to_the_server_that_runs(dovecot, user, fetch, tmp_path):
    serve = fetch()
    dovecot.put(f"{user}b", map(report, range(3)))
    other = tmp_path / "other"
    other.mkdir()
    poller = Poller(
        other, account(dovecot, f"{user}b", after="move", processed_folder="Done", poll_interval=1)
    )
    ran = poller.once("--db", f"sqlite:///{serve.database}")
    assert ran.returncode == 0, ran.stderr
    assert faults(serve.database, 3) == []
    assert dovecot.count(f"{user}b", "Done") == 3
    again = poller.once("--db", f"sqlite:///{serve.database}")
    assert again.stdout.startswith("0 mails")
    poller.database = serve.database
    with poller.start("--db", f"sqlite:///{serve.database}"):
        dovecot.put(f"{user}b", [report(3)])
        poller.wait_processed(4)
        assert serve.stop() == 0
        dovecot.put(f"{user}b", [report(4)])
        poller.wait_said("went away")
        serve.start()
        poller.wait_processed(5)
        assert poller.stop() == 0
    assert faults(serve.database, 5) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_poll_ends_in_good_order(dovecot, user, tmp_path, number):
    dovecot.put(user, map(report, range(50)))
    poller = Poller(tmp_path, account(dovecot, user, batch=5))
    with poller:
        poller.wait_processed(5)
        assert poller.stop(number) == 0
    ran = poller.once()
    assert ran.returncode == 0, ran.stderr
    assert faults(poller.database, 50) == []


def test_a_server_that_is_away_is_waited_for(tmp_path, user):
    with Dovecot() as dovecot:
        dovecot.put(user, [report(0)])
        poller = Poller(tmp_path, account(dovecot, user, poll_interval=1, timeout=2))
        with poller:
            poller.wait_processed(1)
            dovecot.stop()
            poller.wait_said("account failed", 2)
            dovecot.start()
            dovecot.put(user, [report(1)])
            poller.wait_processed(2)
            before = poller.log().count("account failed")
            dovecot.pause()
            poller.wait_said("no answer within 2 s", 1)
            dovecot.resume()
            dovecot.put(user, [report(2)])
            poller.wait_processed(3)
            assert poller.log().count("account failed") > before
            assert poller.stop() == 0
        assert faults(poller.database, 3) == []
