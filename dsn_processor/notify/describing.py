"""What a notification's ``data`` says (docs/webhooks.md): facts in, JSON out. Keys are added, never renamed."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from dsn_processor.contract import describe_block, describe_mappings
from dsn_processor.facts import (
    NO_CORRELATION,
    Correlation,
    FeedbackReport,
    ParsedMessage,
    RecipientReport,
    ReturnedMessage,
    Verdict,
)
from dsn_processor.mapping import map_kind
from dsn_processor.patterns import pattern
from dsn_processor.policy.schedule import Retry
from dsn_processor.terms import Advice, Kind, SuppressionKind, Trust

# A body has to stay under 20 kB (Standard Webhooks 1.0.0), whatever a mail says.
_TEXT, _WORDS, _ITEMS = 2_000, 500, 10
_ENHANCED = pattern(r"\b[245]\.[0-9]{1,3}\.[0-9]{1,3}\b", re.ASCII)
_IP = pattern(r"\[(?:IPv6:)?([0-9A-Fa-f.:]{3,45})\]|^([0-9A-Fa-f.:]{3,45})$")


class Event(Protocol):
    """What happened to one recipient, as it is stored or about to be."""

    @property
    def identity(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def canonical(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recipient(self) -> RecipientReport: ...
    @property
    def verdict(self) -> Verdict | None: ...
    @property
    def correlation(self) -> Correlation | None: ...


class Report(NamedTuple):
    """The mail that told of an event. ``mail_id`` is its number, as ``dsn-processor show`` takes it."""

    mail_id: int
    parsed: ParsedMessage


class Decision(NamedTuple):
    """What an event meant for its address. ``action`` is suppress, propose, strike or none. ``retry`` says when to send
    the message again, None where nothing failed.
    """

    action: str = "none"
    strikes: float = 0.0
    retry: Retry | None = None


def concerned(event: Event) -> str:
    """The canonical address that an event is about: the one that we mailed, where known, else the one that failed."""
    return (event.correlation or NO_CORRELATION).mailed_address or event.canonical


def event_data(event: Event, report: Report, decision: Decision) -> dict[str, Any]:
    """Of one recipient's event."""
    recipient, verdict, retry = event.recipient, event.verdict, decision.retry
    correlation = event.correlation or NO_CORRELATION
    parsed = report.parsed
    return {
        "event_id": event.identity,
        "mail_id": report.mail_id,
        "occurred_at": event.occurred_at.isoformat(),
        "kind": event.kind.value,
        "type": verdict and verdict.bounce_type.value,
        "reason": verdict and verdict.reason.value,
        "scope": verdict and verdict.scope.value,
        "final": event.kind is Kind.FAILED,
        "exhausted": bool(retry and retry.exhausted),
        "confidence": verdict and verdict.confidence,
        "rule_id": verdict and verdict.rule_id,
        "advice": (retry.advice if retry else Advice.NONE).value,
        "recipient": {
            "address": _cut(concerned(event)),
            "original": _cut(recipient.original),
            "final": _cut(recipient.address),
        },
        "status": recipient.status,
        "smtp": _smtp(recipient),
        "remote_mta": _cut(recipient.remote_mta),
        "remote_ip": _ip(recipient.remote_mta),
        "reporting_mta": _cut(parsed.reporting_mta),
        "arrival_date": parsed.arrival_date,
        "last_attempt_date": recipient.last_attempt_date,
        "will_retry_until": recipient.will_retry_until,
        "message": _message(parsed, correlation),
        "authenticity": {
            "verdict": correlation.trust.value,
            "method": correlation.matched_by and correlation.matched_by.value,
        },
        "policy": {
            "action": decision.action,
            "strikes": decision.strikes,
            "next_retry_at": retry and retry.next_retry_at and retry.next_retry_at.isoformat(),
        },
        "evidence": [
            {"source": one.source, "rule_id": verdict.rule_id, "value": _cut(one.text)}
            for one in verdict.evidence[:_ITEMS]
        ]
        if verdict
        else [],
        "block": describe_block(verdict.block) if verdict and verdict.block else None,
        "feedback": _feedback(parsed.feedback),
        "mappings": _mappings(event, parsed),
    }


def report_data(report: Report, source: str) -> dict[str, Any]:
    """Of a mail that names no recipient."""
    parsed = report.parsed
    feedback = parsed.feedback and parsed.feedback.feedback_type
    return {
        "mail_id": report.mail_id,
        "kind": parsed.kind.value,
        "source": _cut(source),
        "from": _cut(parsed.from_),
        "subject": _cut(parsed.subject),
        "date": parsed.date,
        "recipient": {"address": None, "original": None, "final": None},
        "reporting_mta": _cut(parsed.reporting_mta),
        "arrival_date": parsed.arrival_date,
        "message": _message(parsed, NO_CORRELATION),
        "authenticity": {"verdict": Trust.UNPROVED.value, "method": None},
        "feedback": _feedback(parsed.feedback),
        "defects": [{"code": one.code, "detail": _cut(one.detail)} for one in parsed.defects[:_ITEMS]],
        "mappings": map_kind(parsed.kind, feedback),
    }


def quarantined_data(mail_id: int, source: str, error: str | None) -> dict[str, Any]:
    """Of a mail that a fault of ours met twice: it waits for a person."""
    return {
        "mail_id": mail_id,
        "source": _cut(source),
        "error": _cut(error),
        "decide": f"dsn-processor quarantine show {mail_id}",
    }


def reclassified_data(
    before: Event | None, after: Event | None, report: Report, decision: Decision
) -> dict[str, Any]:
    """Of an event that is read otherwise now: as it is, and under ``before`` as it was told. ``withdrawn``: nothing of the
    kind happened.
    """
    now = after or before
    assert now is not None
    return {
        **event_data(now, report, decision),
        "withdrawn": after is None,
        "before": None if before is None else _short(before),
    }


def address_data(
    address: str, state: Mapping[str, Any], suppression: Mapping[str, Any] | None, standing: str
) -> dict[str, Any]:
    """Of an address whose standing has changed: the suppression that did it, or that has gone."""
    row = suppression or {}
    kind = row.get("kind")
    until = row.get("until")
    return {
        "address": address,
        "domain": address.rpartition("@")[2],
        "standing": standing,
        "deliverability": state.get("deliverability", "ok"),
        "strikes": state.get("strikes", 0.0),
        "kind": kind and SuppressionKind(kind).value,
        "reason": _cut(row.get("reason") or state.get("reason")),
        "event_id": row.get("cause"),
        "since": _time(row.get("at")),
        "until": _time(until),
        "tier": row.get("tier"),
        "author": _cut(row.get("author")) or ("policy" if row else None),
    }


def wave_data(wave: Mapping[str, Any]) -> dict[str, Any]:
    """Of many suppressions at once that wait for a person."""
    return {
        "wave": wave["name"],
        "scope": "domain" if wave["kind"] == "domain" else "remote_mta",
        "subject": wave["subject"],
        "addresses": wave["addresses"],
        "decide": f"dsn-processor suppressions release|undo {wave['name']} --reason WHY",
    }


def blocks_data(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Of many refusals of us in a day, about one listed IP or for one reason."""
    day = alert["name"].rpartition("@")[2]
    return {
        "subject": alert["subject"],
        "blocks": alert["number"],
        "day": day,
        "look": f"dsn-processor events --type block --since {day}",
    }


def _smtp(recipient: RecipientReport) -> dict[str, Any]:
    text = recipient.diagnostic_code
    enhanced = _ENHANCED.search(text[:_WORDS]) if text else None
    return {
        "code": recipient.reply_code,
        "enhanced": enhanced[0] if enhanced else None,
        "command": recipient.smtp_command,
        "text": _cut(text or recipient.explanation or None, _TEXT),
    }


def _message(parsed: ParsedMessage, correlation: Correlation) -> dict[str, Any]:
    returned = parsed.returned_message or ReturnedMessage()
    return {
        "message_id": _cut(correlation.sent_message_id or returned.message_id),
        "envelope_id": _cut(parsed.original_envelope_id),
        "stream": correlation.stream,
        "campaign": correlation.campaign,
        "tags": dict(correlation.tags[: 2 * _ITEMS]),
        "subject": _cut(returned.subject),
    }


def _feedback(feedback: FeedbackReport | None) -> dict[str, Any] | None:
    if feedback is None:
        return None
    return {
        "feedback_type": _cut(feedback.feedback_type),
        "user_agent": _cut(feedback.user_agent),
        "source_ip": _cut(feedback.source_ip),
        "arrival_date": feedback.arrival_date,
    }


def _mappings(event: Event, parsed: ParsedMessage) -> Mapping[str, Any]:
    if event.recipient.action is None:
        return map_kind(event.kind, parsed.feedback and parsed.feedback.feedback_type)
    return describe_mappings(event.recipient.action, event.verdict)


def _short(event: Event) -> dict[str, Any]:
    verdict = event.verdict
    return {
        "event_id": event.identity,
        "kind": event.kind.value,
        "type": verdict and verdict.bounce_type.value,
        "reason": verdict and verdict.reason.value,
        "scope": verdict and verdict.scope.value,
        "confidence": verdict and verdict.confidence,
        "status": event.recipient.status,
        "recipient": _cut(event.recipient.address),
    }


def _ip(mta: str | None) -> str | None:
    found = _IP.search(mta[:_WORDS]) if mta else None
    try:
        return str(ipaddress.ip_address(found[1] or found[2])) if found else None
    except ValueError:
        return None


def _time(value: datetime | str | None) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else value


def _cut(text: str | None, most: int = _WORDS) -> str | None:
    return text if text is None or len(text) <= most else text[: most - 1] + "\u2026"
