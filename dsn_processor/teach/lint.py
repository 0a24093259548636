"""What is wrong with a rules file: each finding names file and row, and says what to do."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dsn_processor.classify import rules
from dsn_processor.classify.match import RuleBook, fold
from dsn_processor.classify.reading import (
    did_you_mean,
    gather_rows,
    read_codes,
    read_guesses,
    read_lists,
    read_providers,
    read_rows,
)
from dsn_processor.classify.rules import OPERATOR, GuessRow, Provider, Row, Rule, Tables
from dsn_processor.errors import RulesError
from dsn_processor.teach.samples import report_of, verdict_on, why_not

_DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")  # RFC 5737
_SHORT = re.compile(r"[\x00-\x7f]{1,2}|.", re.DOTALL)  # two characters may be a word in Chinese or Japanese
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")


class Finding(NamedTuple):
    """One thing wrong. A file with a ``fatal`` one is not used; the others are advice."""

    text: str
    fatal: bool = True


class Linted(NamedTuple):
    """A file looked through: its rows that can be read, what was found, and ``book``, the rules to judge by with
    these rows among them; None where no rule could be read.
    """

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    book: RuleBook | None

    @property
    def fatal(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.fatal)

    @property
    def samples(self) -> int:
        return sum(len(row.seen) + len(row.not_seen) for row in self.rows)


def lint_own(data: bytes, name: str) -> Linted:
    """An operator's file, whose rows come before the package's."""
    tables = rules.load()
    try:
        rows, mistakes = gather_rows(data, name, OPERATOR)
        own = read_providers(data, name)
    except RulesError as error:
        return Linted((), (Finding(str(error)),), None)
    tables = tables._replace(
        found_by=None,
        rules=(*(row.rule for row in rows), *tables.rules),
        providers=(*tables.providers, *own),
    )
    book = RuleBook(tables)
    packaged = tables.rules[len(rows) :]
    findings = [Finding(str(mistake)) for mistake in mistakes]
    findings += _rows(rows, book)
    findings += _known_already(rows, packaged)
    return Linted(tuple(rows), tuple(findings), book)


def lint_packaged(sources: Iterable[bytes]) -> Linted:
    """The package's tables, in the order of ``rules.FILES``."""
    files = dict(zip(rules.FILES, sources, strict=True))
    findings: list[Finding] = []
    rows: list[Row] = []
    for name in rules.RULE_FILES:
        try:
            found, mistakes = gather_rows(files[name], name)
        except RulesError as error:
            findings.append(Finding(str(error)))
        else:
            rows += found
            findings += [Finding(str(mistake)) for mistake in mistakes]
    try:
        guesses, words = read_guesses(files[rules.GUESS_FILE], rules.GUESS_FILE)
        tables = Tables(
            rules=tuple(row.rule for row in rows),
            providers=read_providers(files[rules.RULE_FILES[0]], rules.RULE_FILES[0]),
            codes=read_codes(files[rules.CODE_FILE], rules.CODE_FILE),
            lists=read_lists(files[rules.LIST_FILE], rules.LIST_FILE),
            guesses=tuple(row.guess for row in guesses),
            words=words,
        )
    except RulesError as error:
        return Linted(tuple(rows), (*findings, Finding(str(error))), None)
    book = RuleBook(tables)
    findings += [*_same_ids(rows), *_rows(rows, book), *_guesses(guesses, book), *_real_networks(rows)]
    return Linted(tuple(rows), tuple(findings), book)


def packaged_rows() -> tuple[Row, ...]:
    """The package's rows with their samples. Raises RulesError."""
    files = dict(zip(rules.FILES, rules.read_files(), strict=True))
    return tuple(row for name in rules.RULE_FILES for row in read_rows(files[name], name))


def _rows(rows: Sequence[Row], book: RuleBook) -> Iterator[Finding]:
    """What can be said of each row among the others."""
    providers = {provider.name: provider for provider in book.tables.providers}
    asked: dict[Any, Row] = {}
    for row in rows:
        rule = row.rule
        if rule.provider and rule.provider not in providers:
            near = did_you_mean(rule.provider, providers)
            yield Finding(f"{row.place}: unknown provider {rule.provider!r}; {near}")
            continue
        if not (rule.provider or rule.status) and _SHORT.fullmatch("".join(rule.text)):
            yield Finding(
                f"{row.place}: text {' ... '.join(rule.text)!r} stands nearly everywhere; write words"
            )
            continue
        unfolded = [text for text in rule.text if fold(text) != text]
        for text in unfolded:
            yield Finding(
                f"{row.place}: text {text!r} is never found, since texts are folded; write {fold(text)!r}"
            )
        first = asked.setdefault(conditions(rule), row)
        if first is not row:
            yield Finding(f"{row.place}: asks for the same as {first.rule.id!r}; take one of them out")
        elif not unfolded:
            yield from sample_findings(row, book, providers)


def sample_findings(row: Row, book: RuleBook, providers: Mapping[str, Provider]) -> Iterator[Finding]:
    """The samples that ``row`` should win and does not, and those that it should not and does."""
    rule = row.rule
    for number, sample in enumerate(row.seen, 1):
        verdict = verdict_on(sample, rule, book, providers)
        if verdict.rule_id != rule.id:
            why = why_not(rule, report_of(sample, rule, providers), book)
            yield Finding(
                f"{row.place}: does not win its sample seen[{number}]: {why}; "
                "mend the words, conditions or strength, or take the sample out"
            )
    for number, sample in enumerate(row.not_seen, 1):
        if verdict_on(sample, rule, book, providers).rule_id == rule.id:
            yield Finding(
                f"{row.place}: wins not_seen[{number}]; write longer words, or narrow it by provider or status"
            )


def _guesses(rows: Iterable[GuessRow], book: RuleBook) -> Iterator[Finding]:
    """The samples that a guess does not answer as it should."""
    for row in rows:
        asked = Rule(row.guess.id, row.guess.reason)
        for wanted, samples in ((True, row.seen), (False, row.not_seen)):
            for sample in samples:
                winner = verdict_on(sample, asked, book, {}).rule_id
                if (winner == row.guess.id) is not wanted:
                    yield Finding(f"{row.place}: {winner!r} wins {sample!r}; mend the words, or their order")


def conditions(rule: Rule) -> tuple[object, ...]:
    """What a rule asks for, whatever it answers."""
    return rule.text, rule.provider, rule.status, rule.reply_code, rule.command, rule.action


def _known_already(rows: Iterable[Row], packaged: Iterable[Rule]) -> Iterator[Finding]:
    """Advice only: what the package comes to know must not stop an operator's file that worked before."""
    ids = {}
    asked = {}
    for rule in packaged:
        ids[rule.id] = rule
        asked[conditions(rule)] = rule
    for row in rows:
        rule = row.rule
        if rule.id in ids:
            yield Finding(
                f"{row.place}: the package has a rule of this id; call it own-{rule.id}, so that verdicts tell them apart",
                fatal=False,
            )
        same = asked.get(conditions(rule))
        if same and (same.reason, same.bounce_type) == (rule.reason, rule.bounce_type):
            yield Finding(f"{row.place}: says the same as the package's {same.id!r}; not needed", fatal=False)


def too_wide(linted: Linted) -> Iterator[Finding]:
    """Advice on the rows of an operator's file that win samples of the package's rows which answer otherwise. Not for
    each start: thousands of samples are judged.
    """
    if linted.book is None or linted.fatal:
        return
    providers = {provider.name: provider for provider in linted.book.tables.providers}
    own = {row.rule.id: row for row in linted.rows}
    taken: dict[str, list[str]] = {}
    for row in packaged_rows():
        for sample in row.seen:
            verdict = verdict_on(sample, row.rule, linted.book, providers)
            if verdict.rule_id in own and verdict.reason != row.rule.reason:
                shown = sample if isinstance(sample, str) else sample.get("reply") or sample.get("text")
                taken.setdefault(verdict.rule_id, []).append(f"{shown!r} ({row.rule.reason})")
    for rule_id, samples in taken.items():
        many = f"{len(samples):,} samples of the package" if len(samples) > 1 else "a sample of the package"
        yield Finding(
            f"{own[rule_id].place}: takes {many} that mean something else, such as {samples[0]}; "
            "unless that is what you want, write longer words, or narrow it by provider or status",
            fatal=False,
        )


def _same_ids(rows: Iterable[Row]) -> Iterator[Finding]:
    """Over all files; in one file gather_rows sees it."""
    ids: dict[str, Row] = {}
    for row in rows:
        if (first := ids.setdefault(row.rule.id, row)) is not row:
            yield Finding(f"{row.place}: {first.place} has this id; give each its own")


def _real_networks(rows: Iterable[Row]) -> Iterator[Finding]:
    networks = [ipaddress.ip_network(network) for network in _DOCUMENTATION]
    for row in rows:
        for found in _IP.findall(" ".join(map(str, (*row.seen, *row.not_seen)))):
            if not any(_address(found) in network for network in networks):
                yield Finding(f"{row.place}: a sample names the real address {found}; write 192.0.2.1")


def _address(text: str) -> ipaddress.IPv4Address:
    """Numbers over 255 are no address, and stand in no network either."""
    return ipaddress.IPv4Address(bytes(min(int(number), 255) for number in text.split(".")))
