"""However the poller is ended, no mail is lost, and none is there twice: not in the database, and not in the mailbox."""

import pytest
from mailboxes.kills import kill_again_and_again


@pytest.mark.parametrize("after", ["flag", "move"])
def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path, after):
    outcome = kill_again_and_again(tmp_path, 80, after=after, batch=5)
    assert outcome.faults == []
    assert outcome.midway > 0
