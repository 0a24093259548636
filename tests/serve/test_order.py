"""The order of system calls: a mail is written and synced before its 250 leaves."""

import re
from math import inf
from pathlib import Path
from typing import NamedTuple

import pytest
from serve import needs
from serve.harness import Serve, wait
from serve.load import Load
from serve.powercut import NORMAL
from serve.tracing import calls, traced

pytestmark = pytest.mark.server

_WRITING = {"write", "writev", "sendto", "sendmsg"}
_READING = {"read", "readv", "recvfrom", "recvmsg"}
_SENDER = re.compile(r"MAIL FROM:<([^>]+)>")


class _Answered(NamedTuple):
    """The final 250 of a mail, at ``line`` of the trace."""

    sender: str
    line: int


@pytest.mark.parametrize("patch", ["", NORMAL], ids=["as it is", "control: without full synchronisation"])
def test_every_250_leaves_after_its_mail_is_synced(tmp_path, patch):
    needs.tracing()
    (tmp_path / "sitecustomize.py").write_text(patch)
    output = tmp_path / "trace"
    names = ",".join(sorted(_WRITING | _READING | {"pwrite64", "fdatasync", "fsync"}))
    with Serve(tmp_path, patches=tmp_path) as serve, Load(serve.smtp, clients=4, senders=True) as load:
        wait(lambda: load.acknowledged, "no mail is taken", log=serve.log)
        with traced(serve.pid, output, f"trace={names}"):
            goal = len(load.acknowledged) + 200
            wait(lambda: len(load.acknowledged) >= goal, "no mail is taken", log=serve.log)
    answered, durable = _read(output, f"{serve.database}-wal")
    assert len(answered) > 150  # the first and the last were cut off by the trace
    too_early = [one for one in answered if one.line < durable.get(one.sender, inf)]
    assert bool(too_early) == bool(patch)


def _read(output: Path, wal: str) -> tuple[list[_Answered], dict[str, int]]:
    """The answers to whole mails, and at which line each sender's mail was known to be on disk."""
    senders: dict[str, str] = {}  # by socket: whose mail it is
    data: set[str] = set()  # sockets that were told 354
    answered: list[_Answered] = []
    written: dict[str, int] = {}
    durable: dict[str, int] = {}
    for call in calls(output):
        if call.name in _READING and (found := _SENDER.search(call.text)):
            senders[call.file] = found[1]
        elif call.name in _WRITING and '"354' in call.text:
            data.add(call.file)
        elif call.name in _WRITING and call.file in data and '"250' in call.text:
            data.discard(call.file)
            if call.file in senders:
                answered.append(_Answered(senders[call.file], call.began))
        elif call.name == "pwrite64" and call.file == wal:
            for sender in re.findall(r"(t\d+-\d+)@sender\.example", call.text):
                written.setdefault(f"{sender}@sender.example", call.ended)
        elif call.name in {"fdatasync", "fsync"} and call.file == wal and " = 0" in call.text:
            for sender, line in written.items():
                if line < call.began:
                    durable.setdefault(sender, call.ended)
    return answered, durable
