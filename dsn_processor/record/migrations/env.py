"""Run by Alembic, over the connection that schema.py hands it: one transaction for all migrations."""

from alembic import context

from dsn_processor.record.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's DDL takes part in transactions once the driver keeps its hands off
)
context.run_migrations()
