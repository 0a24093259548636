"""Hostile mail: whatever it does, it is read without an exception, and what is over a limit is named."""

import pytest
from fuzz.hostile import FAMILIES

from dsn_processor.parse.message import parse_message


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 1_000, 300_000])
def test_families_of_hostile_mail(family, size):
    parsed = parse_message(FAMILIES[family](size))
    assert len(parsed.recipients) <= 10_000
    assert all(len(one.address) <= 1_000 for one in parsed.recipients)
    assert all(
        len(one.explanation) <= 20_000 and len(one.diagnostic_code or "") <= 20_000
        for one in parsed.recipients
    )


@pytest.mark.parametrize(
    "family, code",
    [
        ("nested", "mime_depth_exceeded"),
        ("parts", "mime_parts_exceeded"),
        ("status_many", "recipient_blocks_exceeded"),
        ("no_boundary", "boundary_not_found"),
    ],
)
def test_limits_end_in_defects(family, code):
    assert code in {defect.code for defect in parse_message(FAMILIES[family](1_000_000)).defects}
