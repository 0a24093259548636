"""Makes, of the models and the migrations, what the program loads instead of them: ``python -m dsn_processor.record.compile``.

SQLModel and Alembic take longer to load than a hundred mails to store. A test fails while these files are stale.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Column, MetaData
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlmodel import AutoString

from dsn_processor.record import schema, sqlite
from dsn_processor.record.models import metadata
from dsn_processor.record.plaintables import TYPES

_NAMES: dict[type, str] = {kind: name for name, kind in TYPES.items()} | {AutoString: "str"}
_TABLES = Path(__file__).with_name("tables.py")
_HEAD = '''"""The tables, made of models.py by ``make tables``: what statements need of them, and no more."""

from dsn_processor.record.plaintables import plain_tables

metadata = plain_tables(
    {
'''
_FOOT = """    }
)
"""


def tables(models: MetaData = metadata) -> str:
    """The text of tables.py."""
    return _HEAD + "".join(_lines(models)) + _FOOT


def _lines(models: MetaData) -> Iterator[str]:
    for table in models.tables.values():
        columns = list(map(_words, table.columns))
        yield f'        "{table.name}": """\n'
        yield from (
            f"            {' '.join(columns[start : start + 5])}\n" for start in range(0, len(columns), 5)
        )
        yield '        """,\n'


def _words(column: Column[Any]) -> str:
    words = f"{column.name}:{_NAMES[type(column.type)]}{'*' if column.primary_key else ''}"
    if isinstance(column.default, ScalarElementColumnDefault):
        words += f"={json.dumps(column.default.arg)}"
    return words


def newest() -> str:
    """The text of newest.sql: what all migrations make of nothing."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        sqlite.make_file(path)
        connection = sqlite.connect(path, readonly=False)
        try:
            schema.migrate(connection)
            with connection.begin():
                driver = connection.connection.dbapi_connection
                assert driver is not None
                lines = [
                    line
                    for line in driver.iterdump()
                    if "sqlite_sequence" not in line and line not in {"BEGIN TRANSACTION;", "COMMIT;"}
                ]
        finally:
            sqlite.disconnect(connection)
    return "\n".join(["-- A new database, made of the migrations by `make tables`.", *lines, ""])


def main() -> None:
    """Write both."""
    _TABLES.write_text(tables(), "utf-8")
    schema.NEWEST.write_text(newest(), "utf-8")


if __name__ == "__main__":
    main()
