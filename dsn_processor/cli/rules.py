"""List the rules, look a rules file through, run its samples."""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_rules_option
from dsn_processor.errors import UsageError

if TYPE_CHECKING:
    from dsn_processor.classify.rules import Row
    from dsn_processor.teach.lint import Linted

_COLUMNS = ("rule", "reason", "for", "words")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "rules",
        help="list the rules, or check a file of your own",
        description="Rules are rows of TOML, each with samples of what it is for. docs/rules.md tells how to write one.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    _add_list(actions)
    _add_lint(actions)
    _add_test(actions)


def _add_list(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    action = actions.add_parser(
        "list",
        help="list the rules",
        description="Lists the rules in the order of their files, your own first. SEARCH is looked for in ids, words and samples.",
        epilog="example: dsn-processor rules list --reason mailbox_full --lang de",
    )
    action.add_argument("search", nargs="*", metavar="SEARCH")
    action.add_argument("--reason", metavar="REASON", help="only rules that give this reason")
    action.add_argument("--provider", metavar="NAME", help="only this provider's rules; - for those of none")
    action.add_argument("--lang", metavar="CODE", help="only words of this language: en, de, fr, ja, ...")
    add_rules_option(action)
    action.add_argument("--json", action="store_true", help="print a JSON line a rule, with its samples")
    action.set_defaults(run=run_list)


def _add_lint(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    action = actions.add_parser(
        "lint",
        help="say what is wrong with rules files",
        description="Says what is wrong with each FILE of your own rules, else with the package's tables and the file that "
        "$DSN_PROCESSOR_RULES or the configuration names. Exits 1 if a command would not take a file; hints alone exit 0.",
        epilog="example: dsn-processor rules lint own.toml",
    )
    action.add_argument("files", nargs="*", metavar="FILE")
    action.set_defaults(run=run_lint)


def _add_test(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    action = actions.add_parser(
        "test",
        help="run the samples of rules files",
        description="Runs the samples of each FILE, else of all rules in use, and says how many hold; or shows which rule "
        "would win a reply, with one FILE among the others.",
        epilog="example: dsn-processor rules test own.toml --reply '550 5.1.1 Mailbox is brimming'",
    )
    action.add_argument("files", nargs="*", metavar="FILE")
    action.add_argument("--reply", metavar="TEXT", help="an SMTP reply, to see which rule wins it")
    action.add_argument("--remote-mta", metavar="HOST", help="with --reply: the host that gave it")
    action.set_defaults(run=run_test)


def run_list(args: argparse.Namespace) -> int:
    from dsn_processor.cli.complaints import complain
    from dsn_processor.teach.catalogue import describe_row

    rows = [row for row in _rows_in_use(args.rules) if _wanted(row, args)]
    if not rows:
        _check_reason(args.reason)
    if args.json:
        from dsn_processor.cli.output import print_json_lines

        print_json_lines(map(describe_row, rows))
    elif rows:
        _print_rows(map(describe_row, rows))
    if not rows:
        complain("no rule is so")
    return 0


def _check_reason(reason: str | None) -> None:
    from dsn_processor.classify.reading import did_you_mean
    from dsn_processor.terms import Reason

    known = [one.value for one in Reason]
    if reason and reason not in known:
        raise UsageError(f"--reason {reason} is none; {did_you_mean(reason, known)}")


def _rows_in_use(option: str | None) -> "list[Row]":
    from dsn_processor.settings import rules_file
    from dsn_processor.teach.lint import packaged_rows
    from dsn_processor.teach.own import load_rows

    path = rules_file(option)
    return [*(load_rows(path) if path else ()), *packaged_rows()]


def _wanted(row: "Row", args: argparse.Namespace) -> bool:
    from dsn_processor.classify.match import fold
    from dsn_processor.teach.catalogue import language

    rule = row.rule
    if args.reason and rule.reason != args.reason:
        return False
    if args.provider and (rule.provider or "-") != args.provider:
        return False
    if args.lang and language(row) != args.lang:
        return False
    told = fold(" ".join((rule.id, *rule.text))) + " " + " ".join(map(str, row.seen)).casefold()
    return all(word.casefold() in told for word in args.search)


def _print_rows(rows: Iterable[dict[str, Any]]) -> None:
    from dsn_processor.cli.render import print_fitted, print_text

    shown = [
        (
            row["id"],
            row["reason"],
            row["provider"] or row["lang"],
            " ... ".join(row["text"]) or ", ".join(row["status"]),
        )
        for row in rows
    ]
    print_fitted(_COLUMNS, shown)
    print_text(f"{len(shown):,} rule{'' if len(shown) == 1 else 's'}")


def run_lint(args: argparse.Namespace) -> int:
    from dsn_processor.cli.render import print_text

    failed = False
    for name, linted in _linted(args.files):
        for finding in linted.findings:
            print_text(finding.text if finding.fatal else f"hint: {finding.text}")
        failed = failed or bool(linted.fatal)
        print_text(f"{name}: {_many(len(linted.rows), 'rule')}, {_verdict(linted)}")
    return 1 if failed else 0


def _verdict(linted: "Linted") -> str:
    wrong, hints = len(linted.fatal), len(linted.findings) - len(linted.fatal)
    told = [_many(wrong, "mistake")] if wrong else ["no mistake"]
    return " and ".join([*told, _many(hints, "hint")] if hints else told)


def run_test(args: argparse.Namespace) -> int:
    from dsn_processor.cli.render import print_text

    if args.reply is not None:
        return _test_reply(args)
    if args.remote_mta:
        raise UsageError("--remote-mta goes with --reply: samples name their hosts themselves")
    failed = False
    for name, linted in _linted(args.files):
        wrong = linted.fatal
        for finding in wrong:
            print_text(finding.text)
        failed = failed or bool(wrong)
        told = "all hold" if not wrong else "see above"
        print_text(f"{name}: {_many(linted.samples, 'sample')} of {_many(len(linted.rows), 'rule')}, {told}")
    return 1 if failed else 0


def _test_reply(args: argparse.Namespace) -> int:
    from dsn_processor.cli.explain import run

    if len(args.files) > 1:
        raise UsageError("--reply takes one FILE: only one file of your own is in use at a time")
    asked: dict[str, Any] = {
        "paths": [],
        "rules": args.files[0] if args.files else None,
        "mappings": False,
        "json": False,
    }
    return run(argparse.Namespace(**vars(args) | asked))


def _linted(files: Sequence[str]) -> "Iterator[tuple[str, Linted]]":
    """Each file, else all rules in use. One of the package's own tables is looked through as such."""
    from dsn_processor.settings import rules_file
    from dsn_processor.teach.own import lint_file, lint_tables

    own = rules_file()
    for path in files or ([own] if own else []):
        if not _packaged(path):
            yield path, lint_file(path)
    tables = [path for path in files if _packaged(path)]
    if tables or not files:
        yield "the package's tables", lint_tables()


def _packaged(path: str) -> bool:
    from dsn_processor.classify.rules import FILES, FOLDER

    return any(os.path.realpath(path) == os.path.realpath(f"{FOLDER}/{name}") for name in FILES)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
