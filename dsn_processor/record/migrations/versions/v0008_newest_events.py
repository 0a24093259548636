"""The events of an address in the order of their time: of an address with very many only the newest are read."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE = "recipient_event"


def upgrade() -> None:
    op.create_index("ix_recipient_event_canonical_occurred_at", _TABLE, ["canonical", "occurred_at"])
    op.create_index(
        "ix_recipient_event_mailed_address_occurred_at",
        _TABLE,
        ["mailed_address", "occurred_at"],
        sqlite_where=sa.text("mailed_address IS NOT NULL"),
    )
    op.drop_index("ix_recipient_event_canonical", _TABLE)
    op.drop_index("ix_recipient_event_mailed_address", _TABLE)
