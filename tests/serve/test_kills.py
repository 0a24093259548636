"""Whatever ends the server, it ends nothing that was promised."""

import os
import signal

from serve.kills import kill_again_and_again


def test_nothing_is_lost_by_kill_9(tmp_path):
    outcome = kill_again_and_again(tmp_path, rounds=12)
    assert outcome.faults == []
    assert outcome.acknowledged > 12


def test_no_process_outlives_the_server(serve):
    assert len(serve.processes()) > 1
    os.kill(serve.pid, signal.SIGKILL)
    serve.ended()
