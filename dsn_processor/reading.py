"""What a mail says: parse, then judge. Pure; startup matters here, since ``parse`` and ``explain`` need no more."""

from functools import lru_cache

from dsn_processor import __version__
from dsn_processor.classify.rules import digest, read_files
from dsn_processor.classify.verdict import judge
from dsn_processor.facts import Envelope, ParsedMessage, Reading, RecipientReport, Verdict
from dsn_processor.parse.message import parse_message
from dsn_processor.parse.replies import find_command, parse_reply
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


def read_reply(text: str, remote_mta: str | None = None) -> tuple[RecipientReport, Verdict]:
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
    return recipient, judge(recipient, trace=True)


@lru_cache(maxsize=1)
def rules_version() -> str:
    """Names what reads mails today: the program's version and the digest of its rules."""
    return f"{__version__}+{digest(read_files())}"
