"""A store of its own for each test."""

import pytest

from dsn_processor.record.store import Store


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened
