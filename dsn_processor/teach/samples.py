"""A rule's samples: the report that each stands for, who wins it, and why a rule does not."""

from collections.abc import Mapping
from typing import Any

from dsn_processor.classify.case import Case
from dsn_processor.classify.match import GAP, RuleBook, fold
from dsn_processor.classify.rules import Provider, Rule
from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport, Verdict
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.terms import Action

_SHOWN = 100  # characters of a sample in a message


def report_of(
    sample: str | Mapping[str, Any], rule: Rule, providers: Mapping[str, Provider]
) -> RecipientReport:
    """A sample as a report. A plain reply to a provider's row comes from that provider's own host, where it has one."""
    fields = {"reply": sample} if isinstance(sample, str) else dict(sample)
    text = fields.pop("reply", "")
    reply = parse_reply(text)
    provider = providers.get(rule.provider or "")
    host = f"mx.{provider.hosts[0]}" if provider and provider.hosts else None
    return RecipientReport(
        address=fields.pop("address", "u@example.net"),
        action=Action(fields.pop("action", "failed")),
        status=fields.pop("status", reply.status),
        reply_code=reply.reply_code,
        diagnostic_code=reply.text or None,
        explanation=fields.pop("text", ""),
        remote_mta=fields.pop("remote_mta", host),
        smtp_command=fields.pop("command", find_command(text)),
        **fields,
    )


def verdict_on(
    sample: str | Mapping[str, Any], rule: Rule, book: RuleBook, providers: Mapping[str, Provider]
) -> Verdict:
    return judge(report_of(sample, rule, providers), book=book)


def why_not(rule: Rule, report: RecipientReport, book: RuleBook) -> str:
    """Why ``rule`` does not win ``report``: the first of its conditions that does not hold, else who is stronger."""
    return _words_missing(rule, report, book) or _condition(rule, report, book) or _stronger(report, book)


def _words_missing(rule: Rule, report: RecipientReport, book: RuleBook) -> str | None:
    texts = [text for text in (report.diagnostic_code, report.explanation) if text]
    if not rule.text or any(
        book.rules[hit.rank].id == rule.id for text in texts for hit in book.scan(text).hits
    ):
        return None
    folded = " / ".join(map(fold, texts))
    for fragment in rule.text:
        if fragment not in folded:
            return f"{fragment!r} does not stand in it; as it is searched, it reads {_short(folded)!r}"
    if len(rule.text) > 1:
        return f"its words stand there in another order, or more than {GAP} characters apart"
    return f"{rule.text[0]!r} stands there only inside a word; words are searched from their begin"


def _condition(rule: Rule, report: RecipientReport, book: RuleBook) -> str | None:
    case = Case(report, None, book)
    named = {
        name
        for text in (report.diagnostic_code, report.explanation)
        if text
        for name in book.scan(text).providers
    }
    if rule.provider and rule.provider not in named | case.providers():
        return (
            f'nothing in it is {rule.provider}\'s: state its host, as {{ reply = "...", remote_mta = "..." }}'
        )
    if rule.status and case.codes().isdisjoint(rule.status):
        return f"its status is {report.status or 'not told'}, and the row asks for {_listed(rule.status)}"
    if rule.reply_code and report.reply_code not in rule.reply_code:
        return f"its reply code is {report.reply_code or 'not told'}, and the row asks for {_listed(rule.reply_code)}"
    if rule.command and report.smtp_command not in rule.command:
        return f"its command is {report.smtp_command or 'not told'}, and the row asks for {_listed(rule.command)}"
    if rule.action and report.action != rule.action:
        return f"its action is {report.action}, and the row asks for {rule.action}"
    return None


def _stronger(report: RecipientReport, book: RuleBook) -> str:
    verdict = judge(report, book=book)
    winner = next((rule for rule in book.rules if rule.id == verdict.rule_id), None)
    words = f" by {' ... '.join(winner.text)!r}" if winner and winner.text else ""
    return f"{verdict.rule_id!r} wins it{words}: {verdict.bounce_type}, {verdict.reason}"


def _listed(values: tuple[object, ...]) -> str:
    return f"{values[0]}, ... or {values[-1]}" if len(values) > 4 else " or ".join(map(str, values))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\u2026"
