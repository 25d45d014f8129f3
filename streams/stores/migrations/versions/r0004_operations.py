"""Faults of the system itself, as the monitoring reports them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)
STILL_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "operations_cases",
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text()),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("told_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.PrimaryKeyConstraint("case_id", name="pk_operations_cases"),
    )
    op.create_index("ix_operations_cases_fingerprint", "operations_cases", ["fingerprint", "starts_at"])
    op.create_index(
        "uq_operations_cases_open",
        "operations_cases",
        ["fingerprint"],
        unique=True,
        sqlite_where=STILL_OPEN,
        postgresql_where=STILL_OPEN,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("operations_cases")
