"""The list of all rules with their samples, for people: docs/rules/, written by `make rules`.

python -m dsn_processor.teach.catalogue docs/rules
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsn_processor.classify import rules
from dsn_processor.classify.rules import STRENGTHS, Row, Tables
from dsn_processor.teach.lint import packaged_rows
from dsn_processor.terms import REASONS, BounceType, Reason

#: By the prefix that the ids in languages.toml have.
LANGUAGES = {
    "cs": "Czech and Slovak",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hu": "Hungarian and Romanian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "nordic": "Swedish, Danish, Norwegian, Finnish",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian and Ukrainian",
    "sv": "Swedish",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
_NAMES = {number: name for name, number in STRENGTHS.items()}
_WRITTEN = "<!-- Written by `make rules` from dsn_processor/classify/tables/. -->"


def language(row: Row) -> str | None:
    """The code of the language that a row's words are in; None for a provider's and an operator's rows."""
    file = row.place.partition(":")[0]
    if file == rules.RULE_FILES[1]:
        return "en"
    return row.rule.id.partition("-")[0] if file == rules.RULE_FILES[2] else None


def describe_row(row: Row) -> dict[str, Any]:
    """A row as JSON, with what it leaves out said."""
    rule = row.rule
    return {
        "id": rule.id,
        "file": row.place.partition(": rule ")[0],
        "reason": rule.reason,
        "bounce_type": rule.bounce_type or REASONS[rule.reason][0],
        "provider": rule.provider,
        "lang": language(row),
        "text": list(rule.text),
        "status": list(rule.status),
        "reply_code": list(rule.reply_code),
        "command": list(rule.command),
        "action": rule.action,
        "strength": _NAMES[rule.strength],
        "confidence": rule.confidence,
        "seen": list(row.seen),
        "not_seen": list(row.not_seen),
        "source": row.source,
    }


def render(rows: Sequence[Row], tables: Tables) -> dict[str, str]:
    """The pages: file name -> text."""
    own, texts, words = ([row for row in rows if row.place.startswith(name)] for name in rules.RULE_FILES)
    pages = {
        "providers.md": _page(
            "What each provider means by its own words and codes",
            _by(own, lambda row: row.rule.provider or "any"),
        ),
        "languages.md": _page(
            "What servers say in other languages",
            _by(words, lambda row: LANGUAGES.get(language(row) or "", language(row) or "")),
        ),
        "codes.md": _codes(tables),
        "guesses.md": _guesses(tables),
    }
    for bounce_type in BounceType:
        chosen = [row for row in texts if REASONS[row.rule.reason][0] is bounce_type]
        title = f"What servers say in English: reasons that are {bounce_type} on a permanent failure"
        if chosen:
            pages[f"english-{bounce_type}.md"] = _page(
                title, _by(chosen, lambda row: row.rule.reason.value, in_order=True)
            )
    return {"README.md": _index(rows, pages), **dict(sorted(pages.items()))}


def _by(rows: Iterable[Row], key: Callable[[Row], str], *, in_order: bool = False) -> dict[str, list[Row]]:
    """Rows under headings: sorted, or in the order of the reasons."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    order = [reason.value for reason in Reason if reason in groups] if in_order else sorted(groups)
    return {name: groups[name] for name in order}


def _page(title: str, groups: Mapping[str, Sequence[Row]]) -> str:
    lines = [f"# {title}", "", _WRITTEN]
    for name, rows in groups.items():
        lines += ["", f"## {name}", "", "| rule | answer | words | samples |", "|---|---|---|---|"]
        order = {reason: number for number, reason in enumerate(Reason)}
        lines += [_line(row) for row in sorted(rows, key=lambda row: order[row.rule.reason])]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    rule = row.rule
    answer = [rule.reason.value]
    if rule.bounce_type:
        answer.append(rule.bounce_type.value)
    if rule.strength:
        answer.append(_NAMES[rule.strength])
    asked = [" … ".join(map(_code, rule.text))] if rule.text else []
    if rule.status:
        asked.append(f"status {_range(rule.status)}")
    if rule.reply_code:
        asked.append(f"reply {_range(tuple(map(str, rule.reply_code)))}")
    if rule.command:
        asked.append(f"at {' or '.join(rule.command)}")
    if rule.action:
        asked.append(rule.action)
    samples = "<br>".join(_code(_told(sample)) for sample in row.seen)
    if row.not_seen:
        samples += "<br>not: " + "<br>not: ".join(_code(_told(sample)) for sample in row.not_seen)
    return f"| {rule.id} | {', '.join(answer)} | {', '.join(asked)} | {samples} |"


def _range(values: tuple[str, ...]) -> str:
    return f"{values[0]} to {values[-1]}" if len(values) > 4 else " or ".join(values)


def _told(sample: str | Mapping[str, str]) -> str:
    if isinstance(sample, str):
        return sample
    others = "; ".join(f"{name}: {value}" for name, value in sample.items() if name != "reply")
    return f"{sample.get('reply', '')} [{others}]".strip()


def _code(text: str) -> str:
    """As code in a cell of a table."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|").replace("](", "] (") + "`"


def _codes(tables: Tables) -> str:
    lines = ["# What codes and lists say where no words do", "", _WRITTEN]
    for kind, title in (
        ("status", "Enhanced status codes"),
        ("reply", "Reply codes"),
        ("exit", "Exit codes of local programs"),
        ("category", "Bounce categories that a sending MTA adds"),
    ):
        lines += ["", f"## {title}", "", "| code | reason | type | sure |", "|---|---|---|---|"]
        for key, means in sorted(tables.codes.items(), key=lambda item: _by_number(item[0])):
            if key.startswith(f"{kind}:"):
                bounce_type = means.bounce_type or "by its class"
                lines.append(
                    f"| {key.partition(':')[2]} | {means.reason} | {bounce_type} | {means.confidence} |"
                )
    lines += ["", "## Blocklists", "", "| list | zones and pages | lists |", "|---|---|---|"]
    lines += [f"| {one.name} | {', '.join(one.zones)} | {one.lists} |" for one in tables.lists]
    return "\n".join(lines) + "\n"


def _guesses(tables: Tables) -> str:
    lines = ["# What unknown wording probably means", "", _WRITTEN, ""]
    lines += ["The first that holds: a word of each group, and none of the last column, in one sentence.", ""]
    lines += ["| guess | reason | groups | unless |", "|---|---|---|---|"]
    for guess in tables.guesses:
        groups = "<br>".join(_code(", ".join(group)) for group in guess.words)
        unless = _code(", ".join(guess.unless)) if guess.unless else ""
        lines.append(f"| {guess.id} | {guess.reason} | {groups} | {unless} |")
    lines += ["", "## Words", "", "| list | words |", "|---|---|"]
    lines += [f"| ${name} | {_code(', '.join(words))} |" for name, words in tables.words.items()]
    return "\n".join(lines) + "\n"


def _by_number(key: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in key.partition(":")[2].split(".")]


def _index(rows: Sequence[Row], pages: Mapping[str, str]) -> str:
    won, lost = sum(len(row.seen) for row in rows), sum(len(row.not_seen) for row in rows)
    lines = [
        "# All rules",
        "",
        _WRITTEN,
        "",
        f"{len(rows):,} rules with {won:,} samples that they win and {lost:,} that they must not. How they are read stands in",
        "[rules.md](../rules.md); `dsn-processor rules list` finds one.",
        "",
        "| page | what |",
        "|---|---|",
    ]
    lines += [
        f"| [{name}]({name}) | {page.partition(chr(10))[0][2:]} |" for name, page in sorted(pages.items())
    ]
    lines += ["", "| reason | type | scope | rules |", "|---|---|---|---|"]
    counts = {reason: sum(row.rule.reason is reason for row in rows) for reason in Reason}
    lines += [
        f"| {reason} | {REASONS[reason][0]} | {REASONS[reason][1]} | {counts[reason]} |" for reason in Reason
    ]
    return "\n".join(lines) + "\n"


def main(folder: str) -> None:
    """Write the pages into ``folder``; pages that are no more are taken away."""
    pages = render(packaged_rows(), rules.load())
    Path(folder).mkdir(exist_ok=True)
    for old in Path(folder).glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(pages)} pages to {folder}\n")


if __name__ == "__main__":
    main(sys.argv[1])
