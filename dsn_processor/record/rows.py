"""Facts to rows and back."""

from typing import Any

from dsn_processor.facts import (
    NO_CORRELATION,
    Block,
    Correlation,
    Defect,
    Envelope,
    Evidence,
    FeedbackReport,
    ParsedMessage,
    RecipientReport,
    ReturnedMessage,
    Verdict,
)
from dsn_processor.record.entries import NewEvent, NewMessage, NewReport, StoredEvent, StoredMessage
from dsn_processor.terms import (
    Action,
    BounceType,
    Finding,
    Kind,
    Match,
    MessageState,
    Mode,
    Reason,
    Scope,
    Trust,
)

LOOKUP_LIMIT = 512  # characters of an address that the indexes hold: PostgreSQL allows 2,704 bytes

_RETURNED = ReturnedMessage._fields
_FEEDBACK = FeedbackReport._fields
_BLOCK = Block._fields


def message_row(message_id: int, message: NewMessage) -> dict[str, Any]:
    return {
        "id": message_id,
        "identity": message.identity,
        "received_at": message.received_at,
        "source": message.source,
        "envelope_sender": message.envelope.sender,
        "envelope_recipients": message.envelope.recipients or None,
        "size": message.size,
        "truncated": message.truncated,
        "state": message.state.value,
        "attempts": message.attempts,
        "last_error": message.last_error,
        "codec": message.codec,
        "raw": message.packed,
    }


def report_row(report: NewReport, repeated: int, mode: Mode = Mode.OBSERVE) -> dict[str, Any]:
    parsed = report.parsed
    return {
        "message_id": report.message_id,
        "kind": parsed.kind.value,
        "header_message_id": parsed.message_id,
        "date": parsed.date,
        "from_": parsed.from_,
        "subject": parsed.subject,
        "reporting_mta": parsed.reporting_mta,
        "original_envelope_id": parsed.original_envelope_id,
        "arrival_date": parsed.arrival_date,
        "returned_message": _fields(parsed.returned_message, _RETURNED),
        "feedback": _fields(parsed.feedback, _FEEDBACK),
        "defects": [(defect.code, defect.detail) for defect in parsed.defects] or None,
        "rules": report.rules,
        "repeated": repeated,
        "mode": mode.value,
    }


def event_row(message_id: int, event: NewEvent) -> dict[str, Any]:
    recipient, verdict = event.recipient, event.verdict
    return {
        "message_id": message_id,
        "identity": event.identity,
        "kind": event.kind.value,
        "occurred_at": event.occurred_at,
        "address": recipient.address,
        "canonical": event.canonical[:LOOKUP_LIMIT],
        "domain": event.canonical.rpartition("@")[2][:LOOKUP_LIMIT] if "@" in event.canonical else "",
        "original": recipient.original,
        "action": recipient.action and recipient.action.value,
        "status": recipient.status,
        "reply_code": recipient.reply_code,
        "diagnostic_code": recipient.diagnostic_code,
        "diagnostic_type": recipient.diagnostic_type,
        "explanation": recipient.explanation,
        "remote_mta": recipient.remote_mta,
        "smtp_command": recipient.smtp_command,
        "last_attempt_date": recipient.last_attempt_date,
        "will_retry_until": recipient.will_retry_until,
        "bounce_category": recipient.bounce_category,
        "origin": recipient.origin,
        "bounce_type": verdict and verdict.bounce_type.value,
        "reason": verdict and verdict.reason.value,
        "scope": verdict and verdict.scope.value,
        "confidence": verdict and verdict.confidence,
        "rule_id": verdict and verdict.rule_id,
        "evidence": ([(item.source, item.text) for item in verdict.evidence] or None) if verdict else None,
        "block": _fields(verdict.block, _BLOCK) if verdict else None,
        "proved_by": None,
        "about": event.about,
        **correlation_columns(event.correlation or NO_CORRELATION),
    }


def correlation_columns(correlation: Correlation) -> dict[str, Any]:
    mailed = correlation.mailed_address
    return {
        "trust": correlation.trust.value,
        "matched_by": correlation.matched_by and correlation.matched_by.value,
        "mailed_address": mailed and mailed[:LOOKUP_LIMIT],
        "sent_message_id": correlation.sent_message_id,
        "stream": correlation.stream,
        "campaign": correlation.campaign,
        "tags": correlation.tags or None,
        "findings": [finding.value for finding in correlation.findings] or None,
    }


def message_fact(row: Any) -> StoredMessage:
    return StoredMessage(
        id=row.id,
        identity=row.identity,
        received_at=row.received_at,
        source=row.source,
        envelope=Envelope(sender=row.envelope_sender, recipients=tuple(row.envelope_recipients or ())),
        size=row.size,
        truncated=row.truncated,
        state=MessageState(row.state),
        attempts=row.attempts,
        last_error=row.last_error,
    )


def parsed_fact(row: Any, recipients: tuple[RecipientReport, ...]) -> ParsedMessage:
    return ParsedMessage(
        kind=Kind(row.kind),
        message_id=row.header_message_id,
        date=row.date,
        from_=row.from_,
        subject=row.subject,
        reporting_mta=row.reporting_mta,
        original_envelope_id=row.original_envelope_id,
        arrival_date=row.arrival_date,
        recipients=recipients,
        returned_message=ReturnedMessage(**row.returned_message) if row.returned_message else None,
        feedback=_feedback(row.feedback) if row.feedback else None,
        defects=tuple(Defect(code, detail) for code, detail in row.defects or ()),
    )


def event_fact(row: Any) -> StoredEvent:
    return StoredEvent(
        id=row.id,
        message_id=row.message_id,
        identity=row.identity,
        kind=Kind(row.kind),
        canonical=row.canonical,
        occurred_at=row.occurred_at,
        recipient=_recipient(row),
        verdict=_verdict(row) if row.reason else None,
        correlation=_correlation(row),
        proved_by=row.proved_by,
        source=row.source,
        reporting_mta=row.reporting_mta,
        arrival_date=row.arrival_date,
    )


def _recipient(row: Any) -> RecipientReport:
    return RecipientReport(
        address=row.address,
        original=row.original,
        action=Action(row.action) if row.action else None,
        status=row.status,
        reply_code=row.reply_code,
        diagnostic_code=row.diagnostic_code,
        diagnostic_type=row.diagnostic_type,
        explanation=row.explanation,
        remote_mta=row.remote_mta,
        smtp_command=row.smtp_command,
        last_attempt_date=row.last_attempt_date,
        will_retry_until=row.will_retry_until,
        bounce_category=row.bounce_category,
        origin=row.origin,
    )


def _verdict(row: Any) -> Verdict:
    return Verdict(
        bounce_type=BounceType(row.bounce_type),
        reason=Reason(row.reason),
        scope=Scope(row.scope),
        confidence=row.confidence,
        rule_id=row.rule_id,
        evidence=tuple(Evidence(source, text) for source, text in row.evidence or ()),
        block=Block(**_tupled(row.block, "authentication")) if row.block else None,
    )


def _correlation(row: Any) -> Correlation:
    if row.matched_by is None and row.findings is None and row.trust == Trust.UNPROVED:
        return NO_CORRELATION
    return Correlation(
        trust=Trust(row.trust),
        matched_by=Match(row.matched_by) if row.matched_by else None,
        mailed_address=row.mailed_address,
        sent_message_id=row.sent_message_id,
        stream=row.stream,
        campaign=row.campaign,
        tags=tuple((name, value) for name, value in row.tags or ()),
        findings=tuple(map(Finding, row.findings or ())),
    )


def _feedback(stored: dict[str, Any]) -> FeedbackReport:
    values = dict(stored)
    values.update((name, tuple(item)) for name, item in stored.items() if isinstance(item, list))
    return FeedbackReport(**values)


def _tupled(stored: dict[str, Any], name: str) -> dict[str, Any]:
    """JSON knows lists only; a row of an older version lacks the name."""
    return stored | {name: tuple(stored.get(name, ()))}


def _fields(fact: object | None, names: Any) -> dict[str, Any] | None:
    return None if fact is None else {name: getattr(fact, name) for name in names}
