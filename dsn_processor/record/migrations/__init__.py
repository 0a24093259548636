"""Alembic environment: how a database made by an older version becomes today's."""
