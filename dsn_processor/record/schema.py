"""The schema's version: read in a blink, brought up to date by Alembic where it is behind."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection

from dsn_processor.errors import StoreError

#: The newest migration. A test holds it against the folder, so that opening need not import Alembic to know it.
HEAD = "0008"

MIGRATIONS = Path(__file__).with_name("migrations")
NEWEST = Path(__file__).with_name("newest.sql")  #: a new database; compile.py makes it of the migrations


def version(connection: Connection, name: str) -> str | None:
    """The migration the database is at; None while it has none. Raises StoreError if it is somebody else's."""
    with connection.begin():
        tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
        if not tables:
            return None
        if "alembic_version" not in tables or "recipient_event" not in tables:
            raise StoreError(f"{name}: this database belongs to another program; name another file")
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def bring_up_to_date(connection: Connection, found: str | None, name: str) -> None:
    """Apply the migrations missing after ``found``, all or none. Raises StoreError on a newer database."""
    if found is None:
        _make(connection)
    elif found != HEAD:
        check_known(found, name)
        migrate(connection)


def _make(connection: Connection) -> None:
    """What all migrations make of nothing, without Alembic: that takes as long to load as all else here."""
    with connection.begin():
        for statement in NEWEST.read_text("utf-8").split(";\n"):
            connection.exec_driver_sql(statement)


def migrate(connection: Connection, revision: str = "head") -> None:
    """Apply the migrations up to this one."""
    from alembic import command  # noqa: PLC0415  only an old database needs it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, revision)


def check_readable(found: str | None, name: str) -> None:
    """Raise StoreError unless the schema is the one this program reads. For those that may not write."""
    if found == HEAD:
        return
    if found is None:
        raise StoreError(f"{name}: this database is empty: `dsn-processor replay PATH` fills it")
    check_known(found, name)
    raise StoreError(
        f"{name}: this database is of an older version (schema {found}, this program reads {HEAD}): "
        "`dsn-processor reclassify` brings it up to date"
    )


def check_known(found: str, name: str) -> None:
    """Raise StoreError unless ``found`` is a migration of this program or of an older one."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415  (as above)
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        ScriptDirectory(str(MIGRATIONS)).get_revision(found)
    except CommandError:
        raise StoreError(
            f"{name}: this database is of a newer version (schema {found}, this program knows {HEAD}): upgrade dsn-processor"
        ) from None
