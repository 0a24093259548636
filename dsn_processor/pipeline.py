"""READ FIRST. The way of one mail: accept() makes it ours, process() makes sense of it.

    intake    bytes + envelope
    accept    raw bytes committed                 -> the sender may forget the mail
    process   parse -> classify                   (pure, can be done again by anybody, any time)
    record    report and per-recipient events, ONE transaction
"""

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import Envelope, ParsedMessage, Reading, Verdict
from dsn_processor.parse.message import parse_message
from dsn_processor.terms import Action

_JUDGED = frozenset({Action.FAILED, Action.DELAYED})


def read(raw: bytes, envelope: Envelope | None = None, *, trace: bool = False) -> Reading:
    """Parse and judge one mail. Pure: no clock, no store; never raises on bad mail."""
    parsed = parse_message(raw, envelope)
    return Reading(parsed=parsed, verdicts=judge_recipients(parsed, trace=trace))


def judge_recipients(parsed: ParsedMessage, *, trace: bool = False) -> tuple[Verdict | None, ...]:
    return tuple(
        judge(recipient, parsed.reporting_mta, trace=trace) if recipient.action in _JUDGED else None
        for recipient in parsed.recipients
    )
