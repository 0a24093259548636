"""A mail that ends whoever reads it costs no other mail anything."""

import os
from pathlib import Path

from mailboxes.poller import Poller, account, ask, report

import dsn_processor

#: No mail is known to do this; so reading is broken for mails that ask for it.
_PATCH = """
import os
import dsn_processor.pipeline as pipeline
read = pipeline.read
def poisoned(raw, *rest):
    if b"X-Poison: kill" in raw:
        os.kill(os.getpid(), 9)
    return read(raw, *rest)
pipeline.read = poisoned
read_all = pipeline.read_all
def all_poisoned(messages, *rest):
    if any(b"X-Poison: kill" in one.raw for one in messages):
        os.kill(os.getpid(), 9)
    return read_all(messages, *rest)
pipeline.read_all = all_poisoned
"""


def test_a_mail_that_ends_its_reader_is_quarantined_and_the_others_are_read(
    tmp_path, dovecot, user, monkeypatch
):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_PATCH)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{Path(dsn_processor.__file__).parents[1]}")
    dovecot.put(user, [report(0), b"X-Poison: kill\n" + report(1), report(2)])
    poller = Poller(tmp_path, account(dovecot, user, after="move", processed_folder="Done"))
    ran = poller.once()
    assert ran.returncode == 1
    assert "did not come to an end" in ran.stderr
    states = ask(poller.database, "SELECT state FROM message ORDER BY id")
    assert states == [("processed",), ("quarantined",), ("processed",)]
    assert dovecot.count(user, "Done") == 3
    assert poller.once().stdout.startswith("0 mails")
