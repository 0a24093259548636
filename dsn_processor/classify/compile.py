"""Write the tables as JSON, so that a start need not parse TOML: python -m dsn_processor.classify.compile.

JSON rather than a Python module: it is read as fast where no bytecode can be cached (a read-only installation,
PYTHONDONTWRITEBYTECODE), and it is data. It carries the digest of the TOML bytes; ``rules.load`` ignores it once they differ.
"""

import json
import sys

from dsn_processor.classify.rules import COMPILED, Tables, digest, parse_tables, read_files


def render() -> str:
    """The compiled file's text for the tables as they are now, one row a line. Raises RulesError."""
    sources = read_files()
    tables = parse_tables(sources)
    return f'{{"digest": "{digest(sources)}",\n{_rows(tables)}}}\n'


def _rows(tables: Tables) -> str:
    parts = []
    for name, rows in zip(Tables._fields, tables, strict=True):
        if isinstance(rows, dict):
            lines = [f"{json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()]
            parts.append(f'"{name}": {{\n{_joined(lines)}\n}}')
        else:
            parts.append(f'"{name}": [\n{_joined([json.dumps(row, ensure_ascii=False) for row in rows])}\n]')
    return ",\n".join(parts)


def _joined(lines: list[str]) -> str:
    return ",\n".join(lines)


if __name__ == "__main__":
    COMPILED.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"wrote {COMPILED.name}\n")
