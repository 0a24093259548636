import re
from datetime import UTC, datetime

import pytest

from dsn_processor.bulk import take
from dsn_processor.correlate.dkim import parse_key, returned_signature
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.facts import InboundMessage
from dsn_processor.record.store import Store
from dsn_processor.terms import Match, Trust

#: A key for tests alone, RSA with 1,024 bits.
PRIVATE = b"""-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQCv08SRDCjJzbPVwvM5Ttq3dXpoXhaYjEJTNnrpNTD82YPlt6Wj
0nRL3YlOAFKphDf+scpb7snIewY1qkqeKHSOFjF39OOEw0YChXWpLp4OGzm53QXN
+JQzZbRarGHjUEJhm0S14BWq0zqGX7tYBjNm4q7fEW0+3gtZzCwyIBlS0wIDAQAB
AoGAdLXO7rDxijLewm+rX0j2aXyzif+aZBwGEpJBN/e00sHXiW5DpuCVjZ45++q+
9ALt4ERHnIp+qnLvBkRJT35vDp7iYv1K7tgu0CqTkyC7y1ZsDPHB2IEMb5FnFZms
EF7c1lJN0OsV8v9oR5DNtGZmVZmHyZ7kNmHaxGUBbtd8q7ECQQDoMitl9Fw8q3Xb
J9QMNqwXJLLl+dPCjVbGDThxXAjq132SpFbsBHuSWsUCXXzAlcaP+7vAI24a430H
Y3qfP+ufAkEAwdo8xvg4VmjJIQ+ArJK910RnSdFK8e8thFHwi/bVut6LG5wmdEGX
pDyuogjcgdMVa1lOSMSlo2IDriPxlKwMTQJBALSWyHAMRGyfQhOH/4DcSK3bShRZ
YJwwxytT/vETjo/vt2eEz2HS/rTOSelUAoHaO0uiktyV8b2R7pz/ftA6q6sCQHQP
OhYR5IDvaYOOqYYosNoiDQjn8kvY29J90Fur45hmxrg4C9nMr4JYBmHilkpv20IT
DMiKW3TvKK7ovCk7vH0CQCyzz48afxCYCWkq3n4YwnIiWWfqQ2puFFsORbCiBvFn
kJHSSxr7x1Xx+JB0q2M+6v8OGi9xGH2nytMjgHX5REA=
-----END RSA PRIVATE KEY-----"""
PUBLIC = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCv08SRDCjJzbPVwvM5Ttq3dXpoXhaYjEJTNnrpNTD82YPlt6Wj0nRL3YlOAFKphDf+scpb7snIewY1qkqeKHSOFjF39OOEw0YChXWpLp4OGzm53QXN+JQzZbRarGHjUEJhm0S14BWq0zqGX7tYBjNm4q7fEW0+3gtZzCwyIBlS0wIDAQAB"
NAME = "news._domainkey.example.com"
RECORD = f"{NAME}. v=DKIM1; k=rsa; p={PUBLIC}"
KEYS = dict([parse_key(RECORD)])
HEADER = b"""\
From: News <news@example.com>
To: bob@example.net
Subject: November,
 and more
Message-ID: <sent-1@example.com>

"""


def signed(header=HEADER, **kwargs):
    """The header with a signature before it, as we would have sent it. The body that was signed does not come back."""
    import dkim

    options = {"include_headers": [b"From", b"To", b"Subject", b"Message-ID"], **kwargs}
    signature = dkim.sign(header + b"The body.\n", b"news", b"example.com", PRIVATE, **options)
    return signature.replace(b"\r\n", b"\n") + header


def report(header, line_end=b"\n"):
    return (
        b"From: mailer-daemon@example.net\nTo: news@example.com\nContent-Type: multipart/report; "
        b'report-type=delivery-status; boundary="b"\n\n--b\nContent-Type: message/delivery-status\n\n'
        b"Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n\n"
        b"--b\nContent-Type: text/rfc822-headers\n\n" + header + b"\n--b--\n"
    ).replace(b"\n", line_end)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("form", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")])
def test_a_header_of_ours_is_known(form, line_end):
    assert returned_signature(report(signed(canonicalize=form), line_end), KEYS) == NAME


@pytest.mark.parametrize(
    "added",
    [
        b"Received: from x by y\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=; b=x\n",
    ],
)
def test_what_others_put_before_it_does_not_matter(added):
    assert returned_signature(report(added + signed()), KEYS) == NAME


@pytest.mark.parametrize(
    "change",
    [
        (b"bob@example.net", b"eve@example.net"),
        (b"Subject: November", b"Subject: December"),
        (b"sent-1", b"sent-2"),
        (b"d=example.com", b"d=other.example"),
        (b"s=news", b"s=olds"),
        (b"a=rsa-sha256", b"a=rsa-sha1"),
        (b"From: News", b"From: Eve"),
    ],
)
def test_a_header_that_was_changed_is_not_ours(change):
    header = signed()
    assert change[0] in header
    assert returned_signature(report(header.replace(*change)), KEYS) is None


def test_another_from_is_seen():
    assert returned_signature(report(b"From: eve@example.org\n" + signed()), KEYS) is None


def test_a_changed_signature_is_not_ours():
    header = signed()
    at = header.index(b"b=", header.index(b"bh=") + 40) + 10
    changed = header[:at] + (b"A" if header[at : at + 1] != b"A" else b"B") + header[at + 1 :]
    assert returned_signature(report(changed), KEYS) is None


def test_a_signature_of_the_report_itself_is_none_of_a_returned_header():
    assert returned_signature(signed() + b"The body.\n", KEYS) is None


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"DKIM-Signature:\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=news; h=from; b=!\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=news; h=from; b=" + b"A" * 100_000 + b"\n",
        b"DKIM-Signature: v=1; v=1; =;;\n" * 1_000,
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff; s=\xff; h=:::; b=\n",
        b": x\nno field\n\0\nDKIM-Signature: d=example.com\n",
    ],
)
def test_what_makes_no_sense_is_not_ours(header):
    assert returned_signature(report(header), KEYS) is None


def test_a_record_is_written_as_dns_has_it():
    assert parse_key('News._domainkey.Example.com  "v=DKIM1; k=rsa; " "p=AAAA"'.replace('"v', "v")) == (
        "news._domainkey.example.com",
        "v=DKIM1; k=rsa;  p=AAAA",
    )
    for wrong in ("p=AAAA", "example.com v=DKIM1; p=A", "news._domainkey.example.com"):
        with pytest.raises(ValueError, match="a DKIM key is"):
            parse_key(wrong)
        with pytest.raises(ValueError, match=r"dkim_keys has"):
            CorrelationOptions(dkim_keys=(wrong,))


def test_it_makes_a_report_plausible_and_no_more(url):
    options = CorrelationOptions(dkim_keys=(RECORD,))
    now = datetime.now(UTC)
    with Store.open(url) as store:
        take(store, [InboundMessage(report(signed()), "x")], now=now, correlation=options)
        [event] = store.events()
        assert (event.trust, event.correlation.matched_by) == (Trust.PLAUSIBLE, Match.DKIM)
        take(
            store,
            [InboundMessage(report(HEADER).replace(b"5.1.1", b"5.2.1"), "y")],
            now=now,
            correlation=options,
        )
        assert {one.trust for one in store.events()} == {Trust.PLAUSIBLE, Trust.UNPROVED}


def test_the_signature_covers_no_body():
    assert re.search(rb"bh=[\w+/]+=*;", signed())
