"""Mails written for a test, and a database for it."""

import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background: what the tests start would inherit that, and hear of no Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    return _speakable((yield))


def _speakable(value):
    """Reports go from process to process as UTF-8; what mails say is not always that."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _speakable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_speakable(one) for one in value]
    return value


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR_CONFIG", "")  # no file, wherever the tests run
    monkeypatch.delenv("DSN_PROCESSOR_DB", raising=False)
    monkeypatch.delenv("DSN_PROCESSOR_RULES", raising=False)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/bounces.db"


@pytest.fixture
def peak():
    """The head of a program: ``peak()`` is the most memory it held so far, in MiB.

    Not ru_maxrss: on Linux a new process inherits there what its parent held, so a large test run would be measured.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of memory is read from /proc")
    return """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024
"""


@pytest.fixture
def write_dsn():
    """A delivery report as Postfix writes it, LF line ends: ``write_dsn(recipient=..., status=...)``."""
    return dsn


def dsn(
    *,
    recipient="bob@example.net",
    status="5.1.1",
    action="failed",
    diagnostic="550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown",
    returned_id="<sent-1@example.com>",
    number=1,
    others=(),
):
    blocks = "".join(
        f"\nFinal-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n"
        f"Remote-MTA: dns; mx.example.net\nDiagnostic-Code: smtp; {diagnostic}\n"
        for address in (recipient, *others)
    )
    returned = f"Message-ID: {returned_id}\n" if returned_id else ""
    return f"""\
From: MAILER-DAEMON@mail.example.com (Mail Delivery System)
To: news@example.com
Subject: Undelivered Mail Returned to Sender
Date: Fri, 20 Nov 2026 02:40:30 +0000
Message-ID: <report-{number}@mail.example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

From here on follows the report about your mail.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com
{blocks}
--b
Content-Type: text/rfc822-headers

{returned}From: news@example.com
To: {recipient}
Subject: News

--b--
""".encode()
