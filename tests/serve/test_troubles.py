"""The store fails while mail comes in: only 4xx, nothing lost, and all well by itself once the trouble is over."""

import pytest
from serve import needs
from serve.disks import of_memory
from serve.harness import Serve, wait
from serve.load import Load
from serve.troubles import deleted, failing, full, locked, moved_away
from serve.verify import faults, wait_processed

pytestmark = pytest.mark.server

_FAILING = {
    "EIO on fdatasync": ("fdatasync", "EIO"),
    "ENOSPC on fdatasync": ("fdatasync", "ENOSPC"),
    "EIO on writing": ("pwrite64", "EIO"),
    "ENOSPC on writing": ("pwrite64", "ENOSPC"),
    "EROFS on writing": ("pwrite64", "EROFS"),
    "EIO on reading": ("pread64", "EIO"),
}


@pytest.mark.parametrize("name", _FAILING)
def test_the_kernel_refuses(tmp_path, name):
    needs.tracing()
    _survive(tmp_path, failing(*_FAILING[name]))


@pytest.mark.parametrize("trouble", [locked, moved_away, deleted])
def test_somebody_meddles_with_the_database(tmp_path, trouble):
    _survive(tmp_path, trouble)


def test_the_disk_is_full(tmp_path):
    needs.root()
    with of_memory(tmp_path / "small", 16) as disk:
        _survive(tmp_path, full, database=disk / "bounces.db", settings="min_free = 0")


def _survive(folder, trouble, **more):
    with Serve(folder, **more) as serve:
        with Load(serve.smtp, clients=4) as load:
            _taken(serve, load)
            with trouble(serve):
                refused = len(load.refusals)
                wait(lambda: len(load.refusals) > refused + 5, "nothing is refused", log=serve.log)
            _taken(serve, load)
        wait_processed(serve.database)
        assert load.permanent() == {}
        assert (load.cut, load.halves) == (0, [])
        assert faults(serve.database, load.acknowledged) == []
        assert serve.stop() == 0


def _taken(serve, load):
    goal = len(load.acknowledged) + 50
    wait(lambda: len(load.acknowledged) >= goal, "no mail is taken", log=serve.log)
