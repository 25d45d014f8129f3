"""People's work on cases, contacts made and refused, who may do what, and events that wait to be published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STILL_OPEN, ENDED = "closed_at IS NULL", "closed_at IS NOT NULL"
LISTS = {
    "ix_cases_open_due": (["due_at", "case_id"], STILL_OPEN),
    "ix_cases_owner": (["owner", "due_at", "case_id"], STILL_OPEN),
    "ix_cases_stage_due": (["stage", "due_at", "case_id"], STILL_OPEN),
    "ix_cases_state_due": (["state", "due_at", "case_id"], STILL_OPEN),
    "ix_cases_ended": (["closed_at", "case_id"], ENDED),
    "ix_cases_owner_ended": (["owner", "closed_at", "case_id"], ENDED),
}


def upgrade() -> None:  # noqa: PLR0915 - a list, not a path
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("takes_cases", sa.Boolean(), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("account", name="pk_accounts"),
    )
    op.create_index("uq_accounts_key_hash", "accounts", ["key_hash"], unique=True)
    op.create_table(
        "contact_log",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("contact_id", sa.String(256), nullable=False),
        sa.Column("loan", sa.String(128)),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("reached_at", TIME),
        sa.Column("undeliverable_at", TIME),
        sa.Column("source", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("borrower", "contact_id", name="pk_contact_log"),
    )
    op.create_index("ix_contact_log_borrower", "contact_log", ["borrower", "at"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "outbox",
        sa.Column("number", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", TIME, nullable=False),
        sa.Column("published_at", TIME),
        sa.PrimaryKeyConstraint("number", name="pk_outbox"),
    )
    op.create_index("ix_outbox_published_at", "outbox", ["published_at", "number"])
    op.create_index("uq_outbox_event_id", "outbox", ["event_id"], unique=True)
    op.create_table(
        "outcomes",
        sa.Column("episode_id", sa.String(36), nullable=False),
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("detector", sa.String(64), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("case_id", sa.String(36)),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("decided_at", TIME, nullable=False),
        sa.Column("decided_by", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("episode_id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_detector", "outcomes", ["detector", "verdict"])
    op.create_index("ix_outcomes_case_id", "outcomes", ["case_id"])
    op.create_table(
        "refusals",
        sa.Column("number", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("loan", sa.String(128)),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("message_key", sa.String(64)),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("pack", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("next_at", TIME),
        sa.PrimaryKeyConstraint("number", name="pk_refusals"),
    )
    op.create_index("ix_refusals_borrower", "refusals", ["borrower", "at"])
    op.create_index("ix_refusals_rule", "refusals", ["rule", "at"])
    op.create_table(
        "requests",
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("etag", sa.String(64)),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("account", "key", name="pk_requests"),
    )
    op.create_index("ix_requests_at", "requests", ["at"])
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("note_id", sa.String(36), nullable=False),
        sa.Column("decided_at", TIME),
        sa.Column("decided_by", sa.String(128)),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_approvals_case_id_cases"),
        sa.PrimaryKeyConstraint("approval_id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_case_id", "approvals", ["case_id"])
    op.create_index("ix_approvals_state", "approvals", ["state", "requested_at"])
    op.create_table(
        "notes",
        sa.Column("note_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("erased_at", TIME),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_notes_case_id_cases"),
        sa.PrimaryKeyConstraint("note_id", name="pk_notes"),
    )
    op.create_index("ix_notes_borrower", "notes", ["borrower"])
    op.create_index("ix_notes_case_id", "notes", ["case_id", "at"])
    op.create_table(
        "plans",
        sa.Column("plan_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("loan", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date()),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("agreed_at", TIME, nullable=False),
        sa.Column("agreed_by", sa.String(128), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_plans_case_id_cases"),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plans"),
    )
    op.create_index("ix_plans_case_id", "plans", ["case_id"])
    op.create_table(
        "promises",
        sa.Column("promise_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("loan", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("promised_on", sa.Date(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("made_by", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_promises_case_id_cases"),
        sa.PrimaryKeyConstraint("promise_id", name="pk_promises"),
    )
    op.create_index("ix_promises_borrower", "promises", ["borrower", "state"])
    op.create_index("ix_promises_case_id", "promises", ["case_id"])
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.String(64), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.account"], name="fk_sessions_account_accounts"),
        sa.PrimaryKeyConstraint("session_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_until", "sessions", ["until"])
    op.create_table(
        "promise_payments",
        sa.Column("promise_id", sa.String(36), nullable=False),
        sa.Column("payment_id", sa.String(1024), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("valued_at", TIME, nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["promises.promise_id"], name="fk_promise_payments_promise_id_promises"
        ),
        sa.PrimaryKeyConstraint("promise_id", "payment_id", name="pk_promise_payments"),
    )
    op.create_table(
        "recent_payments",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("loan", sa.String(128), nullable=False),
        sa.Column("payment_id", sa.String(1024), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("valued_at", TIME, nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("borrower", "loan", "payment_id", name="pk_recent_payments"),
    )
    op.create_index("ix_recent_payments_valued_at", "recent_payments", ["valued_at"])
    op.create_table(
        "loan_zones",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("loan", sa.String(128), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("borrower", "loan", name="pk_loan_zones"),
    )
    op.add_column("cases", sa.Column("tier", sa.String(16)))
    op.add_column("cases", sa.Column("score", sa.Integer()))
    op.add_column("cases", sa.Column("stance", sa.String(16)))
    op.add_column("cases", sa.Column("recovery", sa.Float()))
    op.add_column("cases", sa.Column("approved_stage", sa.String(32)))
    op.add_column("cases", sa.Column("sla_left_seconds", sa.Integer()))
    op.add_column("cases", sa.Column("resume_at", TIME))
    op.add_column("cases", sa.Column("breached_at", TIME))
    op.add_column("cases", sa.Column("outcome", sa.String(32)))
    op.add_column("cases", sa.Column("pauses", sa.String(64), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("hold_until", TIME))
    op.add_column("cases", sa.Column("hardship_granted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("cases", sa.Column("deceased", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("episodes", sa.Column("risk", sa.JSON()))
    for name, (columns, which) in LISTS.items():
        op.create_index(name, "cases", columns, sqlite_where=sa.text(which), postgresql_where=sa.text(which))
    open_episodes = sa.text("status IN ('opened', 'escalated')")
    op.create_index(
        "ix_episodes_inbox_detector",
        "episodes",
        ["detector", "severity", "changed_at", "episode_id"],
        sqlite_where=open_episodes,
        postgresql_where=open_episodes,
    )
    op.create_index(
        "ix_episodes_inbox",
        "episodes",
        ["severity", "changed_at", "episode_id"],
        sqlite_where=open_episodes,
        postgresql_where=open_episodes,
    )
    op.create_index("ix_cases_resume_at", "cases", ["resume_at"])
    op.add_column("messages", sa.Column("step", sa.String(32)))
    op.add_column("messages", sa.Column("loan", sa.String(128)))
    op.add_column("messages", sa.Column("expires_at", TIME))


def downgrade() -> None:
    """Drop them, with all that is in them."""
    for name in LISTS:
        op.drop_index(name, table_name="cases")
    op.drop_index("ix_episodes_inbox", table_name="episodes")
    op.drop_index("ix_episodes_inbox_detector", table_name="episodes")
    op.drop_index("ix_cases_resume_at", table_name="cases")
    op.drop_column("cases", "tier")
    op.drop_column("cases", "score")
    op.drop_column("cases", "stance")
    op.drop_column("cases", "recovery")
    op.drop_column("cases", "approved_stage")
    op.drop_column("cases", "sla_left_seconds")
    op.drop_column("cases", "resume_at")
    op.drop_column("cases", "breached_at")
    op.drop_column("cases", "outcome")
    op.drop_column("cases", "pauses")
    op.drop_column("cases", "hold_until")
    op.drop_column("cases", "hardship_granted")
    op.drop_column("cases", "deceased")
    op.drop_column("episodes", "risk")
    op.drop_column("messages", "step")
    op.drop_column("messages", "loan")
    op.drop_column("messages", "expires_at")
    op.drop_table("loan_zones")
    op.drop_table("recent_payments")
    op.drop_table("promise_payments")
    op.drop_table("sessions")
    op.drop_table("promises")
    op.drop_table("plans")
    op.drop_table("notes")
    op.drop_table("approvals")
    op.drop_table("requests")
    op.drop_table("refusals")
    op.drop_table("outcomes")
    op.drop_table("outbox")
    op.drop_table("leases")
    op.drop_table("contact_log")
    op.drop_table("accounts")
