"""What a mail says: parse, then judge. Pure; startup matters here, since ``parse`` and ``explain`` need no more."""

import gc
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from dsn_processor import __version__
from dsn_processor.classify.match import RuleBook
from dsn_processor.classify.rules import digest, read_files
from dsn_processor.classify.verdict import judge
from dsn_processor.facts import Envelope, InboundMessage, ParsedMessage, Reading, RecipientReport, Verdict
from dsn_processor.parse.message import parse_message, parse_messages
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.terms import Action

#: Mails that are read at once, and the bytes of mail after which no more join them.
TOGETHER, TOGETHER_BYTES = 32, 1_000_000
_JUDGED = frozenset({Action.FAILED, Action.DELAYED})


class Rules(NamedTuple):
    """Rules other than the package's own alone: an operator's before them. ``version`` tells them apart in reports."""

    book: RuleBook
    version: str


def expect_many() -> None:
    """Tell the collector that many mails will be read: facts hold no cycles, and by default it looks every 700 objects."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def read(
    raw: bytes, envelope: Envelope | None = None, rules: Rules | None = None, *, trace: bool = False
) -> Reading:
    """Parse and judge one mail. Pure: no clock, no store; never raises on bad mail. Without ``rules`` by the package's."""
    parsed = parse_message(raw, envelope)
    return Reading(parsed=parsed, verdicts=judge_recipients(parsed, rules, trace=trace))


def read_all(messages: Sequence[InboundMessage], rules: Rules | None = None) -> list[Reading]:
    """As ``read``, for many: quicker than one by one, a few dozen being read step by step at once."""
    readings: list[Reading] = []
    for group in _groups(messages):
        parsed = parse_messages([(message.raw, message.envelope) for message in group])
        readings += [Reading(one, judge_recipients(one, rules)) for one in parsed]
    return readings


def _groups(messages: Sequence[InboundMessage]) -> Iterator[Sequence[InboundMessage]]:
    """Large mails by themselves: all of a group are held taken apart."""
    start = size = 0
    for end, message in enumerate(messages, 1):
        size += len(message.raw)
        if end - start >= TOGETHER or size >= TOGETHER_BYTES or end == len(messages):
            yield messages[start:end]
            start, size = end, 0


def judge_recipients(
    parsed: ParsedMessage, rules: Rules | None = None, *, trace: bool = False
) -> tuple[Verdict | None, ...]:
    book = rules and rules.book
    return tuple(
        [
            judge(recipient, parsed.reporting_mta, trace=trace, book=book)
            if recipient.action in _JUDGED
            else None
            for recipient in parsed.recipients
        ]
    )


def read_reply(
    text: str, remote_mta: str | None = None, rules: Rules | None = None
) -> tuple[RecipientReport, Verdict]:
    """Judge one SMTP reply as if a report had quoted it, with all candidates kept."""
    reply = parse_reply(text)
    recipient = RecipientReport(
        address="",
        status=reply.status,
        reply_code=reply.reply_code,
        diagnostic_code=reply.text,
        diagnostic_type="smtp",
        remote_mta=remote_mta,
        smtp_command=find_command(text),
        origin="reply",
    )
    return recipient, judge(recipient, trace=True, book=rules and rules.book)


def rules_version(rules: Rules | None = None) -> str:
    """Names what reads mails: the program's version, the digest of its rules, and that of the operator's file."""
    return rules.version if rules else _packaged_version()


@lru_cache(maxsize=1)
def _packaged_version() -> str:
    return f"{__version__}+{digest(read_files())}"
