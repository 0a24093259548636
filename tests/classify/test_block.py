"""What a refusal says about itself: the listed IP, the list, the page to ask at, and the mechanism."""

import pytest

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import Block, RecipientReport


def block(text):
    return judge(RecipientReport(address="x@example.net", diagnostic_code=text)).block


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
        ("550 5.7.1 SPF check failed for 192.0.2.9", Block(ip="192.0.2.9", mechanism="auth")),
        ("421 4.7.0 too many connections from 192.0.2.9", Block(ip="192.0.2.9", mechanism="rate")),
        ("550 5.1.1 user unknown [192.0.2.1]", None),
        ("550 5.7.1 blocked by policy", None),
    ],
)  # fmt: skip
def test_block(text, expected):
    assert block(text) == expected


def test_a_version_or_an_impossible_address_is_no_ip():
    assert block("550 5.7.1 Blacklisted by filter 4.16.55.1.2 at 999.1.2.3 on 127.0.0.1").ip is None
