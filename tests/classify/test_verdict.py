"""The order of evidence, and how sure each step may be."""

import pytest

from dsn_processor.classify.match import LIMIT, RuleBook
from dsn_processor.classify.rules import Rule, Tables
from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport
from dsn_processor.parse.replies import parse_reply
from dsn_processor.terms import REASONS, Action, BounceType, Reason


def report(**fields):
    return RecipientReport(address="x@example.net", **fields)


@pytest.mark.parametrize("code", [550, 553, 521, 554])
def test_a_bare_reply_code_tells_nothing_even_at_rcpt(code):
    verdict = judge(report(reply_code=code, status="5.0.0", smtp_command="RCPT", diagnostic_code=str(code)))
    assert (verdict.bounce_type, verdict.confidence <= 0.5) == ("undetermined", True)


def test_a_bare_5_1_0_tells_nothing():
    verdict = judge(report(status="5.1.0"))
    assert (verdict.bounce_type, verdict.confidence <= 0.5) == ("undetermined", True)


def test_words_that_refuse_the_recipient_without_a_cause_are_never_sure():
    verdict = judge(
        report(reply_code=550, diagnostic_code="550 <x@example.net>: Recipient address rejected.")
    )
    assert (verdict.reason, verdict.confidence <= 0.6) == ("recipient_rejected", True)


def test_a_dead_member_does_not_make_the_alias_surely_dead():
    words = "member@example.org{} no such person here"
    of_alias = judge(report(explanation=words.format(" (generated from X@example.net)")))
    alone = judge(report(explanation=words.format("")))
    assert (
        (of_alias.reason, of_alias.bounce_type)
        == (alone.reason, alone.bounce_type)
        == ("user_unknown", "hard")
    )
    assert of_alias.confidence <= 0.85
    assert alone.confidence >= 0.9


def test_words_win_against_a_generic_and_a_wrong_code():
    assert judge(report(status="5.7.1", diagnostic_code="550 5.7.1 user unknown")).reason == "user_unknown"
    blocked = "550 5.1.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"
    assert judge(report(status="5.1.1", diagnostic_code=blocked)).reason == "ip_blocklisted"


def test_a_specific_code_wins_against_vague_words_and_a_generic_one_does_not():
    assert judge(report(status="5.1.1", diagnostic_code="550 5.1.1 Access denied")).reason == "user_unknown"
    assert (
        judge(report(status="5.7.1", diagnostic_code="550 5.7.1 Recipient rejected")).reason
        == "recipient_rejected"
    )


def test_the_frame_of_a_cause_loses_to_what_it_frames():
    text = "550 <x@example.net>: Recipient address rejected: blocked by policy"
    assert judge(report(diagnostic_code=text)).reason == "policy"


def test_a_code_in_the_diagnostic_counts_where_status_says_nothing():
    assert judge(report(status="5.0.0", diagnostic_code="550 (nothing) 5.1.1 said")).reason == "user_unknown"


def test_the_diagnostic_is_judged_before_the_report_s_own_text():
    verdict = judge(report(diagnostic_code="550 User unknown", explanation="The mailbox is full"))
    assert (verdict.reason, verdict.evidence[0].source) == ("user_unknown", "diagnostic_code")


def test_a_list_of_possible_causes_tells_none():
    text = "This may be since the user is unknown, the mailbox is full, or the message is too large."
    assert judge(report(explanation=text)).bounce_type == "undetermined"


def test_of_equal_phrases_in_the_text_the_one_that_agrees_with_status_wins():
    text = "a@example.net: user unknown b@example.net: 5.7.26 the sender is unauthenticated"
    assert judge(report(status="5.1.1", explanation=text)).reason == "user_unknown"


def test_words_in_an_address_are_not_words_of_the_reply():
    text = "552 5.2.2 <no-such-user.spam@blacklist.example>: Mailbox full"
    assert judge(report(diagnostic_code=text)).reason == "mailbox_full"


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.UNDETERMINED])
def test_the_class_of_the_reply_decides_hard_or_soft(reason):
    """Hard on 5xx is soft on 4xx alone; a block stays one, but for rate limits."""
    book = RuleBook(Tables((Rule("r", reason, ("these words",)),), (), {}, ()))
    permanent, temporary = (
        judge(report(diagnostic_code="these words", reply_code=code), book=book).bounce_type
        for code in (550, 450)
    )
    softened = reason is Reason.RATE_LIMITED or REASONS[reason][0] is BounceType.HARD
    assert permanent == REASONS[reason][0]
    assert temporary == ("soft" if softened else permanent)


def test_classes_that_disagree_lower_the_confidence_of_a_hard_verdict():
    text = "550 4.1.1 <x@example.net>... User unknown"
    verdict = judge(report(status="4.1.1", reply_code=550, diagnostic_code=text))
    assert (verdict.bounce_type, verdict.confidence < 0.9) == ("hard", True)
    assert (
        judge(report(status="5.1.1", reply_code=550, diagnostic_code="550 5.1.1 User unknown")).confidence
        >= 0.9
    )


@pytest.mark.parametrize(
    "command, reason", [("MAIL", "sender_rejected"), ("CONNECT", "policy"), ("EOD", "policy")]
)
def test_the_refused_command_tells_a_little(command, reason):
    verdict = judge(report(reply_code=554, status="5.0.0", smtp_command=command))
    assert (verdict.reason, verdict.bounce_type, verdict.confidence <= 0.5) == (reason, "block", True)


def test_words_in_reply_to_mail_are_about_the_sender():
    verdict = judge(report(reply_code=550, smtp_command="MAIL", diagnostic_code="550 User unknown"))
    assert (verdict.reason, verdict.bounce_type) == ("sender_rejected", "block")
    refused = report(reply_code=521, smtp_command="CONNECT", diagnostic_code="521 Host does not accept mail")
    assert judge(refused).reason == "domain_null_mx"


def test_what_will_be_tried_again_is_soft_though_no_cause_is_told():
    verdict = judge(report(action=Action.DELAYED))
    assert (verdict.bounce_type, verdict.reason) == ("soft", "undetermined")


def test_a_host_without_a_reply_is_a_matter_of_the_network():
    assert (
        judge(report(action=Action.DELAYED, status="4.0.0", remote_mta="mx.example.net")).reason
        == "network_error"
    )


def test_an_exit_code_is_read_as_sysexits():
    verdict = judge(report(diagnostic_type="X-Unix", diagnostic_code="67", status="5.3.0"))
    assert (verdict.reason, verdict.rule_id) == ("user_unknown", "exit-67")


def test_a_bounce_category_is_evidence():
    assert judge(report(status="5.0.0", bounce_category="bad-mailbox")).rule_id == "category-bad-mailbox"


def test_the_trace_begins_with_the_winner_and_goes_on_with_the_losers():
    recipient = report(
        status="5.7.1", reply_code=550, diagnostic_code="550 5.7.1 User unknown. Access denied"
    )
    verdict = judge(recipient, trace=True)
    assert [one.step for one in verdict.candidates][:2] == ["phrase", "vague phrase"]
    assert verdict.candidates[0].rule_id == verdict.rule_id
    assert {"status", "reply code", "action"} <= {one.step for one in verdict.candidates}
    assert judge(recipient).candidates == ()


def test_evidence_is_short_and_holds_the_words():
    text = f"550 {'x ' * 500} user unknown {'y ' * 500}"
    (evidence,) = judge(report(diagnostic_code=text)).evidence
    assert len(evidence.text) <= 300
    assert "user unknown" in evidence.text


def test_text_beyond_the_limit_is_not_looked_at():
    assert judge(report(diagnostic_code="x " * LIMIT + "user unknown")).reason == "undetermined"


@pytest.mark.parametrize(
    ("told", "original", "sure"),
    [
        ("550 5.1.1 <bob@example.net>: User unknown", None, True),
        ("550 5.1.1 <Bob@mx.example.org>: User unknown", None, True),
        ("550 5.1.1 User unknown", None, True),
        ("550 5.1.1 <ann@example.net>: User unknown", None, False),
        ("550 5.1.1 <ann@example.net>: User unknown", "ann@example.org", True),
        ("550 5.1.1 <ann@example.net> <bob@example.net>: User unknown", None, True),
    ],
)
def test_a_reply_about_somebody_else_is_no_sure_word_on_this_recipient(told, original, sure):
    verdict = judge(
        RecipientReport(address="bob@example.net", original=original, diagnostic_code=told, reply_code=550)
    )
    assert verdict.bounce_type is BounceType.HARD
    assert (verdict.confidence >= 0.9) is sure


@pytest.mark.parametrize(
    ("told", "sure"),
    [
        ("550 5.1.1 User unknown", True),
        ("550 5.1.1 Recipient unknown, please tell the sender of the recipient", True),
        ("550 5.1.1 no such user. Sender verified", False),
        ("550 MAIL FROM: no such user", False),
        ("550 5.1.1 user unknown or you are on our blocklist", False),
        ("535 5.1.1 user unknown", False),
    ],
)
def test_words_about_us_make_a_dead_address_doubtful(told, sure):
    reply = parse_reply(told)
    verdict = judge(
        RecipientReport(address="bob@example.net", diagnostic_code=told, reply_code=reply.reply_code)
    )
    assert (verdict.bounce_type is BounceType.HARD and verdict.confidence >= 0.9) is sure


@pytest.mark.parametrize(
    ("told", "sure"),
    [
        ("550 5.1.2 Recipient domain does not exist", True),
        ("550 5.7.1 Your host does not exist in our list of partners", False),
        ("554 5.7.1 Message rejected: URL domain does not exist", False),
    ],
)
def test_a_domain_that_policy_misses_may_be_any(told, sure):
    verdict = judge(report(diagnostic_code=told, status=told[4:9], reply_code=int(told[:3])))
    assert (verdict.bounce_type, verdict.reason) == ("hard", "domain_not_found")
    assert (verdict.confidence >= 0.9) is sure


def test_without_an_address_no_reply_is_about_somebody_else():
    verdict = judge(RecipientReport(address="", diagnostic_code="550 5.1.1 <bob@example.net>: User unknown"))
    assert verdict.confidence >= 0.9
