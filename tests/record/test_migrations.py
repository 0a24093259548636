import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from dsn_processor.errors import StoreError
from dsn_processor.facts import NO_CORRELATION
from dsn_processor.record import compile as made
from dsn_processor.record import schema, tables
from dsn_processor.record.models import metadata
from dsn_processor.record.store import Store


def say(store, statement):
    with store._connection.begin():
        return store._connection.execute(text(statement))


def test_the_newest_migration_is_the_one_the_program_expects():
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [schema.HEAD]


def test_what_is_made_of_models_and_migrations_is_not_stale():
    assert schema.NEWEST.read_text("utf-8") == made.newest()
    assert Path(tables.__file__).read_text("utf-8") == made.tables()


def test_migrations_make_what_the_tables_say(url):
    with Store.open(url) as store:
        context = MigrationContext.configure(store._connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_would_find_a_difference(url):
    with Store.open(url) as store:
        say(store, "DROP INDEX ix_recipient_event_domain")
        context = MigrationContext.configure(store._connection, opts={"compare_type": True})
        assert [difference[0] for difference in compare_metadata(context, metadata)] == ["add_index"]


@pytest.mark.parametrize("readonly", [True, False])
def test_a_newer_database_is_not_touched(url, readonly):
    with Store.open(url) as store:
        say(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer version \(schema 9999.*upgrade dsn-processor"):
        Store.open(url, readonly=readonly)


def make_old(url, monkeypatch, revision):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_make", lambda connection: schema.migrate(connection, revision))
        Store.open(url).close()


def test_an_older_database_is_explained_to_readers_and_brought_up_to_date_by_writers(
    url, monkeypatch, write_dsn
):
    make_old(url, monkeypatch, "0001")
    with pytest.raises(
        StoreError, match=r"older version \(schema 0001.*`dsn-processor reclassify` brings it up to date"
    ):
        Store.open(url, readonly=True)
    with Store.open(url) as store:
        context = MigrationContext.configure(store._connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


#: What the first version of the program wrote of one mail.
OLD_ROWS = (
    "INSERT INTO message VALUES (1, 'm', '2026-11-20 08:00:00.000000', 'old', '', NULL, 3, 0, 'processed', 1, NULL, 'zstd', x'00')",
    "INSERT INTO report VALUES (1, 'failed', 'r@example.com', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'rules', 0)",
    (
        "INSERT INTO recipient_event VALUES (1, 1, 'e', 'failed', '2026-11-20 08:00:00.000000', 'Bob@example.net', 'bob@example.net', "
        "'example.net', NULL, 'failed', '5.1.1', 550, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, 'delivery-status', 'hard', "
        "'user_unknown', 'recipient', 0.95, 'rule', NULL, NULL, 'unproved')"
    ),
)


def test_what_an_older_database_holds_is_there_after_the_migration(url, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "HEAD", "0001")
        make_old(url, monkeypatch, "0001")
        with Store.open(url) as store:
            for row in OLD_ROWS:
                say(store, row)
    with Store.open(url) as store:
        [event] = store.report(1).events
        assert (event.kind, event.canonical, event.verdict.reason) == (
            "failed",
            "bob@example.net",
            "user_unknown",
        )
        assert event.correlation == NO_CORRELATION
        assert event.concerned == "bob@example.net"
        assert store.position("bounces", "INBOX") is None
        assert not store.any_sends()


def test_a_migration_that_fails_leaves_nothing_behind(url, monkeypatch, tmp_path):
    class BrokenError(Exception):
        pass

    def broken(*args, **kwargs):
        raise BrokenError

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.bulk_insert", broken)  # the last step of the first migration
        with pytest.raises(BrokenError):
            make_old(url, monkeypatch, "0001")
    with Store.open(url) as store:
        assert store.stats().mails == 0


def test_opening_imports_neither_alembic_nor_sqlmodel(url):
    program = (
        "import sys; from dsn_processor.record.store import Store\n"
        f"Store.open({url!r}).close(); Store.open({url!r}, readonly=True).close()\n"
        "print([name for name in sys.modules if name.startswith(('alembic', 'sqlmodel', 'pydantic'))])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[]"
