"""Until when an endpoint asked to be left alone: a restart is to know it, too."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("endpoint", sa.Column("paused_until", sa.Float(), nullable=True))
