"""Tables and text for people. Text of a mail is hostile to terminals: nothing is shown before ``safe`` saw it."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, islice

from dsn_processor.safe import safe

_CUT = 60  # characters of the last column where no terminal tells its width
_STYLES = {"hard": "red", "block": "magenta", "soft": "yellow"}
_WIDEST = 34  # of the columns before the last on a terminal
_NARROWEST = 16  # that the last column is worth showing in
_GAP = 2  # between columns
_SAMPLE = 500  # rows that the widths of plain columns are taken from


def is_terminal() -> bool:
    return sys.stdout.isatty()


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A table by ``rich`` on a terminal; else plain columns, written as the rows come. None is shown as ``-``."""
    cells = ([_cell(value) for value in row] for row in rows)
    if is_terminal():
        _print_rich(columns, cells, title)
        return
    if title:
        _print_line(title)
    for line in plain_lines(columns, cells):
        _print_line(line)


def plain_lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, two spaces apart. Widths come from the first rows; a longer value later moves its line only."""
    coming = iter(rows)
    sample = [columns, *islice(coming, _SAMPLE)]
    widths = [max(map(len, column)) for column in zip(*sample, strict=True)]
    for row in chain(sample, coming):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _print_rich(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text, not str: rich would take brackets for its own markup
    _writable()
    Console(highlight=False).print(table)


def print_stacked(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table whose last column is long and wanted whole: on a terminal it gets a line of its own below each row."""
    if not is_terminal():
        print_table(columns, rows)
        return
    cells = [[_cell(value) for value in row] for row in rows]
    lines = plain_lines(columns[:-1], [row[:-1] for row in cells])
    _print_line(next(lines))
    indent = " " * (max(len(row[0]) for row in [columns, *cells]) + _GAP)
    for line, row in zip(lines, cells, strict=True):
        _print_line(line)
        _print_line(indent + row[-1])


def print_fitted(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, least: int | None = None
) -> None:
    """A table with one line for each row: the last column gets what the others leave of the width, and is cut, or
    left out where a terminal is too narrow for it. So are those before it, down to ``least`` columns; then the widest
    are cut.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not is_terminal():
        cut = [
            [*row[:-1], row[-1] if len(row[-1]) <= _CUT else row[-1][: _CUT - 1] + "\u2026"] for row in cells
        ]
        for line in plain_lines(columns, cut):
            _print_line(line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    _writable()
    console = Console(highlight=False)
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(columns, *cells, strict=True)][:-1]
    left = console.width - sum(widths) - _GAP * len(widths)
    shown = len(columns)
    if left < _NARROWEST:  # a stub of a column tells nothing
        shown = _fit(widths, console.width, least or len(widths))
    columns, cells = columns[:shown], [row[:shown] for row in cells]
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, width in zip(columns, [*widths, left][:shown], strict=True):
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


def _fit(widths: list[int], room: int, least: int) -> int:
    """Leave out the last columns, down to ``least``, then narrow the widest. Gives how many are left."""
    while len(widths) > least and sum(widths) + _GAP * len(widths) > room:
        widths.pop()
    while sum(widths) + _GAP * len(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return len(widths)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else safe(value)


def _writable() -> None:
    """The terminal's encoding may not have the letters of a mail: their numbers are written then."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _print_line(line: str) -> None:
    """Print text that ``safe`` saw."""
    _writable()
    print(line)


def print_text(text: object) -> None:
    """One line, made safe."""
    _print_line(safe(text))
