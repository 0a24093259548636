"""quarantine: what met a fault of ours twice is seen, and tried again."""

import json

import pytest

from dsn_processor import pipeline
from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import accept, process
from dsn_processor.record.store import Store
from dsn_processor.terms import MessageState


@pytest.fixture
def broken(url, write_dsn, monkeypatch):
    """A database with one mail in quarantine and one that is well. Returns the first one's id."""
    with Store.open(url) as store:
        bad = accept(store, InboundMessage(write_dsn(number=1), "smtp")).id
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "read", lambda *_: 1 / 0)
            process(store, bad)
            process(store, bad)
        process(
            store,
            accept(store, InboundMessage(write_dsn(number=2, returned_id="<2@example.com>"), "smtp")).id,
        )
    return bad


def test_list_tells_what_went_wrong(cli, url, broken):
    code, out, _ = cli("quarantine", "list", "--db", url)
    assert code == 0
    assert "ZeroDivisionError" in out
    assert len(out.splitlines()) == 2
    code, out, _ = cli("quarantine", "list", "--json", "--db", url)
    [line] = out.splitlines()
    told = json.loads(line)
    assert (told["id"], told["attempts"], told["source"]) == (broken, 2, "smtp")


def test_list_of_none_says_so(cli, url):
    with Store.open(url):
        pass
    assert cli("quarantine", "list", "--db", url)[:2] == (0, "nothing is quarantined\n")
    assert cli("quarantine", "list", "--json", "--db", url)[:2] == (0, "")


def test_show_is_that_of_any_mail(cli, url, broken):
    code, out, _ = cli("quarantine", "show", str(broken), "--db", url)
    assert code == 0
    assert "ZeroDivisionError" in out
    assert (
        json.loads(cli("quarantine", "show", str(broken), "--json", "--db", url)[1])["state"] == "quarantined"
    )


@pytest.mark.parametrize("which", ["--all", "id"])
def test_retry_processes_it(cli, url, broken, which):
    code, out, _ = cli("quarantine", "retry", str(broken) if which == "id" else which, "--db", url)
    assert (code, out) == (0, "1 processed, 0 failed again\n")
    with Store.open(url) as store:
        assert store.message(broken).state is MessageState.PROCESSED
        assert store.stats().events == 2


def test_retry_that_fails_again_leaves_it_there(cli, url, broken, monkeypatch):
    monkeypatch.setattr(pipeline, "read", lambda *_: {}["x"])
    code, out, err = cli("quarantine", "retry", "--all", "--db", url)
    assert (code, out) == (1, "0 processed, 1 failed again\n")
    assert "KeyError" in err
    with Store.open(url) as store:
        assert store.message(broken).state is MessageState.QUARANTINED


def test_retry_of_what_is_not_there(cli, url, broken):
    code, _, err = cli("quarantine", "retry", "99", str(broken), "--db", url)
    assert code == 1
    assert "mail 99 is not quarantined" in err
    assert "mail 1 is" not in err


def test_retry_has_to_be_told_which(cli, url, broken):
    assert cli("quarantine", "retry", "--db", url)[0] == 2
