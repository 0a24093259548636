"""The published JSON shape of one mail (docs/parse.schema.json): keys are added, never renamed."""

from typing import Any

from dsn_processor.facts import (
    Block,
    Defect,
    FeedbackReport,
    InboundMessage,
    Reading,
    RecipientReport,
    ReturnedMessage,
    Verdict,
)
from dsn_processor.terms import Action, Kind

_TRUNCATED = Defect("message_truncated", "the mail is over the size limit: only its head was read")
_UNJUDGED: dict[str, Any] = {
    "bounce_type": None,
    "reason": None,
    "scope": None,
    "confidence": None,
    "rule_id": None,
    "evidence": [],
    "block": None,
}


def describe_mail(message: InboundMessage, reading: Reading, *, mappings: bool = False) -> dict[str, Any]:
    """``mappings`` adds what other systems call each answer."""
    described = _mail(message, reading)
    if mappings:
        _add_mappings(described, reading)
    return described


def _add_mappings(described: dict[str, Any], reading: Reading) -> None:
    from dsn_processor.mapping import map_kind  # noqa: PLC0415  tables that few runs need

    parsed = reading.parsed
    feedback_type = None if parsed.feedback is None else parsed.feedback.feedback_type
    judged = parsed.kind in (Kind.FAILED, Kind.DELAYED)
    described["mappings"] = None if judged else map_kind(parsed.kind, feedback_type)
    for shown, report, verdict in zip(
        described["recipients"], parsed.recipients, reading.verdicts, strict=True
    ):
        shown["mappings"] = (
            described["mappings"] if report.action is None else describe_mappings(report.action, verdict)
        )


def describe_mappings(action: Action, verdict: Verdict | None) -> dict[str, Any]:
    """What other systems call what became of one recipient."""
    from dsn_processor.mapping import map_kind, map_reason  # noqa: PLC0415  tables that few runs need

    kind = Kind(action.value)
    return map_kind(kind) if verdict is None else map_reason(verdict.reason, verdict.bounce_type, kind)


def _mail(message: InboundMessage, reading: Reading) -> dict[str, Any]:
    parsed = reading.parsed
    defects = (*parsed.defects, _TRUNCATED) if message.truncated else parsed.defects
    return {
        "source": message.source,
        "kind": parsed.kind,
        "message_id": parsed.message_id,
        "date": parsed.date,
        "from": parsed.from_,
        "subject": parsed.subject,
        "reporting_mta": parsed.reporting_mta,
        "original_envelope_id": parsed.original_envelope_id,
        "arrival_date": parsed.arrival_date,
        "recipients": [
            describe_recipient(report, verdict)
            for report, verdict in zip(parsed.recipients, reading.verdicts, strict=True)
        ],
        "returned_message": None if parsed.returned_message is None else _returned(parsed.returned_message),
        "feedback": None if parsed.feedback is None else _feedback(parsed.feedback),
        "defects": [{"code": defect.code, "detail": defect.detail} for defect in defects],
    }


def describe_recipient(report: RecipientReport, verdict: Verdict | None) -> dict[str, Any]:
    """``verdict`` is None for a recipient that there is nothing to judge about: delivered, relayed, ..."""
    return {
        "address": report.address,
        "original": report.original,
        "action": report.action,
        "status": report.status,
        "reply_code": report.reply_code,
        **(_UNJUDGED if verdict is None else _judgement(verdict)),
        "diagnostic_code": report.diagnostic_code,
        "remote_mta": report.remote_mta,
        "smtp_command": report.smtp_command,
        "last_attempt_date": report.last_attempt_date,
        "will_retry_until": report.will_retry_until,
    }


def _judgement(verdict: Verdict) -> dict[str, Any]:
    return {
        "bounce_type": verdict.bounce_type,
        "reason": verdict.reason,
        "scope": verdict.scope,
        "confidence": verdict.confidence,
        "rule_id": verdict.rule_id,
        "evidence": [{"source": item.source, "text": item.text} for item in verdict.evidence],
        "block": None if verdict.block is None else _block(verdict.block),
    }


def _block(block: Block) -> dict[str, Any]:
    return {
        "ip": block.ip,
        "list": block.list,
        "url": block.url,
        "mechanism": block.mechanism,
        "authentication": list(block.authentication),
    }


def _returned(returned: ReturnedMessage) -> dict[str, Any]:
    return {
        "message_id": returned.message_id,
        "from": returned.from_,
        "to": returned.to,
        "subject": returned.subject,
        "date": returned.date,
        "envelope_sender": returned.envelope_sender,
    }


def _feedback(feedback: FeedbackReport) -> dict[str, Any]:
    return {
        "feedback_type": feedback.feedback_type,
        "user_agent": feedback.user_agent,
        "original_mail_from": feedback.original_mail_from,
        "original_rcpt_to": list(feedback.original_rcpt_to),
        "arrival_date": feedback.arrival_date,
        "source_ip": feedback.source_ip,
        "reported_domain": list(feedback.reported_domain),
        "auth_failure": feedback.auth_failure,
    }
