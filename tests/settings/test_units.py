import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.units import parse_mode, parse_seconds, parse_size, show_seconds, show_size


@pytest.mark.parametrize(
    "text, size",
    [
        ("0", 0),
        ("10MB", 10**7),
        ("10 mb", 10**7),
        ("1k", 1000),
        ("1KiB", 1024),
        ("1.5GB", 15 * 10**8),
        ("7B", 7),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text, seconds", [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("500ms", 0.5), ("1.5", 1.5)]
)
def test_durations(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text, mode", [("0660", 0o660), ("0o600", 0o600), ("777", 0o777)])
def test_modes(text, mode):
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "x", "-1MB", "1QB", "1e3", "10 M B", "٣MB", "1..2", "9" * 40])
def test_what_is_none(text):
    for parse in (parse_size, parse_seconds):
        with pytest.raises(ValueError, match="write"):
            parse(text)


@pytest.mark.parametrize("text", ["", "8", "rw", "0o", "1234567", "-1"])
def test_what_is_no_mode(text):
    with pytest.raises(ValueError, match="octal"):
        parse_mode(text)


@given(st.integers(0, 10**14))
def test_what_is_shown_is_read(size):
    assert parse_size(show_size(size)) == size


@given(st.one_of(st.integers(0, 10**5), st.integers(0, 10**5).map(lambda n: n / 1000)))
def test_a_duration_that_is_shown_is_read(seconds):
    assert parse_seconds(show_seconds(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_how_they_are_shown():
    assert [show_size(size) for size in (10**7, 2**20, 1234)] == ["10MB", "1MiB", "1234B"]
    assert [show_seconds(seconds) for seconds in (30, 300, 1800, 5400, 0.5)] == [
        "30s",
        "5m",
        "30m",
        "90m",
        "0.5s",
    ]
