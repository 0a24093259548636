"""What docs/listener.md says of limits and answers is so."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dsn_processor.intake import smtp
from dsn_processor.intake.smtp import connection
from dsn_processor.intake.smtp.address import DOMAIN_LIMIT, PATH_LIMIT
from dsn_processor.intake.smtp.options import SmtpOptions
from dsn_processor.intake.smtp.reader import LIMIT
from dsn_processor.intake.smtp.spool import _ALL_IN_MEMORY, _IN_MEMORY, _IN_MEMORY_CROWDED

TEXT = (Path(__file__).parents[3] / "docs/listener.md").read_text("utf-8")
SOURCES = [path.read_text("utf-8") for path in Path(smtp.__file__).parent.glob("*.py")]
_SECONDS = {"command_timeout", "data_timeout", "session_timeout", "store_timeout", "tls_handshake_timeout"}


def written(name):
    value = getattr(SmtpOptions(), name)
    if name in _SECONDS:
        return f"{value / 60:g} min" if value >= 60 else f"{value:g} s"
    if name.startswith("size"):
        return f"{value // 1_000_000} MB"
    return f"{value} B/s" if name == "min_data_rate" else f"{value:,}"


def test_each_limit_has_its_row_with_its_default():
    limits = [one.name for one in fields(SmtpOptions) if re.search("max_|timeout|minute|rate|size", one.name)]
    assert len(limits) > 12
    for name in limits:
        rows = [
            line for line in TEXT.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[3]
        ]
        assert [row for row in rows if written(name) in row], (name, written(name))


@pytest.mark.parametrize(
    "words",
    [
        f"{connection._LINE:,} octets",
        f"{LIMIT // 1_000} kB without an end",
        f"{PATH_LIMIT} octets, the domain {DOMAIN_LIMIT}",
        f"{_IN_MEMORY // 1_000} kB each, {_IN_MEMORY_CROWDED // 1_000} kB where all together hold {_ALL_IN_MEMORY // 1_000_000} MB",
        f"| {connection._PROXY_SECONDS:g} s |",
        f"| {connection._LINGER:g} s |",
    ],
)
def test_limits_that_nobody_sets(words):
    assert words in TEXT


def test_each_refusal_is_told():
    told = {
        (code, status)
        for source in SOURCES
        for code, status in re.findall(r'"([45]\d\d) (\d\.\d\.\d) ', source)
    }
    assert len(told) > 12
    rows = [line.split("|")[1] for line in TEXT.splitlines() if re.match(r"\| [245]\d\d", line)]
    for code, status in told:
        assert any(code in row and status in row for row in rows), (code, status)
