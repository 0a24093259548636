"""What a confidence is worth: ``python tests/calibration.py FOLDER...``; docs/calibration.md holds the figures.

FOLDER is fixtures_eml, a folder of mails with expected.jsonl beside them (a line a mail: ``file``, ``kind``, ``recipients``
with ``bounce_type`` as a list of what is right), or a .jsonl file of replies (``reply``, ``bounce_type`` as such a list, and
where it matters ``remote_mta``). Every failed recipient whose right bounce type is known is one answer.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.reading import read

BINS = (0.9, 0.7, 0.5, 0.0)
SURE = 0.9


class Answer(NamedTuple):
    """One answer and the types that would be right; ``said`` is None where the recipient was not found at all."""

    confidence: float
    said: str | None
    right: tuple[str, ...]


def answers(folder: Path) -> Iterator[Answer]:
    if folder.suffix == ".jsonl":
        yield from _replies(folder)
    elif (folder / "expected.jsonl").exists():
        yield from _corpus(folder)
    else:
        yield from _fixtures(folder)


def _replies(path: Path) -> Iterator[Answer]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        reply = parse_reply(row.get("reply", ""))
        verdict = judge(
            RecipientReport(
                address="x@example.net",
                status=reply.status,
                reply_code=reply.reply_code,
                diagnostic_code=reply.text or None,
                explanation=row.get("text", ""),
                remote_mta=row.get("remote_mta"),
                smtp_command=find_command(row.get("reply", "")),
            )
        )
        yield Answer(verdict.confidence, verdict.bounce_type, tuple(row["bounce_type"]))


def _corpus(folder: Path) -> Iterator[Answer]:
    for line in (folder / "expected.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row.get("sure", 1) >= 0.7 and "failed" in row["kind"]:
            yield from _held_against((folder / "mails" / row["file"]).read_bytes(), row["recipients"])


def _fixtures(folder: Path) -> Iterator[Answer]:
    for path in sorted(folder.rglob("*.expected.json")):
        row = json.loads(path.read_text("utf-8"))
        mail = path.with_name(path.name.removesuffix(".expected.json") + ".eml")
        if row["kind"] == "failed" and mail.exists():
            yield from _held_against(mail.read_bytes(), row["recipients"])


def _held_against(raw: bytes, wanted: list[dict[str, Any]]) -> Iterator[Answer]:
    found = read(raw)
    said = {}
    for recipient, verdict in zip(found.parsed.recipients, found.verdicts, strict=True):
        for address in (recipient.address, recipient.original):
            if address and verdict:
                said[address.casefold()] = said[_digest(address)] = verdict
    for recipient in wanted:
        right = recipient.get("bounce_type")
        if not right or recipient.get("action", "failed") != "failed":
            continue
        named = recipient.get("address_sha256") or recipient["address"].casefold()
        verdict = said.get(named)
        types = (right,) if isinstance(right, str) else tuple(right)
        yield Answer(verdict.confidence if verdict else 0.0, verdict and verdict.bounce_type.value, types)


def _digest(address: str) -> str:
    return hashlib.sha256(address.strip().strip("<>").casefold().encode()).hexdigest()[:24]


def table(name: str, found: list[Answer]) -> str:
    """The figures as Markdown."""
    lines = [f"### {name}", "", "| confidence | answers | right type | share |", "|---|---|---|---|"]
    upper = 1.01
    for lower in BINS:
        part = [one for one in found if lower <= one.confidence < upper]
        right = sum(one.said in one.right for one in part)
        share = f"{100 * right / len(part):.1f} %" if part else "-"
        lines.append(f"| {lower} to {min(upper, 1.0)} | {len(part)} | {right} | {share} |")
        upper = lower
    sure = [one for one in found if one.confidence >= SURE]
    wrong = sum(one.said == "hard" and "hard" not in one.right for one in sure)
    lines += [
        "",
        f"{len(found)} failed recipients, {100 * len(sure) / max(1, len(found)):.1f} % of them answered at {SURE} or more.",
        f"Called hard at {SURE} or more and not hard: {wrong}.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Print one table a folder, then one for all together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="+", type=Path)
    args = parser.parse_args()
    everything: list[Answer] = []
    for folder in args.folder:
        found = list(answers(folder))
        everything += found
        sys.stdout.write(table(folder.resolve().name, found) + "\n")
    if len(args.folder) > 1:
        sys.stdout.write(table("all together", everything) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
