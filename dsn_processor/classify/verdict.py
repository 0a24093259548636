"""RecipientReport -> Verdict. The order of evidence stands in STEPS, strongest first; docs/rules.md explains it."""

from collections.abc import Callable

from dsn_processor.classify.block import BLOCK_REASONS, find_block
from dsn_processor.classify.case import EVIDENCE_LIMIT, Case
from dsn_processor.classify.match import RuleBook, default_book
from dsn_processor.classify.rules import ANYBODY, OPERATOR, PROVIDER, VAGUE, CodeMeaning
from dsn_processor.facts import Block, Candidate, Evidence, RecipientReport, Verdict
from dsn_processor.lines import one_line
from dsn_processor.terms import Action, BounceType, Reason

#: A code at least this sure is specific; a less sure one ("5.7.1", "5.0.0") yields to any words.
SPECIFIC_CODE = 0.7

# What the command tells that was refused. RCPT tells nothing: Postfix and others refuse IPs, HELO names and senders
# there too.
_COMMAND_MEANS = {
    "CONNECT": CodeMeaning(Reason.POLICY, 0.5),
    "EHLO": CodeMeaning(Reason.POLICY, 0.5),
    "STARTTLS": CodeMeaning(Reason.TRANSPORT_SECURITY, 0.6),
    "AUTH": CodeMeaning(Reason.AUTH_REQUIRED, 0.6),
    "MAIL": CodeMeaning(Reason.SENDER_REJECTED, 0.5),
    "EOD": CodeMeaning(Reason.POLICY, 0.4),
}


# The step that a rule belongs to, by its origin.
_WHOSE = {OPERATOR: "operator", PROVIDER: "provider", ANYBODY: "phrase"}


def judge(
    recipient: RecipientReport,
    reporting_mta: str | None = None,
    *,
    trace: bool = False,
    book: RuleBook | None = None,
) -> Verdict:
    """Judge one failed or delayed recipient. Pure. With ``trace`` all candidates are kept, the winner first; else the
    search ends at the winner. ``book`` holds other rules than the package's own.
    """
    case = Case(recipient, reporting_mta, book or default_book(), trace=trace)
    candidates = tuple([found for step in STEPS for found in step(case)]) if trace else ()
    winner = candidates[0] if trace else _strongest(case)
    _, rule_id, reason, bounce_type, scope, confidence, evidence = winner
    block = _block(case, winner) if reason in BLOCK_REASONS else None
    # Past the constructor of a named tuple, which takes twice as long.
    return tuple.__new__(
        Verdict, (bounce_type, reason, scope, confidence, rule_id, (evidence,), block, candidates)
    )


def _strongest(case: Case) -> Candidate:
    """The first candidate that any step gives; the last step always gives one."""
    for step in STEPS:
        if found := step(case):
            return found[0]
    raise AssertionError("no step gave a candidate")


def _block(case: Case, winner: Candidate) -> Block | None:
    recipient = case.recipient
    from_notice = winner.evidence.source == "text" or not case.diagnostic
    return find_block(
        winner.reason,
        one_line(recipient.explanation) if from_notice else case.diagnostic,
        case.book.block_lists,
        status=recipient.status,
        remote_mta=recipient.remote_mta,
    )


def _words(case: Case, source: str) -> list[Candidate]:
    """What one text says: an operator's rules whatever their strength, then a provider's, then phrases of anybody."""
    found = []
    for rule in case.rules(source):  # which come in this order
        if rule.strength < VAGUE or rule.origin == OPERATOR:
            found.append(case.by_rule(_WHOSE[rule.origin], rule, source))
            if not case.trace:
                return found
    return found


def _diagnostic_words(case: Case) -> list[Candidate]:
    return _words(case, "diagnostic_code")


def _notice_words(case: Case) -> list[Candidate]:
    """The report's own words are asked only where the diagnostic is silent: they are farther from the failure."""
    return _words(case, "text")


def _exit_code(case: Case) -> list[Candidate]:
    """A local program's exit code (sysexits.h), as sendmail reports it: "X-Unix; 67"."""
    if (case.recipient.diagnostic_type or "").casefold() != "x-unix":
        return []
    return case.by_code("exit code", "exit", case.diagnostic.strip()[:3], "diagnostic_code")


def _diagnostic_code(case: Case) -> list[Candidate]:
    status = case.recipient.status
    return _further(case) if not status or status.endswith(".0.0") else []


def _status(case: Case) -> list[Candidate]:
    return [candidate for candidate in _by_status(case) if candidate.confidence >= SPECIFIC_CODE]


def _other_diagnostic_code(case: Case) -> list[Candidate]:
    status = case.recipient.status
    return _further(case) if status and not status.endswith(".0.0") else []


def _further(case: Case) -> list[Candidate]:
    return [
        candidate
        for code in dict.fromkeys(case.further_codes())
        if code != case.recipient.status
        for candidate in case.by_code("enhanced code", "status", code, "diagnostic_code")
        if candidate.confidence >= SPECIFIC_CODE
    ]


def _category(case: Case) -> list[Candidate]:
    category = (case.recipient.bounce_category or "").strip().casefold()
    return case.by_code("bounce category", "category", category, "bounce_category")


def _guess(case: Case) -> list[Candidate]:
    """What an unknown wording probably means; the report's own text only where there is no diagnostic."""
    source = "diagnostic_code" if case.diagnostic else "text"
    line = case.line(source)
    if not line or (source == "text" and case.names_causes()):
        return []
    guess = case.book.guess(line, alone=not case.diagnostic)
    if not guess or case.is_too_early(guess.reason):
        return []
    if any(rule.reason is guess.reason for rule in case.rules(source)):
        return []  # a vague phrase is seen, not guessed
    meaning = CodeMeaning(guess.reason, guess.confidence)
    return [case.candidate("guess", guess.id, meaning, Evidence(source, line[:EVIDENCE_LIMIT]))]


def _vague_phrases(case: Case) -> list[Candidate]:
    found = []
    for source in ("diagnostic_code", "text"):
        for rule in case.rules(source):
            if rule.origin != OPERATOR and rule.strength >= VAGUE:
                found.append(case.by_rule("vague phrase", rule, source))
                if not case.trace:
                    return found
    return found


def _vague_status(case: Case) -> list[Candidate]:
    return [
        candidate
        for candidate in _by_status(case)
        if candidate.confidence < SPECIFIC_CODE and candidate.reason is not Reason.UNDETERMINED
    ]


def _command(case: Case) -> list[Candidate]:
    command = case.recipient.smtp_command or ""
    meaning = None if case.transient else _COMMAND_MEANS.get(command)
    if not meaning:
        return []
    return [case.candidate("smtp command", f"command-{command}", meaning, Evidence("smtp_command", command))]


def _reply_code(case: Case) -> list[Candidate]:
    return case.by_code("reply code", "reply", str(case.recipient.reply_code), "reply_code")


def _silent_host(case: Case) -> list[Candidate]:
    """A host was tried, and no reply of it is told: the conversation came to nothing. Exim warns of delays so."""
    recipient = case.recipient
    if not (case.transient and recipient.remote_mta) or case.diagnostic or recipient.reply_code:
        return []
    evidence = Evidence("remote_mta", recipient.remote_mta[:EVIDENCE_LIMIT])
    return [case.candidate("action", "silent-host", CodeMeaning(Reason.NETWORK_ERROR, 0.4), evidence)]


def _status_alone(case: Case) -> list[Candidate]:
    """A code that names no cause still has a class: 4.0.0 is soft, 5.0.0 nothing."""
    return [candidate for candidate in _by_status(case) if candidate.reason is Reason.UNDETERMINED]


def _class_alone(case: Case) -> list[Candidate]:
    """Neither code nor words: what will be tried again is soft, and nothing tells of the rest."""
    bounce_type = BounceType.SOFT if case.transient else BounceType.UNDETERMINED
    action = case.recipient.action or Action.FAILED
    meaning = CodeMeaning(Reason.UNDETERMINED, 0.3, bounce_type)
    return [case.candidate("action", "undetermined", meaning, Evidence("action", action.value))]


def _by_status(case: Case) -> list[Candidate]:
    return case.by_code("status", "status", case.recipient.status or "", "status")


#: The order of evidence: each step gives its candidates, the strongest first.
STEPS: tuple[Callable[[Case], list[Candidate]], ...] = (
    _diagnostic_words,
    _notice_words,
    _exit_code,
    _diagnostic_code,
    _status,
    _other_diagnostic_code,
    _category,
    _guess,
    _vague_phrases,
    _vague_status,
    _command,
    _reply_code,
    _silent_host,
    _status_alone,
    _class_alone,
)
