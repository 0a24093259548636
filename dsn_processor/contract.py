"""The published JSON shape of one mail (docs/parse.schema.json): keys are added, never renamed."""

from collections.abc import Mapping
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
_UNJUDGED = (None, None, None, None, None, (), None, ())  # as a Verdict, of nothing


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


def describe_mappings(action: Action, verdict: Verdict | None) -> Mapping[str, Any]:
    """What other systems call what became of one recipient."""
    from dsn_processor.mapping import map_kind, map_reason  # noqa: PLC0415  tables that few runs need

    kind = Kind(action.value)
    return map_kind(kind) if verdict is None else map_reason(verdict.reason, verdict.bounce_type, kind)


def _mail(message: InboundMessage, reading: Reading) -> dict[str, Any]:
    parsed, verdicts = reading
    (
        kind,
        message_id,
        date,
        from_,
        subject,
        reporting_mta,
        original_envelope_id,
        arrival_date,
        recipients,
        returned,
        feedback,
        defects,
    ) = parsed
    if message.truncated:
        defects = (*defects, _TRUNCATED)
    return {
        "source": message.source,
        "kind": kind,
        "message_id": message_id,
        "date": date,
        "from": from_,
        "subject": subject,
        "reporting_mta": reporting_mta,
        "original_envelope_id": original_envelope_id,
        "arrival_date": arrival_date,
        "recipients": list(map(describe_recipient, recipients, verdicts)),
        "returned_message": None if returned is None else _returned(returned),
        "feedback": None if feedback is None else _feedback(feedback),
        "defects": [{"code": code, "detail": detail} for code, detail in defects] if defects else [],
    }


def _returned(returned: ReturnedMessage) -> dict[str, Any]:
    message_id, from_, to, subject, date, envelope_sender = returned
    return {
        "message_id": message_id,
        "from": from_,
        "to": to,
        "subject": subject,
        "date": date,
        "envelope_sender": envelope_sender,
    }


def describe_recipient(report: RecipientReport, verdict: Verdict | None) -> dict[str, Any]:
    """``verdict`` is None for a recipient that there is nothing to judge about: delivered, relayed, ..."""
    # Taken apart at once: to ask for each field by its name costs several times as much.
    bounce_type, reason, scope, confidence, rule_id, evidence, block, _ = verdict or _UNJUDGED
    (
        address,
        original,
        action,
        status,
        reply_code,
        diagnostic,
        _,
        _,
        remote_mta,
        command,
        last,
        until,
        _,
        _,
    ) = report
    return {
        "address": address,
        "original": original,
        "action": action,
        "status": status,
        "reply_code": reply_code,
        "bounce_type": bounce_type,
        "reason": reason,
        "scope": scope,
        "confidence": confidence,
        "rule_id": rule_id,
        "evidence": [{"source": source, "text": text} for source, text in evidence],
        "block": None if block is None else describe_block(block),
        "diagnostic_code": diagnostic,
        "remote_mta": remote_mta,
        "smtp_command": command,
        "last_attempt_date": last,
        "will_retry_until": until,
    }


def describe_block(block: Block) -> dict[str, Any]:
    """Who refused us, and where to ask."""
    return {
        "ip": block.ip,
        "list": block.list,
        "url": block.url,
        "mechanism": block.mechanism,
        "authentication": list(block.authentication),
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
