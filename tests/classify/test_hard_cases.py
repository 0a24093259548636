"""Replies that are easily misread: texts against codes, providers against registries, blocks against dead addresses."""

import re
from pathlib import Path

import pytest

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.reading import read
from dsn_processor.terms import Action

FIXTURES = Path(__file__).parents[2] / "fixtures_eml"


def judged(text, *, status=None, host=None, address="x@example.net", action="failed", **fields):
    reply = parse_reply(text)
    return judge(
        RecipientReport(
            address=address,
            action=Action(action),
            status=status or reply.status,
            reply_code=reply.reply_code,
            diagnostic_code=text or None,
            remote_mta=host,
            **({"smtp_command": find_command(text)} | fields),
        )
    )


MICROSOFT = "example-net.mail.protection.outlook.com"
GOOGLE = "gmail-smtp-in.l.google.com"
YAHOO = "mta5.am0.yahoodns.net"
APPLE = "mx01.mail.icloud.com"

CASES = [
    ("D1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [x.prod.protection.outlook.com]", None, "hard", "user_unknown"),
    ("D1", "550 5.1.4 Recipient address rejected: Access denied", MICROSOFT, "hard", "user_unknown"),
    ("D2", "550 5.4.1 Relay Access Denied", MICROSOFT, "soft", "relay_denied"),
    ("D3", "554 5.7.1 <x@example.net>: Recipient address rejected: Access denied", None, "hard", "recipient_rejected"),
    ("D4", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", MICROSOFT, "block", "ip_blocklisted"),
    ("D5", "550 5.7.1 Requested action not taken: mailbox not available", None, "hard", "user_unknown"),
    ("D6", "553 sorry, no mailbox here by that name (#5.7.1)", None, "hard", "user_unknown"),
    ("D7", "550 5.1.1 <x@example.net> - 192.0.2.0 has sent to too many recipients this hour. IB607", None, "block", "rate_limited"),
    ("D8", "550 5.2.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted using SPAMHAUS-XBL", None, "block", "ip_blocklisted"),
    ("D9", "452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp - gsmtp", GOOGLE, "soft", "mailbox_full"),
    ("D10", "552-5.2.2 The email account that you tried to reach is over quota and inactive. 552 5.2.2 https://support.google.com/mail/?p=OverQuotaPerm - gsmtp", GOOGLE, "hard", "mailbox_abandoned"),
    ("D11", "552 5.2.2 <x@icloud.com>: user is over quota", APPLE, "soft", "mailbox_full"),
    ("D12", "550 5.2.2 Submission quota exceeded", MICROSOFT, "block", "rate_limited"),
    ("D13", "552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full", None, "soft", "mailbox_full"),
    ("D14", "554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]", YAHOO, "hard", "user_unknown"),
    ("D15", "554 delivery error: dd Sorry. This mailbox is disabled (554.30).", YAHOO, "hard", "mailbox_disabled"),
    ("D16", "552 1 Requested mail action aborted, mailbox not found", YAHOO, "hard", "user_unknown"),
    ("D17", "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed", YAHOO, "block", "reputation"),
    ("D18", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", YAHOO, "block", "reputation"),
    ("D19", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient x@example.net not found by SMTP address lookup", None, "hard", "user_unknown"),
    ("D21", "550 5.7.504 Recipient address rejected: Access denied", MICROSOFT, "hard", "user_unknown"),
    ("D21", "550 5.7.505 Access denied, banned recipient", MICROSOFT, "hard", "user_unknown"),
    ("D22", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", MICROSOFT, "block", "ip_blocklisted"),
    ("D22", "550 5.7.511 Access denied, banned sender", MICROSOFT, "block", "sender_rejected"),
    ("D23", "451 4.7.650 Access denied, please try again later", MICROSOFT, "block", "reputation"),
    ("D23", "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS761)", MICROSOFT, "soft", "server_unavailable"),
    ("D24", "550 5.7.124 Sender not in allowed-senders list", MICROSOFT, "block", "recipient_restricted"),
    ("D24", "550 5.7.133 Sender not authenticated for group", MICROSOFT, "block", "recipient_restricted"),
    ("D24", "550 5.7.13 no", MICROSOFT, "block", "recipient_restricted"),
    ("D25", "550 5.2.121 Recipient's per hour message receive limit was exceeded", MICROSOFT, "soft", "recipient_rate_limited"),
    ("D25", "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", None, "soft", "recipient_rate_limited"),
    ("D26", "550 5.0.350 Remote server returned an error -> 550 x-dg-ref header is too long", MICROSOFT, "block", "content_format"),
    ("D27", "550 5.4.300 Message expired -> 451 4.4.0 no", MICROSOFT, "soft", "expired"),
    ("D27", "550 4.4.7 QUEUE.Expired; message expired", None, "soft", "expired"),
    ("D28", "550 5.7.515 Access denied, sending domain EXAMPLE.ORG does not meet the required authentication level", MICROSOFT, "block", "auth_failed"),
    ("D28", "550 5.7.509 Access denied, sending domain does not pass DMARC verification", MICROSOFT, "block", "auth_failed"),
    ("D29", "550-5.7.1 [192.0.2.1] Our system has detected that this message is likely unsolicited mail", GOOGLE, "block", "spam_content"),
    ("D30", "550 5.7.26 This message fails the sender's DMARC policy", GOOGLE, "block", "auth_failed"),
    ("D30", "550-5.7.1 Unauthenticated email from example.org is not accepted due to domain's", None, "block", "auth_failed"),
    ("D31", "421-4.7.28 Our system has detected an unusual rate of mail originating from your IP", GOOGLE, "soft", "rate_limited"),
    ("D31", "421 4.7.23 The sending IP has no PTR", GOOGLE, "block", "ptr_missing"),
    ("D32", "450-4.2.1 The user you are trying to contact is receiving mail at a rate that", None, "soft", "recipient_rate_limited"),
    ("D32", "450 User is receiving mail too quickly", YAHOO, "soft", "recipient_rate_limited"),
    ("D33", "550 5.1.1 <x@icloud.com>: inactive email address", APPLE, "hard", "mailbox_disabled"),
    ("D34", "550 5.1.6 recipient no longer on server: x@icloud.com", APPLE, "hard", "mailbox_moved"),
    ("D35", "421 4.7.1 Messages to x@icloud.com deferred due to excessive volume", APPLE, "soft", "rate_limited"),
    ("D36", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", None, "hard", "user_unknown"),
    ("D37", "550 Utilisateur inconnu", None, "hard", "user_unknown"),
    ("D38", "450 user path no exist", None, "soft", "user_unknown"),
    ("D38", "450 4.2.0 mailbox unavailable", None, "soft", "user_unknown"),
    ("D38", "450 4.1.1 <x@example.net>: Recipient address rejected: User unknown", None, "soft", "user_unknown"),
    ("D39", "552-5.7.0 This message was blocked because its content presents a potential security issue", GOOGLE, "block", "prohibited_attachment"),
    ("D40", "554 <x@example.net>: Relay access denied", None, "soft", "relay_denied"),
    ("D40", "550 Relaying denied", None, "soft", "relay_denied"),
    ("D41", "554 5.7.1 Service unavailable; message blocked using multi.uribl.com", None, "block", "spam_content"),
    ("D42", "Unrouteable address", None, "hard", "domain_not_found"),
    ("D42", "host lookup did not complete", None, "soft", "dns_failure"),
    ("D55", "550 5.7.1 [internal] recipient address suppressed due to customer policy", None, "hard", "suppressed_upstream"),
    ("D55", "550 5.1.1 Amazon SES did not send the message because the recipient is on the suppression list", None, "hard", "suppressed_upstream"),
    ("D1", "550 5.4.1 All recipient addresses rejected : Access denied [x.prod.protection.outlook.com]", MICROSOFT, "hard", "user_unknown"),
    ("D12", "550 5.2.2 SubmissionQuotaExceededException; submission quota exceeded", MICROSOFT, "block", "rate_limited"),
    ("D22", "550 5.7.649 Access denied, banned sending IP [192.0.2.1]", MICROSOFT, "block", "ip_blocklisted"),
    ("D23", "451 4.7.899 Access denied, please try again later", MICROSOFT, "block", "reputation"),
    ("D24", "550 5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required", MICROSOFT, "block", "recipient_restricted"),
    ("D24", "550 5.7.135 RESOLVER.RST.SenderNotAuthenticatedForMailPublicFolder", MICROSOFT, "block", "recipient_restricted"),
    ("D24", "550 5.7.136 RESOLVER.RST.SenderNotAuthenticatedForMailUser", MICROSOFT, "block", "recipient_restricted"),
    ("D24", "550 5.7.12 Sender was not authenticated by organization", MICROSOFT, "block", "recipient_restricted"),
    ("D25", "550 5.2.122 The recipient has exceeded their limit for messages per hour", MICROSOFT, "soft", "recipient_rate_limited"),
    ("D41", "500 5.7.1 Symantec Zodiac", None, "block", "ip_blocklisted"),
    ("D42", 'unrouteable mail domain "nosuch.example"', None, "hard", "domain_not_found"),
]  # fmt: skip


@pytest.mark.parametrize(
    "number, text, host, bounce_type, reason", CASES, ids=[f"{case[0]}-{case[1][:48]}" for case in CASES]
)
def test_hard_case(number, text, host, bounce_type, reason):
    verdict = judged(text, host=host)
    assert (verdict.bounce_type, verdict.reason) == (bounce_type, reason), verdict.rule_id


# What a report says outside any reply.
NOTICES = [
    ("D20", "Your message to x@example.net couldn't be delivered. x wasn't found at example.net.", "hard", "user_unknown"),
    ("D37", "Ihre Nachricht wurde nicht zugestellt, weil die Adresse nicht gefunden wurde oder keine E-Mails empfangen kann", "hard", "user_unknown"),
    ("D37", "Kotak masuk penerima penuh", "soft", "mailbox_full"),
    ("D43", "Your message to <x@example.net> was automatically rejected: Quota exceeded", "soft", "mailbox_full"),
]  # fmt: skip


@pytest.mark.parametrize(
    "number, text, bounce_type, reason", NOTICES, ids=[f"{case[0]}-{case[1][:48]}" for case in NOTICES]
)
def test_hard_notice(number, text, bounce_type, reason):
    verdict = judged("", explanation=text)
    assert (verdict.bounce_type, verdict.reason) == (bounce_type, reason), verdict.rule_id


# What only a whole mail shows: the fixture, its kind, and what is said of its first recipient.
MAILS = [
    ("D20", "dsn/microsoft365/html-only", "failed", "hard", "user_unknown"),
    ("D42", "dsn/exim/unrouteable-address", "failed", "hard", "domain_not_found"),
    ("D43", "dsn/dovecot/lda-over-quota-as-mdn", "failed", "soft", "mailbox_full"),
    ("D44", "dsn/cisco-esa/supplementary-info", "failed", "hard", "user_unknown"),
    ("D45", "dsn/sendmail/timed-out", "failed", "soft", "network_error"),
    ("D46", "malformed/action-error", "failed", "hard", "user_unknown"),
    ("D47", "autoreply/en/exchange", "auto_reply", None, None),
    ("D48", "dsn/postfix/relayed", "relayed", None, None),
    ("D49", "dsn/exchange/2010-delivery-delayed", "delayed", "soft", "expired"),
]


@pytest.mark.parametrize(
    "number, name, kind, bounce_type, reason", MAILS, ids=[f"{case[0]}-{case[1]}" for case in MAILS]
)
def test_hard_mail(number, name, kind, bounce_type, reason):
    found = read((FIXTURES / f"{name}.eml").read_bytes())
    verdict = next((one for one in found.verdicts if one), None)
    assert found.parsed.kind == kind
    assert (verdict and verdict.bounce_type, verdict and verdict.reason) == (bounce_type, reason)


def test_hard_mail_d53_a_report_need_not_come_from_a_mailer_daemon():
    raw = (FIXTURES / "dsn/postfix/delayed-and-delivered.eml").read_bytes()
    renamed = re.sub(rb"(?m)^From: .*$", b"From: delivery-status@example.com", raw, count=1)
    assert renamed != raw
    known, found = read(raw), read(renamed)
    assert (found.parsed.kind, found.parsed.recipients) == (known.parsed.kind, known.parsed.recipients)


def test_every_hard_case_is_here():
    """Five of them are about history, lists and forwarding, and not about what one mail says."""
    here = {case[0] for case in (*CASES, *NOTICES, *MAILS)} | {"D53"}
    assert here == {f"D{n}" for n in range(1, 57)} - {"D50", "D51", "D52", "D54", "D56"}


def test_a_final_4xx_after_the_queue_time_takes_its_told_cause():
    verdict = judged(
        "554 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.2 Connection timed out>"
    )
    assert (verdict.bounce_type, verdict.reason) == ("soft", "network_error")
    assert judged("", status="4.4.7").reason == "expired"
    assert judged("", status="4.4.1").reason == "network_error"
    suspended = judged(
        "delivery temporarily suspended: connect to mx.example.net[192.0.2.1]:25: Connection refused"
    )
    assert (suspended.bounce_type, suspended.reason) == ("soft", "network_error")
