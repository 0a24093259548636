"""What the kill tests cannot show, since the kernel keeps what a killed process wrote: was it on the disk?"""

import pytest
from serve import needs
from serve.powercut import NORMAL, cut_again_and_again

pytestmark = pytest.mark.server


def test_a_power_cut_loses_nothing(tmp_path):
    needs.loop_devices()
    for cut in cut_again_and_again(tmp_path, 5):
        assert cut.acknowledged
        assert (cut.lost, cut.faults) == (0, [])


def test_without_full_synchronisation_a_power_cut_would_lose_mail(tmp_path):
    needs.loop_devices()
    cuts = cut_again_and_again(tmp_path, 5, patch=NORMAL)
    assert sum(cut.lost for cut in cuts)
