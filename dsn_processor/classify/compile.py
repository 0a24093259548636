"""Write the tables as a Python module, so that a start need not parse TOML: python -m dsn_processor.classify.compile.

The module holds plain literals and the digest of the TOML bytes; ``rules.load`` ignores it once they differ.
"""

import sys
from pathlib import Path

from dsn_processor.classify.rules import CodeMeaning, Rule, Tables, digest, parse_tables, read_files

TARGET = Path(__file__).with_name("_compiled.py")

_HEAD = '''"""Generated from tables/*.toml by `make rules`. Do not edit."""
# fmt: off

from dsn_processor.classify.rules import BlockList, CodeMeaning, Provider, Rule, Tables
from dsn_processor.terms import BounceType, Reason

DIGEST = "{digest}"
'''

_FOOT = '''

def tables() -> Tables:
    reasons = {one.value: one for one in Reason}
    types = {None: None, **{one.value: one for one in BounceType}}
    return Tables(
        tuple(Rule(r[0], reasons[r[1]], *r[2:8], types[r[8]], *r[9:]) for r in _RULES),
        tuple(map(Provider._make, _PROVIDERS)),
        {key: CodeMeaning(reasons[reason], sure, types[kind]) for key, (reason, sure, kind) in _CODES.items()},
        tuple(map(BlockList._make, _LISTS)),
    )
'''


def render() -> str:
    """The module's text for the tables as they are now. Raises RulesError."""
    sources = read_files()
    tables = parse_tables(sources)
    return "".join((_HEAD.format(digest=digest(sources)), _literals(tables), _FOOT))


def _literals(tables: Tables) -> str:
    parts = [
        _block("_RULES: tuple[tuple, ...] = (  # type: ignore[type-arg]", (repr(_plain(rule)) for rule in tables.rules), ")"),
        _block("_PROVIDERS = (", (repr(tuple(one)) for one in tables.providers), ")"),
        _block("_CODES = {", (f"{key!r}: {_plain(one)!r}" for key, one in tables.codes.items()), "}"),
        _block("_LISTS = (", (repr(tuple(one)) for one in tables.lists), ")"),
    ]
    return "\n".join(parts)


def _block(head: str, lines: object, foot: str) -> str:
    return "\n".join((head, *(f"    {line}," for line in lines), foot))  # type: ignore[attr-defined]


def _plain(row: Rule | CodeMeaning) -> tuple[object, ...]:
    return tuple(str(value) if isinstance(value, str) else value for value in row)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET.name}\n")
