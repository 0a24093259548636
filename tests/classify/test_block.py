"""What a refusal says about itself: the listed IP, the list, the page to ask at, and the mechanism."""

import pytest

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import Block, RecipientReport
from dsn_processor.parse.replies import parse_reply


def block(text, **fields):
    reply = parse_reply(text)
    stated = {"diagnostic_code": reply.text, "status": reply.status, "reply_code": reply.reply_code}
    return judge(RecipientReport(address="x@example.net", **stated | fields)).block


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
            Block(ip="192.0.2.1", list="zen.spamhaus.org", url="https://www.spamhaus.org/query/ip/192.0.2.1", mechanism="dnsbl"),
        ),
        (
            "550 5.7.1 See http://www.spamhaus.org/query/bl?ip=192.0.2.7.",
            Block(ip="192.0.2.7", list="Spamhaus", url="http://www.spamhaus.org/query/bl?ip=192.0.2.7", mechanism="dnsbl"),
        ),
        (
            "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent, since part of their network is on our block list (S3150)",
            Block(ip="192.0.2.1", mechanism="provider_list"),
        ),
        (
            "554 5.7.1 Client host [2001:DB8::25] blocked using b.barracudacentral.org",
            Block(ip="2001:db8::25", list="b.barracudacentral.org", mechanism="dnsbl"),
        ),
        ("554 5.7.1 Message has a URL listed in multi.surbl.org", Block(list="multi.surbl.org", mechanism="content")),
        ("550 5.7.1 SPF check failed for 192.0.2.9", Block(ip="192.0.2.9", mechanism="auth", authentication=("spf",))),
        ("421 4.7.0 too many connections from 192.0.2.9", Block(ip="192.0.2.9", mechanism="rate")),
        ("550 5.1.1 user unknown [192.0.2.1]", None),
        ("550 5.7.1 blocked by policy", None),
    ],
)  # fmt: skip
def test_block(text, expected):
    assert block(text) == expected


def test_a_version_or_an_impossible_address_is_no_ip():
    assert block("550 5.7.1 Blacklisted by filter 4.16.55.1.2 at 999.1.2.3 on 127.0.0.1").ip is None


# Reply, then what stands in it: our IP, the list, where to ask, what failed.
TOLD = [
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net; Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.1", "192.0.2.1", "bl.spamcop.net", "https://www.spamcop.net/bl.shtml?192.0.2.1", ()),
    ("host mx.example.net[203.0.113.5] said: 554 5.7.1 Client host [192.0.2.1] blocked using b.barracudacentral.org; http://www.barracudacentral.org/reputation?r=1&ip=192.0.2.1 (in reply to RCPT TO command)", "192.0.2.1", "b.barracudacentral.org", "http://www.barracudacentral.org/reputation?r=1&ip=192.0.2.1", ()),
    ("SMTP error from remote mail server after RCPT TO:<x@example.net>: host mx.example.net [203.0.113.5]: 550 192.0.2.1 is listed at zen.spamhaus.org (127.0.0.2)", "192.0.2.1", "zen.spamhaus.org", None, ()),
    ("Connected to 203.0.113.5 but greeting failed. Remote host said: 554 Your IP 192.0.2.1 is blacklisted", "192.0.2.1", None, None, ()),
    ("host mx.example.net[203.0.113.5] refused to talk to me: 554 blocked by our blacklist", None, None, None, ()),
    ("550 5.7.1 rejected: 1.2.0.192.zen.spamhaus.org answered 127.0.0.4: blocklisted", "192.0.2.1", "zen.spamhaus.org", None, ()),
    ("550 5.7.1 Rejected: 192.0.2.1 is listed on dnsbl.sorbs.net, see http://www.sorbs.net/lookup.shtml?192.0.2.1", "192.0.2.1", "dnsbl.sorbs.net", "http://www.sorbs.net/lookup.shtml?192.0.2.1", ()),
    ("550 Blacklisted by blacklist.woody.example, your IP is 192.0.2.1", "192.0.2.1", "blacklist.woody.example", None, ()),
    ("554 5.7.1 Client host [192.0.2.1] blocked using rbl.of-nobody.example", "192.0.2.1", "rbl.of-nobody.example", None, ()),
    ('550-"JunkMail rejected - mail.example.org [192.0.2.1]:41234 is in an RBL on rbl.websitewelcome.example, see Blacklisted"', "192.0.2.1", "rbl.websitewelcome.example", None, ()),
    ("550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1 (AS3130).", "192.0.2.1", "Spamhaus", "https://www.spamhaus.org/query/ip/192.0.2.1", ()),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions.", "192.0.2.1", None, "https://sender.office.com/", ()),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent, since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors.", "192.0.2.1", None, "http://mail.live.com/mail/troubleshooting.aspx#errors", ()),
    ("554 p3plibsmtp01.prod.phx3.secureserver.net bizsmtp IB101 Connection refused. 192.0.2.1 is on our block list. Please visit https://unblock.secureserver.net", "192.0.2.1", None, "https://unblock.secureserver.net", ()),
    ("554 resimta.sys.comcast.net comcast 192.0.2.1 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000", "192.0.2.1", None, "http://postmaster.comcast.net/smtp-error-codes.php#BL000000", ()),
    ("553 5.3.0 flpd575 DNSBL:RBL 521< 192.0.2.1 >_is_blocked. For assistance forward this email to abuse_rbl@abuse-att.net", "192.0.2.1", None, None, ()),
    ("554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "192.0.2.1", "Proofpoint", "https://ipcheck.proofpoint.com/?ip=192.0.2.1", ()),
    ("554 5.7.1 Service unavailable; Client host [mail.example.org [192.0.2.1]] blocked using psbl.surriel.com; Listed in PSBL, see http://psbl.org/listing?ip=192.0.2.1", "192.0.2.1", "psbl.surriel.com", "http://psbl.org/listing?ip=192.0.2.1", ()),
    ("550 5.7.1 Mail from 192.0.2.1 blocked, listed in UCEPROTECT. More: http://help.example.net/ Removal: http://www.uceprotect.net/rblcheck.php?ipr=192.0.2.1", "192.0.2.1", "UCEPROTECT", "http://www.uceprotect.net/rblcheck.php?ipr=192.0.2.1", ()),
    ("554 5.7.1 Rejected: IP 2001:db8::25 is in a blocklist, www.example.net/delist?ip=2001:db8::25", "2001:db8::25", None, "www.example.net/delist?ip=2001:db8::25", ()),
    ("connect to mx.example.net (203.0.113.5): 554 blacklisted", None, None, None, ()),
    ("554 5.7.1 your host was found in dnsbl-1.uceprotect.net by 203.0.113.5 for client 192.0.2.1", "192.0.2.1", "dnsbl-1.uceprotect.net", None, ()),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes", "192.0.2.1", None, "https://postmaster.yahooinc.com/error-codes", ()),
    ("554-gmx.net (mxgmx016) Nemesis ESMTP Service not available 554-No SMTP service 554-IP address is black listed. 554 For explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=bip", "192.0.2.1", None, "https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=bip", ()),
    ("550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id=b@example.org;ip=192.0.2.1;r=x@example.net", "192.0.2.1", None, "http://www.openspf.net/Why?s=mfrom;id=b@example.org;ip=192.0.2.1;r=x@example.net", ("spf",)),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated. DKIM = did not pass, SPF [example.org] with ip: [192.0.2.1] = did not pass", "192.0.2.1", None, None, ("spf", "dkim")),
    ("550 5.7.1 rejected by DMARC policy of example.org (SPF pass, DKIM fail)", None, None, None, ("dkim", "dmarc")),
    ("550 5.7.20 No passing signature found, authentication failed by policy: DKIM", None, None, None, ("dkim",)),
    ("550 5.7.20 refused", None, None, None, ("dkim",)),
    ("550 5.7.24 refused", None, None, None, ("spf",)),
    ("550 5.7.29 ARC validation failure", None, None, None, ("arc",)),
    ("550 5.7.1 Sender Policy Framework check failed", None, None, None, ("spf",)),
    ("550 5.7.509 Access denied, sending domain example.org does not pass DMARC verification", None, None, None, ("dmarc",)),
    ("450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", "192.0.2.1", None, None, ("ptr",)),
    ("550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup", "192.0.2.1", None, None, ("ptr",)),
    ("550 5.7.25 refused", None, None, None, ("ptr",)),
    ("504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", None, None, None, ("helo",)),
    ("550 5.7.1 invalid HELO name", None, None, None, ("helo",)),
    ("421 4.7.0 Too many connections from 192.0.2.1 to 203.0.113.5", "192.0.2.1", None, None, ()),
    ("550 5.7.1 arcane policy: DMARC failed for example.org at spf-checker.example.net", None, None, None, ("dmarc",)),
    ("554 5.7.1 Our server mx.example.net refused: your IP (192.0.2.1) has a poor reputation. Look at https://talosintelligence.com/reputation_center/lookup?search=192.0.2.1", "192.0.2.1", "SenderBase", "https://talosintelligence.com/reputation_center/lookup?search=192.0.2.1", ()),
]  # fmt: skip


@pytest.mark.parametrize("text, ip, name, url, authentication", TOLD, ids=[case[0][:60] for case in TOLD])
def test_what_an_operator_needs_is_taken_from_the_reply(text, ip, name, url, authentication):
    found = block(text)
    assert (found.ip, found.list, found.url, found.authentication) == (ip, name, url, authentication)


def test_the_servers_own_address_is_not_ours():
    found = block("554 5.7.1 203.0.113.5: blacklisted", remote_mta="mx.example.net [203.0.113.5]")
    assert found.ip is None


def test_a_server_whose_address_begins_like_ours_is_not_ours():
    told = block("554 5.7.1 192.0.2.1 is blacklisted", remote_mta="mx.example.net [192.0.2.10]")
    assert told.ip == "192.0.2.1"


def test_where_the_reports_own_words_tell_the_block_they_tell_of_it():
    recipient = RecipientReport(
        address="bob@example.net",
        status="5.0.0",
        diagnostic_code="550 5.0.0 delivery failed",
        explanation="Your mail was blocked using zen.spamhaus.org; see https://www.spamhaus.org/query/ip/192.0.2.1",
    )
    told = judge(recipient).block
    assert (told.list, told.ip, told.mechanism) == ("zen.spamhaus.org", "192.0.2.1", "dnsbl")
