import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_db_option, add_rules_option, chosen_rules

if TYPE_CHECKING:
    from dsn_processor.reclassify import Reclassified
    from dsn_processor.record.entries import StoredEvent

_COLUMNS = ("mail", "address", "before", "after")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "reclassify",
        help="read all stored mail again with today's parser and rules",
        description="Reads all stored mail again, the waiting and the quarantined too, with today's parser and rules; "
        "lists the answers that change, and stores them unless --dry-run.",
    )
    add_db_option(command)
    add_rules_option(command)
    command.add_argument("--dry-run", action="store_true", help="only list what would change")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dsn_processor.app import reclassified
    from dsn_processor.settings import database_url

    rules = chosen_rules(args.rules)
    tally = Tally(dry_run=args.dry_run)
    with reclassified(database_url(args.db), rules, apply=not args.dry_run) as results:
        changes = tally.counted(results)
        if args.json:
            _print_json(changes, tally)
        else:
            _print_table(changes, tally)
    return 1 if tally.failed else 0


class Tally:
    """Counts while the changes pass by."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._mails = self._mails_changed = self._answers_changed = self.failed = 0

    def counted(self, results: "Iterator[Reclassified]") -> Iterator[dict[str, Any]]:
        """The changed answers of each mail, one a recipient."""
        for result in results:
            self._mails += 1
            if result.error is not None:
                self.failed += 1
                _complain(result)
            changed = list(_answers(result))
            self._mails_changed += bool(changed)
            self._answers_changed += len(changed)
            yield from changed

    def summary(self) -> dict[str, Any]:
        return {
            "mails": self._mails,
            "mails_changed": self._mails_changed,
            "answers_changed": self._answers_changed,
            "failed": self.failed,
            "dry_run": self._dry_run,
        }


def _answers(result: "Reclassified") -> Iterator[dict[str, Any]]:
    changes = result.changes
    if changes is None:
        return
    mail = {"message_id": result.message.id, "source": result.message.source}
    told = False
    for change in changes.events:
        if change.answer and (event := change.after or change.before):
            told = True
            address = event.recipient.address
            yield {
                **mail,
                "address": address,
                "before": _answer(change.before),
                "after": _answer(change.after),
            }
    if not told and changes.kind_before != changes.kind_after:
        before = None if changes.kind_before is None else {"kind": changes.kind_before}
        yield {**mail, "address": None, "before": before, "after": {"kind": changes.kind_after}}


def _answer(event: "StoredEvent | None") -> dict[str, Any] | None:
    if event is None:
        return None
    recipient, verdict = event.recipient, event.verdict
    return {
        "kind": event.kind,
        "status": recipient.status,
        "reply_code": recipient.reply_code,
        "bounce_type": verdict and verdict.bounce_type,
        "reason": verdict and verdict.reason,
        "scope": verdict and verdict.scope,
        "confidence": verdict and verdict.confidence,
        "rule_id": verdict and verdict.rule_id,
        "trust": event.trust,
        "mailed_address": event.correlation.mailed_address,
        "findings": list(event.correlation.findings),
    }


def _print_json(changes: Iterator[dict[str, Any]], tally: Tally) -> None:
    """One object, written as it comes: a store may hold more mails than memory."""
    import json

    print('{"changes": [', end="")
    for number, change in enumerate(changes):
        print(",\n" if number else "\n", json.dumps(change), sep="", end="")
    print("],", json.dumps(tally.summary())[1:])


def _print_table(changes: Iterator[dict[str, Any]], tally: Tally) -> None:
    from dsn_processor.cli.render import print_table

    if (first := next(changes, None)) is not None:  # else nothing changes: no heading without rows
        print_table(_COLUMNS, map(_row, chain([first], changes)))
    found = tally.summary()
    verb = "would change" if found["dry_run"] else "changed"
    print(
        f"{found['mails']} mails read, {found['answers_changed']} answers {verb} in {found['mails_changed']} mails"
    )
    if tally.failed:
        print(f"dsn-processor: {tally.failed} mails could not be read and stay as they are", file=sys.stderr)


def _row(change: dict[str, Any]) -> tuple[object, ...]:
    before, after = change["before"] or {}, change["after"] or {}
    return change["message_id"], change["address"], _words(before, after), _words(after, before)


def _words(answer: dict[str, Any], other: dict[str, Any]) -> str:
    """The answer in short. The rule and its confidence are named where nothing else differs."""
    words = [answer.get(name) for name in ("kind", "status", "bounce_type", "reason")]
    if answer and words == [other.get(name) for name in ("kind", "status", "bounce_type", "reason")]:
        for names in (("scope", "rule_id", "confidence"), ("trust", "mailed_address", "findings")):
            if [answer.get(name) for name in names] != [other.get(name) for name in names]:
                words += [_joined(answer.get(name)) for name in names]
    return " ".join(str(word) for word in words if word is not None) or "nothing"


def _joined(value: object) -> object:
    return " ".join(value) or None if isinstance(value, list) else value


def _complain(result: "Reclassified") -> None:
    from dsn_processor.safe import safe

    print(f"dsn-processor: mail {result.message.id}: {safe(result.error)}", file=sys.stderr)
