"""A running server for a test."""

import pytest
from serve.harness import Serve


@pytest.fixture
def serve(tmp_path):
    """A server that runs: ``serve.smtp``, ``serve.lmtp``, ``serve.lmtp_socket``, ``serve.web`` are its addresses."""
    with Serve(tmp_path) as running:
        yield running
