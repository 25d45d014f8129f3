"""Messages of the notifier, and switches such as its pause."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "messages",
        sa.Column("number", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("audience", sa.String(16), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("episode_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", TIME),
        sa.Column("detail", sa.Text),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("sent_at", TIME),
        sa.PrimaryKeyConstraint("number", name="pk_messages"),
    )
    op.create_index("uq_messages_key_channel", "messages", ["key", "channel"], unique=True)
    op.create_index("ix_messages_status", "messages", ["status", "number"])
    op.create_index("ix_messages_episode_id", "messages", ["episode_id", "channel"])
    op.create_index("ix_messages_borrower", "messages", ["borrower", "channel", "status"])
    op.create_table(
        "switches",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )


def downgrade() -> None:
    """Drop them, with all that is in them."""
    op.drop_table("switches")
    op.drop_table("messages")
