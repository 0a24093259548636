"""A real IMAP server for tests: one for all those that only put mails into it, and change nothing of it."""

import itertools

import pytest
from mailboxes.dovecot import Dovecot

_users = (f"user{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def dovecot():
    with Dovecot() as running:
        yield running


@pytest.fixture
def user():
    """A name that no other test uses."""
    return next(_users)
