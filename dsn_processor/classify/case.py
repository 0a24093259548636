"""One recipient under judgement: its report, what was found in it so far, and how a finding becomes a candidate."""

from collections.abc import Sequence
from functools import lru_cache, partial

from dsn_processor.classify.match import LIMIT, NOTHING, RuleBook, Scan, spaced
from dsn_processor.classify.rules import ANYBODY, VAGUE, Rule, weight
from dsn_processor.facts import Candidate, Evidence, RecipientReport
from dsn_processor.lines import one_line
from dsn_processor.patterns import holds, pattern
from dsn_processor.terms import REASONS, Action, BounceType, Reason

#: Longest text of one piece of evidence, in characters.
EVIDENCE_LIMIT = 300
#: The report's own text is farther from the failure than the diagnostic, the more so where it names two causes.
EXPLANATION_DISCOUNT = 0.02
AMBIGUITY_DISCOUNT = 0.06
#: A hard verdict whose evidence disagrees on the class (4 or 5), names somebody else, or speaks of the sender, stays
#: below what suppresses at once.
DISAGREEMENT_LIMIT = 0.85
#: A text that names this many different causes is a list of possibilities and tells none.
TOO_MANY_CAUSES = 3

_CODES = pattern(r"[45](?:(?<![\w.:/\[-].)|(?<=[245]\d\d-.))\.\d{1,3}\.\d{1,3}(?![\w-]|\.\d)")
_NAMED = pattern(r"<([^<>@\s]{1,64})@[^<>@\s]{1,255}>")  # local parts: domains are rewritten on the way
_ABOUT_LOGIN = frozenset({530, 534, 535, 538})  # RFC 4954: who sends has to log in
# Words that make a dead address doubtful, since "no such user" beside them may be about the sender.
_BLOCKED = ("blocked", "blocklist", "block list", "blacklist", "black list", "spam", "outbound", "reputation")
_SENDERS = (
    "send",
    "originator",
    "mail from",
    "from address",
    "return",
    "your ",
)  # one is in whatever _SENDER finds
_SENDER = pattern(
    r"\b(?:sender|sending (?:domain|user|account|address|host)|originator|mail from\b|from address|return[- ]path"
    r"|your (?:account|mailbox|e-?mail address|address|domain)\b)"
)
_RECIPIENT = pattern(r"\b(?:recipient|rcpt|addressee|to address)")
_CLAUSES = pattern(r"[.;!] |, ")
# What is refused before a recipient was named is no word about the recipient: "user unknown" in reply to MAIL is about
# our sender's address. (A host that takes no mail says so at once, RFC 7504.)
_BEFORE_RCPT = frozenset({"CONNECT", "EHLO", "STARTTLS", "MAIL"})
_ABOUT_RECIPIENT = frozenset(
    reason for reason, (bounce_type, _) in REASONS.items() if bounce_type is BounceType.HARD
) - {Reason.DOMAIN_NULL_MX}


Meaning = tuple[Reason, float, BounceType | None]  # a CodeMeaning is one

# An enum is slow to look into.
_HARD, _SOFT, _DELAYED = BounceType.HARD, BounceType.SOFT, Action.DELAYED
_RATE_LIMITED, _DOMAIN_NOT_FOUND = Reason.RATE_LIMITED, Reason.DOMAIN_NOT_FOUND
_rounded = lru_cache(maxsize=256)(partial(round, ndigits=2))  # a number is written and read for it
_new = tuple.__new__  # past the constructor of a named tuple, which takes twice as long


class Case:
    """One recipient under judgement: its report, and what was found in it so far."""

    _providers: set[str | None] | None = None
    _codes: list[str] | None = None
    _discount = EXPLANATION_DISCOUNT

    def __init__(
        self, recipient: RecipientReport, reporting_mta: str | None, book: RuleBook, *, trace: bool = False
    ) -> None:
        self.recipient = recipient
        self.reporting_mta = reporting_mta
        self.book = book
        self.trace = trace  #: all candidates are wanted, not the strongest alone
        self.transient = _is_transient(recipient)
        self.diagnostic = recipient.diagnostic_code or ""
        self._known: dict[str, Sequence[Rule]] = {}
        self._lines: dict[str, str] = {}

    def rules(self, source: str) -> Sequence[Rule]:
        """The rules that ``source`` ("diagnostic_code" or "text") speaks for, strongest first."""
        known = self._known.get(source)
        if known is None:
            known = self._in_diagnostic() if source == "diagnostic_code" else self._in_explanation()
            self._known[source] = known
        return known

    def line(self, source: str) -> str:
        """The text of ``source`` as it is searched and quoted: on one line with single spaces."""
        line = self._lines.get(source)
        if line is None:
            if source == "diagnostic_code":
                line = spaced(self.diagnostic)
            else:
                line = one_line(self.recipient.explanation)[:LIMIT].rstrip()
            self._lines[source] = line
        return line

    def _in_diagnostic(self) -> Sequence[Rule]:
        by_code = self.book.by_status.get(self.recipient.status or "")
        if not (self.diagnostic or by_code):
            return ()
        scan = self.book.scan_line(self.line("diagnostic_code")) if self.diagnostic else NOTHING
        found = self._applying(scan)
        if not by_code:
            return found
        also = [rule for rank in by_code if self._applies(rule := self.book.rule[rank], scan.providers)]
        return sorted([*found, *also], key=weight) if also else found

    def _in_explanation(self) -> Sequence[Rule]:
        if not self.recipient.explanation:
            return ()
        rules = self._applying(self.book.scan_line(self.line("text")))
        causes = {rule.reason for rule in rules if rule.strength < VAGUE and rule.origin == ANYBODY}
        if len(causes) > 1:
            self._discount += AMBIGUITY_DISCOUNT
        if len(causes) >= TOO_MANY_CAUSES:
            rules = tuple(rule for rule in rules if rule.origin < ANYBODY)
        # The text may go on about other recipients: of equals, the one that agrees with this one's Status.
        stated = self.book.tables.codes.get(f"status:{self.recipient.status}")
        if stated and len(rules) > 1:
            return sorted(
                rules, key=lambda rule: (rule.origin, rule.strength, rule.reason is not stated.reason)
            )
        return rules

    def _applying(self, scan: Scan) -> tuple[Rule, ...]:
        """The rules of a scan whose conditions hold here."""
        book, early = self.book, self.recipient.smtp_command in _BEFORE_RCPT
        if not (early or scan.asking):
            return scan.rules
        return book.strongest(
            tuple(
                [
                    hit
                    for hit in scan.hits
                    if not (early or hit.rank in scan.asking)
                    or self._applies(book.rule[hit.rank], scan.providers)
                ]
            )
        )

    def _applies(self, rule: Rule, named: frozenset[str]) -> bool:
        recipient = self.recipient
        return (
            (not rule.provider or rule.provider in named or rule.provider in self.providers())
            and (not rule.reply_code or recipient.reply_code in rule.reply_code)
            and (not rule.command or recipient.smtp_command in rule.command)
            and (not rule.action or recipient.action == rule.action)
            and (
                not rule.status
                or recipient.status in rule.status
                or any(code in rule.status for code in self.further_codes())
            )
            and not self.is_too_early(rule.reason)
        )

    def names_causes(self) -> bool:
        """The report's own text holds phrases, whether or not they were believed."""
        rule = self.book.rule
        hits = self.book.scan_line(self.line("text")).hits
        return any(rule[hit.rank].strength < VAGUE and rule[hit.rank].origin == ANYBODY for hit in hits)

    def is_too_early(self, reason: Reason) -> bool:
        """``reason`` is about a recipient, and none was named yet."""
        return self.recipient.smtp_command in _BEFORE_RCPT and reason in _ABOUT_RECIPIENT

    def providers(self) -> set[str | None]:
        """Who may speak here: whom the hosts and the recipient's domain belong to; None for those that are nobody's."""
        if self._providers is None:
            recipient = self.recipient
            names = (recipient.remote_mta, recipient.address.rpartition("@")[2], self.reporting_mta)
            self._providers = {self.book.provider_of(name) for name in names if name}
        return self._providers

    def codes(self) -> set[str]:
        """Every enhanced code stated: Status, and those in the diagnostic."""
        return {self.recipient.status or "", *self.further_codes()}

    def further_codes(self) -> list[str]:
        """The enhanced codes in the diagnostic, in their order."""
        if self._codes is None:
            self._codes = _CODES.findall(self.diagnostic[:LIMIT]) if self.diagnostic else []
        return self._codes

    def candidate(self, step: str, rule_id: str, meaning: Meaning, evidence: Evidence) -> Candidate:
        """What is found, as a verdict. ``meaning`` is a reason, a confidence and, where it is not the usual, a type."""
        reason, confidence, bounce_type = meaning
        usual, scope = REASONS[reason]
        if bounce_type is None:
            soft = self.transient and (usual is _HARD or reason is _RATE_LIMITED)
            bounce_type = _SOFT if soft else usual
        if bounce_type is _HARD and confidence > DISAGREEMENT_LIMIT and self._is_doubtful(reason):
            confidence = DISAGREEMENT_LIMIT
        return _new(Candidate, (step, rule_id, reason, bounce_type, scope, _rounded(confidence), evidence))

    def _is_doubtful(self, reason: Reason) -> bool:
        """Something in the evidence speaks against a dead address, or a dead domain."""
        recipient = self.recipient
        return (
            _classes_disagree(recipient)
            or _about_another(recipient)
            or _about_member(recipient)
            or recipient.reply_code in _ABOUT_LOGIN
            or _about_sender(self.diagnostic[:LIMIT])
            # Refused by policy: it may be the domain of a link, of a greeting or of the sender that is missing.
            or (reason is _DOMAIN_NOT_FOUND and (recipient.status or "")[1:3] == ".7")
        )

    def by_rule(self, step: str, rule: Rule, source: str) -> Candidate:
        confidence = rule.confidence if source == "diagnostic_code" else rule.confidence - self._discount
        if rule.text or not self.recipient.status:
            line = self.line(source)
            quoted = source, line if len(line) <= EVIDENCE_LIMIT else _excerpt(line, rule)
        else:
            quoted = "status", self.recipient.status
        meaning = rule.reason, confidence, rule.bounce_type
        return self.candidate(step, rule.id, meaning, _new(Evidence, quoted))

    def by_code(self, step: str, kind: str, code: str, source: str) -> list[Candidate]:
        """What a code means; nothing where the tables do not know it."""
        meaning = self.book.tables.codes.get(f"{kind}:{code}")
        if not meaning:
            return []
        return [self.candidate(step, f"{kind}-{code}", meaning, _new(Evidence, (source, code)))]


def _is_transient(recipient: RecipientReport) -> bool:
    """Class 4, by what the remote server said before what the reporting one made of it."""
    if recipient.reply_code:
        return 400 <= recipient.reply_code < 500
    if recipient.status:
        return recipient.status.startswith("4")
    return recipient.action is _DELAYED


def _classes_disagree(recipient: RecipientReport) -> bool:
    heard = recipient.reply_code and str(recipient.reply_code)[0]
    stated = recipient.status and recipient.status[0]
    if recipient.action is _DELAYED and "5" in (heard, stated):
        return True
    return bool(heard and stated) and heard != stated


def _about_another(recipient: RecipientReport) -> bool:
    """The diagnostic names addresses, and this recipient's is not among them. QUIRK: nullmailer gives all recipients the
    reply to one of them, and Exim gives an alias that of a member.
    """
    text = recipient.diagnostic_code
    if not text or "<" not in text or not recipient.address or f"<{recipient.address}>" in text[:LIMIT]:
        return False
    named = {local.casefold() for local in _NAMED.findall(text[:LIMIT])}
    own = (recipient.address, recipient.original or "")
    return bool(named) and named.isdisjoint(address.rpartition("@")[0].casefold() for address in own)


def _about_member(recipient: RecipientReport) -> bool:
    """The report's words name an address that this one was turned into. QUIRK: Exim reports a member as the alias, which
    may have others.
    """
    text = recipient.explanation
    text = one_line(text) if "(generated" in text else ""
    return (
        "(generated from " in text and f"(generated from {recipient.address})".casefold() in text.casefold()
    )


def _about_sender(diagnostic: str) -> bool:
    """The diagnostic speaks of us: of being blocked, or of a sender and of no recipient beside it."""
    text = diagnostic.casefold()
    if holds(text, _BLOCKED):
        return True
    if not holds(text, _SENDERS) or not _SENDER.search(text):
        return False
    return any(not _RECIPIENT.search(clause) for clause in _CLAUSES.split(text) if _SENDER.search(clause))


def _excerpt(text: str, rule: Rule) -> str:
    """The part of a long line that holds the rule's longest fragment."""
    if rule.text:
        found = text.casefold().find(max(rule.text, key=len))
        if found + len(max(rule.text, key=len)) > EVIDENCE_LIMIT:
            begin = text.rfind(" ", 0, max(1, found - EVIDENCE_LIMIT // 3)) + 1
            text = text[begin:]
    return text[:EVIDENCE_LIMIT]
