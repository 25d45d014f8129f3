"""Cases, their loans and episodes, applied alerts, consumed offsets, the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _cases()
    _episodes()
    _progress()
    _audit()


def downgrade() -> None:
    """Drop them, with all that is in them."""
    for table in ("audit_head", "audit", "consumed_offsets", "applied_alerts", "episodes", "case_loans", "cases"):
        op.drop_table(table)


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("opening_alert", sa.String(36), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("needs_approval", sa.Boolean, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("next_step", sa.Text, nullable=False),
        sa.Column("owner", sa.String(128)),
        sa.Column("due_at", TIME),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.Column("closed_as", sa.String(32)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
    )
    op.create_index("ix_cases_borrower", "cases", ["borrower"])
    op.create_index("ix_cases_state_stage", "cases", ["state", "stage"])
    op.create_index("ix_cases_due_at", "cases", ["due_at"])
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_cases_open_borrower",
        "cases",
        ["borrower"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_table(
        "case_loans",
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("loan", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("days_past_due", sa.Integer, nullable=False),
        sa.Column("bucket", sa.String(8), nullable=False),
        sa.Column("overdue_minor", sa.BigInteger, nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger, nullable=False),
        sa.Column("as_of", TIME, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "loan", name="pk_case_loans"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_case_loans_case_id_cases"),
    )


def _episodes() -> None:
    op.create_table(
        "episodes",
        sa.Column("episode_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("detector", sa.String(64), nullable=False),
        sa.Column("loan", sa.String(128)),
        sa.Column("onset", sa.Date, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("first_step", sa.Text, nullable=False),
        sa.Column("resolution", sa.String(32)),
        sa.Column("measures", sa.JSON, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("episode_id", "case_id", name="pk_episodes"),
    )
    op.create_index("ix_episodes_borrower", "episodes", ["borrower", "status"])
    op.create_index("ix_episodes_case_id", "episodes", ["case_id"])


def _progress() -> None:
    op.create_table(
        "applied_alerts",
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("episode_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("case_id", sa.String(36)),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_applied_alerts"),
    )
    op.create_index("ix_applied_alerts_episode_id", "applied_alerts", ["episode_id"])
    op.create_table(
        "consumed_offsets",
        sa.Column("consumer", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition", name="pk_consumed_offsets"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("case_digest", sa.String(64)),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_index("ix_audit_case_id", "audit", ["case_id", "number"])
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.String(16), nullable=False),
        sa.Column("number", ROW_ID, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_audit_head"),
    )
