"""Replies that are easily misread: texts against codes, providers against registries, blocks against dead addresses."""

import pytest

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.terms import Action


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
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [x.prod.protection.outlook.com]", None, "hard", "user_unknown"),
    ("550 5.1.4 Recipient address rejected: Access denied", MICROSOFT, "hard", "user_unknown"),
    ("550 5.4.1 Relay Access Denied", MICROSOFT, "soft", "relay_denied"),
    ("554 5.7.1 <x@example.net>: Recipient address rejected: Access denied", None, "hard", "recipient_rejected"),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", MICROSOFT, "block", "ip_blocklisted"),
    ("550 5.7.1 Requested action not taken: mailbox not available", None, "hard", "user_unknown"),
    ("553 sorry, no mailbox here by that name (#5.7.1)", None, "hard", "user_unknown"),
    ("550 5.1.1 <x@example.net> - 192.0.2.0 has sent to too many recipients this hour. IB607", None, "block", "rate_limited"),
    ("550 5.2.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted using SPAMHAUS-XBL", None, "block", "ip_blocklisted"),
    ("452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp - gsmtp", GOOGLE, "soft", "mailbox_full"),
    ("552-5.2.2 The email account that you tried to reach is over quota and inactive. 552 5.2.2 https://support.google.com/mail/?p=OverQuotaPerm - gsmtp", GOOGLE, "hard", "mailbox_abandoned"),
    ("552 5.2.2 <x@icloud.com>: user is over quota", APPLE, "soft", "mailbox_full"),
    ("550 5.2.2 Submission quota exceeded", MICROSOFT, "block", "rate_limited"),
    ("552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full", None, "soft", "mailbox_full"),
    ("554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]", YAHOO, "hard", "user_unknown"),
    ("554 delivery error: dd Sorry. This mailbox is disabled (554.30).", YAHOO, "hard", "mailbox_disabled"),
    ("552 1 Requested mail action aborted, mailbox not found", YAHOO, "hard", "user_unknown"),
    ("553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed", YAHOO, "block", "reputation"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", YAHOO, "block", "reputation"),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient x@example.net not found by SMTP address lookup", None, "hard", "user_unknown"),
    ("550 5.7.504 Recipient address rejected: Access denied", MICROSOFT, "hard", "user_unknown"),
    ("550 5.7.505 Access denied, banned recipient", MICROSOFT, "hard", "user_unknown"),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", MICROSOFT, "block", "ip_blocklisted"),
    ("550 5.7.511 Access denied, banned sender", MICROSOFT, "block", "sender_rejected"),
    ("451 4.7.650 Access denied, please try again later", MICROSOFT, "block", "reputation"),
    ("451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS761)", MICROSOFT, "soft", "server_unavailable"),
    ("550 5.7.124 Sender not in allowed-senders list", MICROSOFT, "block", "recipient_restricted"),
    ("550 5.7.133 Sender not authenticated for group", MICROSOFT, "block", "recipient_restricted"),
    ("550 5.7.13 no", MICROSOFT, "block", "recipient_restricted"),
    ("550 5.2.121 Recipient's per hour message receive limit was exceeded", MICROSOFT, "soft", "recipient_rate_limited"),
    ("432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", None, "soft", "recipient_rate_limited"),
    ("550 5.0.350 Remote server returned an error -> 550 x-dg-ref header is too long", MICROSOFT, "block", "content_format"),
    ("550 5.4.300 Message expired -> 451 4.4.0 no", MICROSOFT, "soft", "expired"),
    ("550 4.4.7 QUEUE.Expired; message expired", None, "soft", "expired"),
    ("550 5.7.515 Access denied, sending domain EXAMPLE.ORG does not meet the required authentication level", MICROSOFT, "block", "auth_failed"),
    ("550 5.7.509 Access denied, sending domain does not pass DMARC verification", MICROSOFT, "block", "auth_failed"),
    ("550-5.7.1 [192.0.2.1] Our system has detected that this message is likely unsolicited mail", GOOGLE, "block", "spam_content"),
    ("550 5.7.26 This message fails the sender's DMARC policy", GOOGLE, "block", "auth_failed"),
    ("550-5.7.1 Unauthenticated email from example.org is not accepted due to domain's", None, "block", "auth_failed"),
    ("421-4.7.28 Our system has detected an unusual rate of mail originating from your IP", GOOGLE, "soft", "rate_limited"),
    ("421 4.7.23 The sending IP has no PTR", GOOGLE, "block", "ptr_missing"),
    ("450-4.2.1 The user you are trying to contact is receiving mail at a rate that", None, "soft", "recipient_rate_limited"),
    ("450 User is receiving mail too quickly", YAHOO, "soft", "recipient_rate_limited"),
    ("550 5.1.1 <x@icloud.com>: inactive email address", APPLE, "hard", "mailbox_disabled"),
    ("550 5.1.6 recipient no longer on server: x@icloud.com", APPLE, "hard", "mailbox_moved"),
    ("421 4.7.1 Messages to x@icloud.com deferred due to excessive volume", APPLE, "soft", "rate_limited"),
    ("550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", None, "hard", "user_unknown"),
    ("550 Utilisateur inconnu", None, "hard", "user_unknown"),
    ("450 user path no exist", None, "soft", "user_unknown"),
    ("450 4.2.0 mailbox unavailable", None, "soft", "user_unknown"),
    ("450 4.1.1 <x@example.net>: Recipient address rejected: User unknown", None, "soft", "user_unknown"),
    ("552-5.7.0 This message was blocked because its content presents a potential security issue", GOOGLE, "block", "prohibited_attachment"),
    ("554 <x@example.net>: Relay access denied", None, "soft", "relay_denied"),
    ("550 Relaying denied", None, "soft", "relay_denied"),
    ("554 5.7.1 Service unavailable; message blocked using multi.uribl.com", None, "block", "spam_content"),
    ("Unrouteable address", None, "hard", "domain_not_found"),
    ("host lookup did not complete", None, "soft", "dns_failure"),
    ("550 5.7.1 [internal] recipient address suppressed due to customer policy", None, "hard", "suppressed_upstream"),
    ("550 5.1.1 Amazon SES did not send the message because the recipient is on the suppression list", None, "hard", "suppressed_upstream"),
]  # fmt: skip


@pytest.mark.parametrize("text, host, bounce_type, reason", CASES, ids=[case[0][:48] for case in CASES])
def test_hard_case(text, host, bounce_type, reason):
    verdict = judged(text, host=host)
    assert (verdict.bounce_type, verdict.reason) == (bounce_type, reason), verdict.rule_id


def test_german_gmail_text_is_read_from_the_explanation():
    verdict = judged(
        "", explanation="Ihre Nachricht wurde nicht zugestellt, weil die Adresse nicht gefunden wurde"
    )
    assert (verdict.bounce_type, verdict.reason) == ("hard", "user_unknown")


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


def test_an_over_quota_disposition_is_a_full_mailbox():
    verdict = judged(
        "", explanation="Your message to <x@example.net> was automatically rejected: Quota exceeded"
    )
    assert (verdict.bounce_type, verdict.reason) == ("soft", "mailbox_full")
