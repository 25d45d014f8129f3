"""The trace that a message belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column. Messages from before have none."""
    op.add_column("messages", sa.Column("traceparent", sa.String(55)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("messages", "traceparent")
