"""May this address be mailed? And: derive all answers anew."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from dsn_processor.cli.options import add_db_option

_PAGE = 100_000  # addresses looked up together: the more, the closer they lie in the index


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    check = commands.add_parser(
        "check",
        help="say whether addresses may be mailed",
        description="Says allow or deny for each address, and why, with tabs between. Exits 1 where one is denied.",
        epilog="example: dsn-processor check - < list.txt | grep ^allow | cut -f2",
    )
    check.add_argument(
        "addresses", nargs="+", metavar="ADDRESS", help="addresses; - reads one a line from standard input"
    )
    check.add_argument("--json", action="store_true", help="print a JSON object a line")
    check.set_defaults(run=run_check)
    rebuild = commands.add_parser(
        "rebuild",
        help="derive states of addresses and suppressions anew",
        description="Folds all that is known of each address again, with today's configuration. Without a change of that, or of "
        "the program, nothing changes.",
    )
    rebuild.set_defaults(run=run_rebuild)
    for command in (check, rebuild):
        add_db_option(command)


def run_check(args: argparse.Namespace) -> int:
    from dsn_processor.canonical import canonical_address
    from dsn_processor.cli.output import JsonLines
    from dsn_processor.record.store import Store
    from dsn_processor.settings import database_url

    out = JsonLines() if args.json else None
    now = datetime.now(UTC)
    denied = False
    with Store.open(database_url(args.db), readonly=True) as store:
        asked = _asked(args.addresses)
        while page := list(islice(asked, _PAGE)):
            keys = list(map(canonical_address, page))
            denials = store.addresses.check(keys, now)
            denied = denied or bool(denials)
            if out is not None:
                for address, key in zip(page, keys, strict=True):
                    found = denials.get(key)
                    answer = {"address": address, "answer": "deny" if found else "allow"}
                    out.write(answer | found._asdict() if found else answer)
                continue
            lines = [
                f"deny\t{address}\t{found.kind}: {found.reason}{_until(found.until)}"
                if (found := denials.get(key))
                else f"allow\t{address}"
                for address, key in zip(page, keys, strict=True)
            ]
            sys.stdout.buffer.write("\n".join([*lines, ""]).encode(errors="replace"))
    if out is not None:
        out.flush()
    sys.stdout.buffer.flush()
    return 1 if denied else 0


def _asked(addresses: Iterable[str]) -> Iterator[str]:
    from dsn_processor.safe import safe

    for address in addresses:
        if address == "-":
            for line in sys.stdin.buffer:
                if text := line.strip():
                    word = text.decode("utf-8", "replace")
                    yield word if word.isprintable() else safe(word)
        else:
            yield address


def _until(until: str | None) -> str:
    return "" if until is None else f" (until {until[:19]}Z)"


def run_rebuild(args: argparse.Namespace) -> int:
    from dsn_processor import app, deeds
    from dsn_processor.record.standing import By
    from dsn_processor.settings import database_url

    print(f"{app.do(database_url(args.db), [deeds.rebuilding(By())])} addresses changed")
    return 0
