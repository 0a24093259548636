"""What a walk handed out, in lists."""

from dataclasses import dataclass, field

import pytest

from dsn_processor.facts import InboundMessage
from dsn_processor.intake.items import Skipped
from dsn_processor.intake.walk import Walk


@dataclass
class Found:
    mails: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    passed_over: list = field(default_factory=list)

    @property
    def raws(self):
        return [mail.raw for mail in self.mails]


@pytest.fixture
def walk(tmp_path):
    """Walk over paths (default: the test's folder); sources come back relative to that folder."""

    def run(*paths, limits=None):
        found = Found()
        for item in Walk([str(path) for path in paths or (tmp_path,)], limits):
            source = item.source.removeprefix(f"{tmp_path}/")
            if isinstance(item, InboundMessage):
                found.mails.append(
                    InboundMessage(
                        raw=item.raw, source=source, truncated=item.truncated, envelope=item.envelope
                    )
                )
            elif isinstance(item, Skipped):
                found.skipped.append((source, item.why, item.failed))
            else:
                found.passed_over.append(source)
        return found

    return run


@pytest.fixture
def mail():
    def write(n=1, body=b"x\n"):
        return b"From: a@example.net\nSubject: %d\n\n%s" % (n, body)

    return write
