"""Statements that run for every mail, at the driver itself: SQLAlchemy's own handling of them costs more than SQLite's.

What it does for a value (columns.py) is done here, by the types of the same tables.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Boolean, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.pysqlite import dialect
from sqlalchemy.engine import Connection

from dsn_processor.record.columns import (
    SafeJSON,
    SafeText,
    UtcDateTime,
    storable,
    stored_json,
    stored_time,
    time_of,
)

_ENCODERS: dict[type, Callable[[Any], Any]] = {SafeJSON: stored_json, UtcDateTime: stored_time}
_DECODERS: dict[type, Callable[[Any], Any]] = {UtcDateTime: time_of, Boolean: bool, SafeJSON: json.loads}


class Inserter:
    """Adds rows to ``table``, dicts that name all columns but ``without``. To ``update`` is to change the row that has the
    same key, where there is one; to ``skip``, to leave out rows whose key is there.
    """

    def __init__(
        self, table: Table, *, without: Iterable[str] = (), update: bool = False, skip: bool = False
    ) -> None:
        columns = [column for column in table.c if column.name not in without]
        names = [column.name for column in columns]
        adding = insert(table)
        if update:  # not REPLACE: triggers would take the row for a new one
            values = {name: adding.excluded[name] for name in names if not table.c[name].primary_key}
            adding = adding.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
        if skip:
            adding = adding.on_conflict_do_nothing()
        self._statement = str(adding.compile(dialect=dialect(), column_keys=names))
        self._values = itemgetter(*names)
        self._texts = [column.name for column in columns if isinstance(column.type, SafeText)]
        self._encoders = [
            (column.name, _ENCODERS[type(column.type)])
            for column in columns
            if type(column.type) in _ENCODERS
        ]

    def __call__(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """The rows' values are brought into the form of the database in place."""
        if not rows:
            return
        for row in rows:
            for name in self._texts:
                value = row[name]
                # Seldom: to call storable() for each would cost more than to store the row.
                if value and (not value.isascii() or "\0" in value):
                    row[name] = storable(value)
            for name, encode in self._encoders:
                value = row[name]
                if value is not None:
                    row[name] = encode(value)
        drive(connection, self._statement, [self._values(row) for row in rows])


def fetch(connection: Connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows, their values as the database holds them: times as text, JSON as text."""
    rows: list[tuple[Any, ...]] = _driver(connection).execute(statement, parameters).fetchall()
    return rows


def drive(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a statement with each of these rows of values, which are in the form of the database."""
    _driver(connection).executemany(statement, rows)


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def decoder(table: Table) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """What makes a dict of a row of all columns of ``table`` that was fetched."""
    names = table.c.keys()
    decoders = [
        (column.name, _DECODERS[type(column.type)]) for column in table.c if type(column.type) in _DECODERS
    ]

    def decoded(row: Sequence[Any]) -> dict[str, Any]:
        values = dict(zip(names, row, strict=True))
        for name, decode in decoders:
            if values[name] is not None:
                values[name] = decode(values[name])
        return values

    return decoded
