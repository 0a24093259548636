"""Stored facts in words: as JSON, as table rows, and in full for one mail."""

from collections.abc import Sequence
from typing import Any

from dsn_processor.cli.advice import describe_retry
from dsn_processor.cli.render import print_text
from dsn_processor.contract import describe_mail, describe_recipient
from dsn_processor.facts import Block, Correlation, InboundMessage, Verdict
from dsn_processor.policy.schedule import Retry
from dsn_processor.record.entries import StoredEvent, StoredReport

_LABEL = 18


def describe_event(event: StoredEvent, retry: Retry | None) -> dict[str, Any]:
    """One line of ``events --json``: the recipient as ``parse`` prints it, where it came from, and what to do about it."""
    return {
        "id": event.id,
        "message_id": event.message_id,
        "source": event.source,
        "occurred_at": event.occurred_at.isoformat(),
        "kind": event.kind,
        **describe_correlation(event.correlation),
        "reporting_mta": event.reporting_mta,
        **describe_recipient(event.recipient, event.verdict),
        **describe_retry(retry),
    }


def describe_correlation(correlation: Correlation) -> dict[str, Any]:
    """How an event is tied to what we sent."""
    return {
        "trust": correlation.trust,
        "matched_by": correlation.matched_by,
        "mailed_address": correlation.mailed_address,
        "sent_message_id": correlation.sent_message_id,
        "stream": correlation.stream,
        "campaign": correlation.campaign,
        "tags": dict(correlation.tags),
        "findings": list(correlation.findings),
    }


def describe_report(report: StoredReport, advice: Sequence[Retry | None]) -> dict[str, Any]:
    """``show --json``: the mail as kept, and under ``report`` what ``parse`` prints, each recipient with its event and what to
    do about it.
    """
    message = report.message
    described: dict[str, Any] | None = None
    if report.reading is not None:
        inbound = InboundMessage(raw=b"", source=message.source, truncated=message.truncated)
        described = describe_mail(inbound, report.reading)
        described["recipients"] = [describe_event(*pair) for pair in zip(report.events, advice, strict=True)]
    return {
        "id": message.id,
        "identity": message.identity,
        "state": message.state,
        "received_at": message.received_at.isoformat(),
        "source": message.source,
        "envelope": {"sender": message.envelope.sender, "recipients": list(message.envelope.recipients)},
        "size": message.size,
        "truncated": message.truncated,
        "attempts": message.attempts,
        "last_error": message.last_error,
        "rules": report.rules,
        "repeated": report.repeated,
        "report": described,
    }


def event_row(event: StoredEvent, retry: Retry | None) -> tuple[object, ...]:
    recipient, verdict = event.recipient, event.verdict
    return (
        event.message_id,
        f"{event.occurred_at:%Y-%m-%d %H:%M}",
        recipient.address,
        event.kind,
        verdict and verdict.bounce_type,
        verdict and verdict.reason,
        recipient.status,
        retry and retry.advice,
        _shortened(recipient.diagnostic_code),
    )


def print_report(report: StoredReport, advice: Sequence[Retry | None]) -> None:
    message = report.message
    sender = message.envelope.sender
    print_text(f"Mail {message.id}, {message.state}")
    _print_fields(
        {
            "source": message.source,
            "received": message.received_at.isoformat(timespec="seconds"),
            "size": f"{message.size} bytes{', truncated' if message.truncated else ''}",
            "envelope sender": "<>" if sender == "" else sender,
            "envelope recipient": ", ".join(message.envelope.recipients),
            "error": message.last_error,
        }
    )
    if report.reading is None:
        return
    parsed = report.reading.parsed
    returned, feedback = parsed.returned_message, parsed.feedback
    _print_fields(
        {
            "kind": parsed.kind,
            "from": parsed.from_,
            "subject": parsed.subject,
            "date": parsed.date,
            "message id": parsed.message_id,
            "reporting MTA": parsed.reporting_mta,
            "envelope id": parsed.original_envelope_id,
            "feedback": feedback and feedback.feedback_type,
            "about mail": returned and returned.message_id,
            "about subject": returned and returned.subject,
            "defects": "; ".join(f"{defect.code} {defect.detail}".strip() for defect in parsed.defects),
            "read by": report.rules,
        }
    )
    for event, retry in zip(report.events, advice, strict=True):
        _print_event(event, retry)
    if report.repeated:
        print_text("")
        print_text(f"{report.repeated} recipient(s) more, whose events other mails brought before")


def _print_event(event: StoredEvent, retry: Retry | None) -> None:
    recipient, verdict = event.recipient, event.verdict
    print_text("")
    print_text(f"{recipient.address}: {event.kind}{', ' + answer(verdict) if verdict else ''}")
    _print_fields(
        {
            "original": recipient.original,
            "status": recipient.status,
            "reply": recipient.reply_code,
            "command": recipient.smtp_command,
            "remote MTA": recipient.remote_mta,
            "diagnostic": recipient.diagnostic_code,
            "last attempt": recipient.last_attempt_date,
            "retries until": recipient.will_retry_until,
            "rule": verdict and f"{verdict.rule_id}, confidence {verdict.confidence:.2f}",
            **_tied(event.correlation),
            "advice": retry and advice_line(retry),
        }
    )
    for item in verdict.evidence if verdict else ():
        _print_fields({"evidence": f"{item.source}: {item.text}"})
    if verdict and (block := verdict.block):
        _print_fields({"blocked": blocked_by(block)})


def _tied(correlation: Correlation) -> dict[str, object]:
    by = correlation.matched_by
    return {
        "trust": f"{correlation.trust}, by {by.value.replace('_', ' ')}" if by else correlation.trust,
        "mailed": correlation.mailed_address,
        "sent mail": correlation.sent_message_id,
        "stream": correlation.stream,
        "campaign": correlation.campaign,
        "tags": ", ".join(f"{name}={value}" for name, value in correlation.tags),
        "noticed": ", ".join(finding.replace("_", " ") for finding in correlation.findings),
    }


def advice_line(retry: Retry) -> str:
    """What to do, and where the message stands, on one line."""
    said = [retry.advice.replace("_", " "), f"attempt {retry.attempt}" if retry.final else "the MTA goes on"]
    if retry.exhausted:
        said.append(f"all attempts failed: {retry.effective_type}")
    if retry.next_retry_at is not None:
        said.append(f"try again at {retry.next_retry_at:%Y-%m-%d %H:%M:%S} UTC")
    return "; ".join(said)


def blocked_by(block: Block) -> str:
    """Everything known of a refusal, on one line."""
    return " ".join(filter(None, (block.mechanism, *block.authentication, block.list, block.ip, block.url)))


def answer(verdict: Verdict) -> str:
    return f"{verdict.bounce_type}, {verdict.reason}"


def _print_fields(fields: dict[str, object]) -> None:
    for label, value in fields.items():
        if value is not None and value != "":
            print_text(f"  {label:<{_LABEL}}  {value}")


def _shortened(text: str | None, limit: int = 120) -> str | None:
    return text if text is None or len(text) <= limit else text[: limit - 1] + "\u2026"
