"""Sixty mails, each about another recipient."""

import pytest


@pytest.fixture
def mails(write_dsn):
    return [
        write_dsn(number=n, returned_id=f"<m{n}@example.com>", recipient=f"user{n}@example.net")
        for n in range(60)
    ]
