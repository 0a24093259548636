"""What reading needs is loaded at the first mail. A process that is to be copied does that before: its copies have it then."""

from datetime import UTC, datetime

from dsn_processor.bulk import prepare_together
from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import Unread

_REPORT = b"""From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: bounces@example.com
Subject: Undelivered Mail Returned to Sender
Date: Sat, 21 Nov 2026 02:40:30 +0000
Message-ID: <1@mx.example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=utf-8

<ann@example.org>: host mx.example.org[192.0.2.1] said: 550 5.1.1 <ann@example.org>: User unknown (in reply to RCPT TO)

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Sat, 21 Nov 2026 02:40:29 +0000

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: User unknown

--b
Content-Type: text/rfc822-headers

From: news@example.com
To: ann@example.org
Subject: News
Date: Sat, 21 Nov 2026 02:40:28 +0000
Message-ID: <2@example.com>

--b--
"""
_TEXT = b"""From: postmaster@mail.example.net
To: bounces@example.com
Subject: Delivery failure
Date: Sat, 21 Nov 2026 02:40:30 +0000

Your message could not be delivered to the following address:

    bob@example.org
    mailbox is full

----- Original message follows -----
From: news@example.com
To: bob@example.org
Subject: News
"""


def warm_up() -> None:
    """Load the rules, and compile the patterns that most mails need."""
    now = datetime.now(UTC)
    prepare_together([Unread(InboundMessage(raw, ""), "", now) for raw in (_REPORT, _TEXT)])
