"""Sendmail's transcript: the server's words stand, Sendmail's translation of them goes."""

import pytest

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.transcript import heard_in_full, without_translation
from dsn_processor.terms import Action

REPORT = RecipientReport(address="a@example.net", action=Action.FAILED, diagnostic_type="smtp")


@pytest.mark.parametrize(
    ("told", "turned"),
    [
        ("550 5.7.1 Only members may post", "550 5.1.1 <a@example.net>... User unknown"),
        ("554 5.7.1 Als Spam eingestuft", "554 5.0.0 Service unavailable"),
        ("552 mailbox full", "554 <a@example.net>... Service unavailable"),
    ],
)
def test_translation_goes_where_the_reply_has_words(told, turned):
    words = f">>> DATA\n<<< {told}\n{turned}\n<<< 554 5.5.1 no valid recipients\nend"
    assert without_translation(words).split("\n") == [">>> DATA", f"<<< {told}", "", "", "end"]


def test_translation_stays_where_the_reply_is_bare():
    words = ">>> DATA\n<<< 550\n550 5.1.1 <a@example.net>... User unknown"
    assert without_translation(words) == words
    assert without_translation("550 5.1.1 <a@example.net>... User unknown").endswith("User unknown")


def test_a_reply_of_several_lines_is_read_to_its_end():
    notice = "... while talking to mx.example.net.:\n<<< 554-mx.example.net ESMTP\n<<< 554-No service\n<<< 554 IP listed\n554 5.0.0 Service unavailable"
    report = heard_in_full(
        REPORT._replace(diagnostic_code="554-mx.example.net ESMTP", reply_code=554), notice
    )
    assert report.diagnostic_code == "554-mx.example.net ESMTP No service IP listed"


def test_other_replies_are_not_joined():
    notice = "<<< 550-first\n<<< 551 second\n"
    report = REPORT._replace(diagnostic_code="550-first", reply_code=550)
    assert heard_in_full(report, notice) == report


@pytest.mark.parametrize("last", ["221 2.0.0 Bye", "554 5.5.1 no valid recipients"])
def test_the_reply_that_put_it_off_counts_and_not_the_last_one(last):
    notice = (
        f"<<< 421 4.7.1 Greylisted\n>>> QUIT\n<<< {last}\n<a@example.net>... Deferred: 421 4.7.1 Greylisted\n"
    )
    report = heard_in_full(REPORT._replace(diagnostic_code=last, reply_code=int(last[:3])), notice)
    assert (report.reply_code, report.diagnostic_code) == (421, "421 4.7.1 Greylisted")


def test_the_reply_that_put_off_somebody_of_a_similar_name_does_not_count():
    notice = "<<< 421 no\n<ba@example.net>... Deferred: 421 4.7.1 Greylisted\n"
    report = REPORT._replace(diagnostic_code="550 no", reply_code=550)
    assert heard_in_full(report, notice) == report


def test_a_refusal_in_the_greeting_names_host_and_connect():
    notice = "... while talking to mx.t-online.de.:\n<<< 554 no\n554 5.0.0 Service unavailable"
    report = heard_in_full(REPORT._replace(diagnostic_code="554 no", reply_code=554), notice)
    assert (report.remote_mta, report.smtp_command) == ("mx.t-online.de", "CONNECT")
    later = heard_in_full(REPORT, "... while talking to mx.example.net.:\n>>> DATA\n<<< 550 no")
    assert (later.remote_mta, later.smtp_command) == ("mx.example.net", None)


def test_an_empty_diagnostic_takes_the_reply_that_put_it_off():
    notice = "<<< 421 Too many\n<a@example.net>... Deferred: 421 Too many\n"
    assert heard_in_full(REPORT, notice).reply_code == 421
