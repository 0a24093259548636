"""Write the tables as JSON, so that a start need not parse TOML: python -m dsn_processor.classify.compile.

JSON rather than a Python module: it is read as fast where no bytecode can be cached (a read-only installation,
PYTHONDONTWRITEBYTECODE), and it is data. It carries the digest of the TOML bytes; ``rules.load`` ignores it once they differ.
The first line holds what each start needs, the others a rule each, read when its words are found.
"""

import json
import sys
from typing import Any

from dsn_processor.classify.rules import COMPILED, digest, parse_tables, read_files
from dsn_processor.errors import RulesError


def render() -> str:
    """The compiled file's text for the tables as they are now. Raises RulesError."""
    sources = read_files()
    tables = parse_tables(sources)._asdict()
    rules = tables.pop("rules")
    return "".join(f"{_json(row)}\n" for row in ({"digest": digest(sources), **tables}, *rules))


def _json(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    """Write the file; a mistake in a row is told in one line."""
    try:
        text = render()
    except RulesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with open(COMPILED, "w", encoding="utf-8") as file:  # noqa: PTH123  a plain path, as the tables' are
        file.write(text)
    sys.stdout.write("wrote compiled.jsonl\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
