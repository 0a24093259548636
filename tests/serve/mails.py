"""Bounces to send, each of its own: its token is in the failed recipient and in the returned Message-ID."""

from itertools import count
from typing import NamedTuple

DOMAIN = "example.net"

_BOUNCE = """\
From: MAILER-DAEMON@mail.example.com (Mail Delivery System)
To: news@example.com
Subject: Undelivered Mail Returned to Sender
Date: Fri, 20 Nov 2026 02:40:30 +0000
Message-ID: <report-{token}@mail.example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.example.com.
.
.. and these lines begin with dots
{filling}
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com

Final-Recipient: rfc822; {token}@{domain}
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 <{token}@{domain}>: Recipient address rejected: User unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <{token}@example.com>
From: news@example.com
To: {token}@{domain}
Subject: News

--b--
"""


class Mail(NamedTuple):
    """One bounce, CRLF line ends. ``token`` is the local part of the recipient that it is about."""

    token: str
    raw: bytes


def bounce(token: str, size: int = 0) -> Mail:
    """A bounce about ``token``, with at least ``size`` bytes."""
    filling = "It could not be delivered. " * 2 + "\n"
    text = _BOUNCE.format(token=token, domain=DOMAIN, filling=filling * (size // len(filling) + bool(size)))
    return Mail(token, text.replace("\n", "\r\n").encode())


def bounces(name: str, size: int = 0):
    """Bounces without end, no two alike."""
    return (bounce(f"{name}-{number}", size) for number in count(1))
