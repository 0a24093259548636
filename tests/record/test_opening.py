"""Opening a database: who may, what is made, and what is said when it cannot be."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from dsn_processor.bulk import take
from dsn_processor.errors import ConfigurationError, StoreBusyError, StoreError, StoreMovedError
from dsn_processor.facts import InboundMessage
from dsn_processor.record.store import Store


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_all_files_are_for_their_owner_alone_whatever_the_umask(url, tmp_path):
    before = os.umask(0)
    try:
        with Store.open(url) as store:
            take(store, [InboundMessage(raw=b"Subject: x\n\n", source="-")])
            files = {path.name: mode(path) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(files) == {"bounces.db", "bounces.db-wal", "bounces.db-shm", "bounces.db-lock"}
    assert set(files.values()) == {0o600}


def test_the_mode_is_set_before_sqlite_sees_the_file(url, tmp_path, monkeypatch):
    seen = []
    connect = sqlite3.connect

    def spy(*args, **kwargs):
        seen.append(mode(tmp_path / "bounces.db"))
        return connect(*args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", spy)
    Store.open(url).close()
    assert seen == [0o600]


def test_pragmas(url):
    with Store.open(url) as store:
        found = {
            name: store._connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
        store._connection.rollback()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 5000,
    }


def test_a_second_writer_waits_then_says_who_is_in_the_way(url):
    with (
        Store.open(url),
        pytest.raises(
            StoreBusyError, match=r"bounces\.db is in use: another dsn-processor \(process [0-9]+\)"
        ),
    ):
        Store.open(url, wait=0.05)


def test_a_link_to_the_database_is_no_way_round_the_lock(url, tmp_path):
    (tmp_path / "link.db").symlink_to("bounces.db")
    with Store.open(url):
        with pytest.raises(StoreBusyError, match=r"link\.db is in use"):
            Store.open(f"sqlite:///{tmp_path}/link.db", wait=0.05)
        assert Store.open(f"sqlite:///{tmp_path}/link.db", readonly=True).close() is None


@pytest.mark.parametrize("instead", [None, b"another file"])
def test_a_mail_is_not_taken_into_a_file_that_is_gone(url, tmp_path, instead):
    """SQLite would write on into the file without a name, and the mail be lost with it."""
    database, message = tmp_path / "bounces.db", InboundMessage(raw=b"Subject: x\n\n", source="x")
    with Store.open(url) as store:
        database.rename(tmp_path / "elsewhere.db")
        if instead is not None:
            database.write_bytes(instead)
        with pytest.raises(StoreError, match="moved, removed or replaced while in use; nothing of the last"):
            take(store, [message])
        database.unlink(missing_ok=True)
        (tmp_path / "elsewhere.db").rename(database)
        assert store.stats().mails == 0
        assert [outcome.duplicate for outcome in take(store, [message])] == [False]


def test_a_file_that_goes_during_a_commit_took_no_mail(url, tmp_path):
    database, message = tmp_path / "bounces.db", InboundMessage(raw=b"Subject: x\n\n", source="x")
    with Store.open(url) as store:
        event.listen(store._connection, "commit", lambda _: database.unlink(missing_ok=True))
        with pytest.raises(StoreMovedError):
            take(store, [message])


def test_a_second_writer_gets_its_turn(url, tmp_path):
    program = (
        "import sys; from dsn_processor.record.store import Store\n"
        f"store = Store.open({url!r}); print('open', flush=True); sys.stdin.readline()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusyError):
            Store.open(url, wait=0)
        holder.kill()  # the lock dies with its holder
    Store.open(url, wait=20).close()


def test_a_reader_reads_while_a_writer_writes(url):
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=b"Subject: x\n\n", source="-")])
        with Store.open(url, readonly=True) as reader:
            assert reader.stats().mails == 1
            with store.transaction():
                store.count_duplicates(1)
                assert reader.stats().duplicates == 0
            assert reader.stats().duplicates == 1


def test_a_reader_cannot_write(url):
    Store.open(url).close()
    with Store.open(url, readonly=True) as store, pytest.raises(StoreError, match="cannot be written"):
        take(store, [InboundMessage(raw=b"x", source="-")])


def test_a_reader_makes_nothing(url, tmp_path):
    with pytest.raises(StoreError, match=r"no database .*bounces\.db: `dsn-processor replay PATH` makes one"):
        Store.open(url, readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_made_a_database_by_a_writer_only(url, tmp_path):
    (tmp_path / "bounces.db").touch()
    with pytest.raises(StoreError, match="is empty"):
        Store.open(url, readonly=True)
    Store.open(url).close()
    Store.open(url, readonly=True).close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bounces.db", "no database URL"),
        ("", "no database URL"),
        ("postgresql://joe:secret@db.example/x", r"only SQLite.*sqlite:///"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x.db?mode=rwc", "options have no meaning"),
        ("sqlite://host/x.db", "host or options"),
    ],
)
@pytest.mark.parametrize("readonly", [True, False])
def test_a_url_that_cannot_be_used(url, said, readonly):
    with pytest.raises(ConfigurationError, match=said) as raised:
        Store.open(url, readonly=readonly)
    assert "secret" not in str(raised.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match=r"the folder .*/none does not exist: make it"):
        Store.open(f"sqlite:///{tmp_path}/none/x.db")


@pytest.mark.parametrize("readonly", [True, False])
def test_a_folder_instead_of_a_file(tmp_path, readonly):
    with pytest.raises(StoreError, match=r"is a folder|is no file"):
        Store.open(f"sqlite:///{tmp_path}", readonly=readonly)


@pytest.mark.parametrize("readonly", [True, False])
def test_a_file_that_is_no_database(url, tmp_path, readonly):
    path = tmp_path / "bounces.db"
    path.write_bytes(b"From a@example.net\n" * 500)
    with pytest.raises(StoreError, match="no SQLite database; name another file"):
        Store.open(url, readonly=readonly)
    assert path.read_bytes() == b"From a@example.net\n" * 500


@pytest.mark.parametrize("readonly", [True, False])
def test_the_database_of_another_program_is_left_alone(url, tmp_path, readonly):
    path = tmp_path / "bounces.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="belongs to another program"):
        Store.open(url, readonly=readonly)
    assert path.read_bytes() == before


def test_a_folder_that_refuses_new_files(url, monkeypatch):
    """As a read-only file system does, root or not."""
    real = os.open

    def refuse(path, flags, *rest, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(30, os.strerror(30), str(path))
        return real(path, flags, *rest, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        Store.open(url)


def test_a_damaged_database(url, tmp_path):
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=b"Subject: %d\n\n" % n, source="-") for n in range(300)])
    path = tmp_path / "bounces.db"
    content = bytearray(path.read_bytes())
    content[8192 * 2 :] = b"\xff" * len(content[8192 * 2 :])  # all pages but the first two
    path.write_bytes(content)

    def use():
        with Store.open(url) as store:
            take(store, [InboundMessage(raw=b"new", source="-")])

    with pytest.raises(StoreError, match="damaged; restore it from a backup"):
        use()


def test_a_full_disk_stores_nothing_of_the_batch_and_says_so(url):
    batch = [InboundMessage(raw=os.urandom(4000), source=str(n)) for n in range(500)]
    with Store.open(url) as store:
        take(store, batch[:1])
        pages = store._connection.exec_driver_sql("PRAGMA page_count").scalar()
        store._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
        store._connection.rollback()
        with pytest.raises(StoreError, match="disk is full; nothing of the last step was stored"):
            take(store, batch)
        assert store.stats().mails == 1
        store._connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        store._connection.rollback()
        take(store, batch)
        assert store.stats().mails == 500


def test_a_path_with_signs_that_mean_something_in_urls(tmp_path):
    folder = tmp_path / "50% #1 ü"
    folder.mkdir()
    Store.open(f"sqlite:///{folder}/a b.db").close()
    assert (folder / "a b.db").is_file()


def test_a_relative_path_stays_the_file_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///here.db") as store:
        monkeypatch.chdir("/")
        take(store, [InboundMessage(raw=b"x", source="-")])
    assert Path(tmp_path, "here.db").stat().st_size > 0
