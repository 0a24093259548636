"""How many mails keep their kind, their recipients and their types when bytes of them change. Deterministic by seed."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.evidence import Answer, Lines, answer, look_at
from fuzz.reshape import ALIKE, SAME

from dsn_processor.parse.mime import lf_lines
from dsn_processor.reading import read

#: (the mail changed, the numbers of the lines that were touched)
Change = tuple[bytes, set[int]]


def insert(lines: list[bytes], rng: random.Random, byte: Callable[[], bytes]) -> set[int]:
    """A byte at a random place; the longer a line, the likelier it is hit."""
    number = rng.choices(range(len(lines)), [len(line) + 1 for line in lines])[0]
    at = rng.randint(0, len(lines[number]))
    lines[number] = lines[number][:at] + byte() + lines[number][at:]
    return {number}


def _inserted(count: int, kind: str) -> Callable[[Lines, random.Random], Change]:
    def change(mail: Lines, rng: random.Random) -> Change:
        lines, touched = list(mail.lines), set()
        choices = {
            "printable": lambda: bytes([rng.randint(0x20, 0x7E)]),
            "e9": lambda: b"\xe9",
            "nul": lambda: b"\0",
        }
        for _ in range(count):
            touched |= insert(lines, rng, choices[kind])
        return b"\n".join(lines), touched

    return change


def _dropped(count: int) -> Callable[[Lines, random.Random], Change]:
    def change(mail: Lines, rng: random.Random) -> Change:
        touched = set(rng.sample(range(len(mail.lines)), min(count, len(mail.lines))))
        return b"\n".join(line for number, line in enumerate(mail.lines) if number not in touched), touched

    return change


def _doubled(mail: Lines, rng: random.Random) -> Change:
    number = rng.randrange(len(mail.lines))
    return b"\n".join([*mail.lines[: number + 1], *mail.lines[number:]]), {number}


def _swapped(mail: Lines, rng: random.Random) -> Change:
    lines = list(mail.lines)
    number = rng.randrange(max(1, len(lines) - 1))
    lines[number : number + 2] = lines[number : number + 2][::-1]
    return b"\n".join(lines), {number, number + 1}


def _truncated(mail: Lines, rng: random.Random) -> Change:
    number = rng.randint(1, len(mail.lines))
    cut = b"\n".join(mail.lines[:number])
    return cut[: max(0, len(cut) - rng.randint(0, 40))], set(range(number - 1, len(mail.lines)))


CHANGES: dict[str, Callable[[Lines, random.Random], Change]] = {
    "1 byte, printable": _inserted(1, "printable"),
    "1 byte, 0xE9": _inserted(1, "e9"),
    "1 byte, NUL": _inserted(1, "nul"),
    "1 line dropped": _dropped(1),
    "5 bytes, printable": _inserted(5, "printable"),
    "20 bytes, printable": _inserted(20, "printable"),
    "2 lines dropped": _dropped(2),
    "1 line doubled": _doubled,
    "2 lines swapped": _swapped,
    "truncated": _truncated,
}


@dataclass
class Kept:
    """What became of one kind of change. Where a line touched was evidence or structure, it is counted apart."""

    total: int = 0
    kind: int = 0
    recipients: int = 0
    types: int = 0
    apart: Counter[str] = field(default_factory=Counter)  # "evidence" / "structure" -> tried
    apart_kept: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.types / self.total if self.total else 1.0

    @property
    def share_with_structure(self) -> float:
        total = self.total + self.apart["structure"]
        return (self.types + self.apart_kept["structure"]) / total if total else 1.0

    def count(self, before: Answer, after: Answer, about: str) -> None:
        self.total += 1
        self.kind += before.kind == after.kind
        self.recipients += before[:2] == after[:2]
        self.types += before == after
        if before != after:
            self.lost.append(f"{about}: {told(before, after)}")

    def count_apart(self, why: str, before: Answer, after: Answer, about: str) -> None:
        self.apart[why] += 1
        self.apart_kept[why] += before == after
        if before != after and why == "structure":
            self.lost.append(f"{about} [structure]: {told(before, after)}")


def told(before: Answer, after: Answer) -> str:
    if before.kind != after.kind:
        return f"{before.kind} -> {after.kind}"
    if before.recipients != after.recipients:
        return f"{', '.join(before.recipients)[:60]} -> {', '.join(after.recipients)[:60]}"
    return f"{sorted({one for _, one in before.types})} -> {sorted({one for _, one in after.types})}"


def measure_changes(folder: Path, times: int, seed: int) -> Iterator[tuple[str, Kept]]:
    """``times`` random changes of each kind, over the mails of a folder."""
    mails = [
        (path.relative_to(folder).as_posix(), look_at(lf_lines(path.read_bytes()).lstrip(b"\n")))
        for path in mails_of(folder)
    ]
    answers = {name: answer(read(b"\n".join(mail.lines))) for name, mail in mails}
    for label, change in CHANGES.items():
        rng, kept = random.Random(f"{seed} {label}"), Kept()
        for _ in range(times):
            name, mail = rng.choice(mails)
            raw, touched = change(mail, rng)
            after = answer(read(raw))
            first = min(touched)
            about = f"{name}:{first + 1} {mail.lines[first][:70]!r}"
            if touched & mail.evidence:
                kept.count_apart("evidence", answers[name], after, about)
            elif touched & mail.structure:
                kept.count_apart("structure", answers[name], after, about)
            else:
                kept.count(answers[name], after, about)
        yield label, kept


def measure_reshapes(folder: Path, seed: int) -> Iterator[tuple[str, Kept]]:
    """Every mail of a folder in every other shape."""
    mails = [
        (path.relative_to(folder).as_posix(), lf_lines(path.read_bytes()).lstrip(b"\n"))
        for path in mails_of(folder)
    ]
    answers = {name: answer(read(raw)) for name, raw in mails}
    for label, reshape in {**SAME, **ALIKE}.items():
        rng, kept = random.Random(f"{seed} {label}"), Kept()
        for name, raw in mails:
            changed = reshape(raw, rng)
            if changed is not None:
                kept.count(answers[name], answer(read(changed)), name)
        yield label, kept


def mails_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.eml")) if "private" not in path.parts]
