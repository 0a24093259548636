"""Tables from words: ``name:type``, with * where the column is part of the key, and ``=`` with its default as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import TypeEngine

from dsn_processor.record.columns import SafeJSON, SafeText, UtcDateTime

TYPES: dict[str, type[TypeEngine[Any]]] = {
    "int": Integer,
    "big": BigInteger,
    "bool": Boolean,
    "float": Float,
    "str": String,
    "bytes": LargeBinary,
    "text": SafeText,
    "json": SafeJSON,
    "time": UtcDateTime,
}


def plain_tables(words: Mapping[str, str]) -> MetaData:
    """The tables by their names."""
    metadata = MetaData()
    for name, columns in words.items():
        Table(name, metadata, *map(_column, columns.split()))
    return metadata


def _column(words: str) -> Column[Any]:
    name, _, kind = words.partition(":")
    kind, _, default = kind.partition("=")
    more = {"default": json.loads(default)} if default else {}
    return Column(name, TYPES[kind.rstrip("*")](), primary_key=kind.endswith("*"), **more)
