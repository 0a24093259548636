"""Tables on a terminal: what a width has room for."""

import io

import pytest

from dsn_processor.cli import render

COLUMNS = ("mail", "when", "address", "kind", "type", "reason", "status", "diagnostic")
ROW = (
    7,
    "2026-03-03 09:15",
    "nobody@example.org",
    "failed",
    "hard",
    "user_unknown",
    "5.1.1",
    "550 no " + "x" * 200,
)
LONG = (*ROW[:2], "somebody.with.a.long.name@example.org", *ROW[3:])


@pytest.fixture
def fitted(monkeypatch, capsys):
    monkeypatch.setattr(render, "is_terminal", lambda: True)

    def lines(width, *rows):
        monkeypatch.setenv("COLUMNS", str(width))
        render.print_fitted(COLUMNS, rows, least=6)
        return capsys.readouterr().out.splitlines()

    return lines


@pytest.mark.parametrize(("width", "shown"), [(76, 6), (80, 7), (90, 7), (120, 8), (200, 8)])
def test_a_row_is_one_line(fitted, width, shown):
    head, row = fitted(width, ROW)
    assert head.split() == list(COLUMNS[:shown])
    assert len(row) <= width


def test_the_widest_column_is_cut_before_the_others(fitted):
    _, row = fitted(80, LONG)
    assert "somebody.with.a.l" in row
    assert "\u2026" in row
    assert "2026-03-03 09:15" in row
    assert "user_unknown" in row


def test_what_is_long_and_wanted_whole_stands_below(monkeypatch, capsys):
    monkeypatch.setattr(render, "is_terminal", lambda: True)
    render.print_stacked(
        ("", "step", "because"), [("won", "phrase", "x" * 300), ("lost", "status", "a\x1bb")]
    )
    assert capsys.readouterr().out.splitlines() == [
        "      step",
        "won   phrase",
        "      " + "x" * 300,
        "lost  status",
        "      a\\x1bb",
    ]


@pytest.mark.parametrize("show", [render.print_fitted, render.print_table, render.print_stacked])
def test_letters_that_the_terminal_has_not_are_spelled(monkeypatch, show):
    monkeypatch.setattr(render, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    show(("rule", "words"), [("x" * 50, "\u6e80\u676f")])
    out.flush()
    assert b"\\u6e80\\u676f" in out.buffer.getvalue()


def test_a_pipe_gets_a_line_a_row(capsys):
    render.print_stacked(("", "step", "because"), [("won", "phrase", "said so")])
    assert capsys.readouterr().out.splitlines() == ["     step    because", "won  phrase  said so"]
