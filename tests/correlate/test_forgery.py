"""What somebody sends who wants mail to a victim to stop: nothing of it may be proven."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from dsn_processor.bulk import take
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.correlate.token import Key
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.policy.modes import Ruling
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.record.checking import SuppressionFilter
from dsn_processor.record.store import Store
from dsn_processor.terms import Standing, Trust
from dsn_processor.tokens import mint, return_path

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "1:correct-horse-battery-staple"
KEY = Key.parse(SECRET)
OPTIONS = CorrelationOptions(keys=(SECRET,))
VICTIM, ATTACKER = "victim@example.net", "attacker@evil.example"
LIST_MAIL, OWN_MAIL, VICTIMS_MAIL = "list-1@example.com", "own-1@example.com", "secret-1@example.com"
REPORTS = 1_000


def token_of(recipient=VICTIM, *, key=KEY, days_ago=1, **kwargs):
    return mint(key, recipient, today=NOW.date() - timedelta(days=days_ago), **kwargs)


def flipped(rng):
    token = list(token_of())
    at = rng.randrange(2, len(token))
    token[at] = rng.choice(sorted(set("abcdefghijklmnopqrstuvwxyz234567") - {token[at]}))
    return "".join(token)


#: What may be known to somebody who never saw the victim's mail.
TOKENS = {
    "none": lambda rng: "bounces",
    "wrong key": lambda rng: "b-" + token_of(key=Key.parse("1:some-guess-of-enough-length")),
    "unknown key": lambda rng: "b-" + token_of(key=Key.parse("7:correct-horse-battery-staple")),
    "expired": lambda rng: "b-" + token_of(days_ago=31 + rng.randrange(1_000)),
    "bit flipped": lambda rng: "b-" + flipped(rng),
    "cut": lambda rng: "b-" + token_of()[:-1],
    "another recipient's": lambda rng: "b-" + token_of(ATTACKER, message_id=OWN_MAIL),
    "another recipient's, of the same list mail": lambda rng: "b-" + token_of(ATTACKER, message_id=LIST_MAIL),
    "random": lambda rng: "b-t1" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz234567", k=48)),
    "VERP": lambda rng: "bounces+victim=example.net",
    "VERP in BATV": lambda rng: "prvs=190694bd6d=bounces+victim=example.net",
    "SRS": lambda rng: "SRS0=HHHH=TT=example.net=victim",
}
MESSAGE_IDS = [None, LIST_MAIL, OWN_MAIL, "invented@example.com", "victim@example.net"]


def standard(rng, to, message_id, write_dsn):
    return write_dsn(
        recipient=rng.choice([VICTIM, VICTIM.upper(), '"victim"@example.net']),
        returned_id=message_id and f"<{message_id}>",
        number=rng.randrange(10**9),
        others=rng.choice([(), (ATTACKER,)]),
    )


def by_original(rng, to, message_id, write_dsn):
    block = (
        f"Original-Recipient: rfc822; {VICTIM}\nFinal-Recipient: rfc822; {rng.choice([ATTACKER, VICTIM])}\n"
    )
    raw = write_dsn(
        recipient=VICTIM, returned_id=message_id and f"<{message_id}>", number=rng.randrange(10**9)
    )
    return raw.replace(f"Final-Recipient: rfc822; {VICTIM}\n".encode(), block.encode())


def envelope_id(rng, to, message_id, write_dsn):
    words = rng.choice([message_id or to, to])
    return standard(rng, to, None, write_dsn).replace(
        b"Reporting-MTA:", f"Original-Envelope-Id: {words}\nReporting-MTA:".encode()
    )


def failed_recipients(rng, to, message_id, write_dsn):
    return f"""\
From: Mail Delivery System <Mailer-Daemon@mx.example.net>
To: {to}@example.com
Subject: Mail delivery failed: returning message to sender
X-Failed-Recipients: {VICTIM}
Message-ID: <{rng.randrange(10**9)}@mx.example.net>

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {VICTIM}
    550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

Message-ID: <{message_id}>
X-DSN-Message-ID: {message_id}
To: {VICTIM}
""".encode()


def forwarded(rng, to, message_id, write_dsn):
    inside = standard(rng, to, message_id, write_dsn).decode()
    return f"""\
From: {ATTACKER}
To: {to}@example.com
Subject: Fwd: Undelivered Mail Returned to Sender
Message-ID: <{rng.randrange(10**9)}@evil.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="f"

--f
Content-Type: text/plain

See below.
--f
Content-Type: message/rfc822

{inside}
--f--
""".encode()


def auto_reply(rng, to, message_id, write_dsn):
    return f"""\
From: {ATTACKER}
To: {to}@example.com
Subject: Out of office
Auto-Submitted: auto-replied
In-Reply-To: <{message_id}>
Message-ID: <{rng.randrange(10**9)}@evil.example>

I am away. Please write to {VICTIM}. 550 5.1.1 <{VICTIM}>: user unknown
""".encode()


def complaint(rng, to, message_id, write_dsn):
    return f"""\
From: {ATTACKER}
To: {to}@example.com
Subject: complaint
Message-ID: <{rng.randrange(10**9)}@evil.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="f"

--f
Content-Type: text/plain

This is spam.
--f
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: x/1
Version: 1
Original-Rcpt-To: {VICTIM}
Original-Mail-From: {to}@example.com

--f
Content-Type: text/rfc822-headers

Message-ID: <{message_id}>
To: {VICTIM}

--f--
""".encode()


SHAPES = [standard, by_original, envelope_id, failed_recipients, forwarded, auto_reply, complaint]


def forge(rng, write_dsn):
    """One forged report; what is forged in it, the mail."""
    shape, kind, message_id = rng.choice(SHAPES), rng.choice(list(TOKENS)), rng.choice(MESSAGE_IDS)
    local = TOKENS[kind](rng)
    raw = shape(rng, local, message_id, write_dsn)
    place = rng.choice(["envelope", "header", "body"])
    recipients = (f"{local}@example.com",) if place == "envelope" else ()
    if place == "header":
        raw = f"Delivered-To: {local}@example.com\n".encode() + raw
    elif place == "body":
        raw += f"\nReturn-Path: <{local}@example.com>\nX-DSN-Token: {local}\n".encode()
    return (shape.__name__, kind, message_id, place), InboundMessage(raw, "forged", Envelope("", recipients))


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        with opened.transaction():
            sent = NOW - timedelta(days=1)
            opened.add_sends(
                [Send(LIST_MAIL, one, sent) for one in (VICTIM, ATTACKER, "third@example.net")]
                + [Send(OWN_MAIL, ATTACKER, sent), Send(VICTIMS_MAIL, VICTIM, sent)]
            )
        yield opened


def test_nothing_forged_is_proven(store, write_dsn):
    rng = random.Random(7)
    forged = [forge(rng, write_dsn) for _ in range(REPORTS)]
    seen = {part for what, _ in forged for part in what}
    assert seen >= {shape.__name__ for shape in SHAPES} | set(TOKENS) | {"envelope", "header", "body"}
    for start in range(0, REPORTS, 100):
        mails = [mail for _, mail in forged[start : start + 100]]
        take(store, mails, now=NOW, correlation=OPTIONS)
    about_victim = [event for event in store.events() if event.concerned == VICTIM]
    assert len(about_victim) > REPORTS // 10
    assert {event.trust for event in about_victim} == {Trust.UNPROVED, Trust.PLAUSIBLE}
    assert {event.concerned for event in store.events() if event.trust is Trust.SIGNED} == {ATTACKER}
    # With a key and a registry the mode is strict: whom nothing is proven about, nothing happens to.
    assert {one.address for one in store.addresses.suppressions(SuppressionFilter(now=NOW))} <= {ATTACKER}
    assert store.addresses.show(VICTIM, NOW).state is None


def test_observing_nothing_forged_changes_an_address(store, write_dsn):
    store.addresses.ruling = Ruling(PolicyOptions(mode="observe"), keys=True)
    rng = random.Random(8)
    take(store, [forge(rng, write_dsn)[1] for _ in range(200)], now=NOW, correlation=OPTIONS)
    found = list(store.addresses.suppressions(SuppressionFilter(now=NOW)))
    assert {one.standing for one in found} == {Standing.PROPOSED}
    assert store.addresses.check([one.address for one in found], NOW) == {}
    assert store.addresses.show(VICTIM, NOW).state is None


@pytest.mark.parametrize("options", [OPTIONS, CorrelationOptions()])
def test_what_is_no_forgery_is_proven(store, write_dsn, options):
    """The suite would see it if everything were unproved."""
    path = return_path(KEY, VICTIM, domain="example.com", today=NOW.date())
    raw = write_dsn(recipient=VICTIM, returned_id=f"<{VICTIMS_MAIL}>")
    take(store, [InboundMessage(raw, "real", Envelope("", (path,)))], now=NOW, correlation=options)
    [event] = store.events()
    assert event.trust is (Trust.SIGNED if options.keys else Trust.MATCHED)
    assert event.concerned == VICTIM


def test_a_real_report_after_a_forged_one_is_heard(store, write_dsn):
    forged = write_dsn(recipient=VICTIM, returned_id=f"<{LIST_MAIL}>", number=1)
    real = write_dsn(recipient=VICTIM, returned_id=f"<{LIST_MAIL}>", number=2)
    take(store, [InboundMessage(forged, "forged", Envelope("", ()))], now=NOW, correlation=OPTIONS)
    path = return_path(KEY, VICTIM, domain="example.com", today=NOW.date())
    take(store, [InboundMessage(real, "real", Envelope("", (path,)))], now=NOW, correlation=OPTIONS)
    [event] = store.events()
    assert event.trust is Trust.SIGNED
