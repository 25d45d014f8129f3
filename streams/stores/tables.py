"""Every table once. `migrations/` builds exactly these; tests/contracts/test_stores.py fails when the two differ."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    },
)

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts rows by itself only in a column of type INTEGER."""


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite keeps no offset, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware in, UTC to the database."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a time without an offset"
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """UTC out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


cases = Table(
    "cases",
    metadata,
    Column("case_id", String(36), primary_key=True),
    Column("borrower", String(128), nullable=False),
    Column("opening_alert", String(36), nullable=False),
    Column("state", String(32), nullable=False),
    Column("stage", String(32), nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("next_step", Text, nullable=False),
    Column("owner", String(128)),
    Column("due_at", UtcTime),
    Column("opened_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("closed_as", String(32)),
    Column("version", Integer, nullable=False),
    Column("tier", String(16)),
    Column("score", Integer),
    Column("stance", String(16)),
    Column("recovery", Float),
    Column("approved_stage", String(32)),
    Column("sla_left_seconds", Integer),
    Column("resume_at", UtcTime),
    Column("breached_at", UtcTime),
    Column("outcome", String(32)),
    Column("pauses", String(64), nullable=False, server_default=""),
    Column("hold_until", UtcTime),
    Column("hardship_granted", Boolean, nullable=False, server_default=false()),
    Column("deceased", Boolean, nullable=False, server_default=false()),
    Index("ix_cases_borrower", "borrower"),
    Index("ix_cases_state_stage", "state", "stage"),
    Index("ix_cases_due_at", "due_at"),
    # What lists are sorted by and what they are narrowed to; without these a list of a million cases is a full scan.
    # Each holds the open cases or the ended ones alone: PostgreSQL does not take `closed_at IS NULL` at the head of an
    # index for a constant, and would sort.
    *(
        Index(name, *columns, sqlite_where=text(which), postgresql_where=text(which))
        for name, columns, which in (
            ("ix_cases_open_due", ("due_at", "case_id"), "closed_at IS NULL"),
            ("ix_cases_owner", ("owner", "due_at", "case_id"), "closed_at IS NULL"),
            ("ix_cases_stage_due", ("stage", "due_at", "case_id"), "closed_at IS NULL"),
            ("ix_cases_state_due", ("state", "due_at", "case_id"), "closed_at IS NULL"),
            ("ix_cases_ended", ("closed_at", "case_id"), "closed_at IS NOT NULL"),
            ("ix_cases_owner_ended", ("owner", "closed_at", "case_id"), "closed_at IS NOT NULL"),
        )
    ),
    Index("ix_cases_resume_at", "resume_at"),
    # The rule itself, kept by the database: one open case per borrower.
    Index(
        "uq_cases_open_borrower",
        "borrower",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

case_loans = Table(
    "case_loans",
    metadata,
    Column("case_id", ForeignKey("cases.case_id"), primary_key=True),
    Column("loan", String(128), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("days_past_due", Integer, nullable=False),
    Column("bucket", String(8), nullable=False),
    Column("overdue_minor", BigInteger, nullable=False),
    Column("outstanding_minor", BigInteger, nullable=False),
    Column("as_of", UtcTime, nullable=False),
)

episodes = Table(
    "episodes",
    metadata,
    Column("episode_id", String(36), primary_key=True),
    # Empty while the episode belongs to no case. One that comes back after its case was closed gets a second row,
    # so that the closed case keeps what it held.
    Column("case_id", String(36), primary_key=True),
    Column("borrower", String(128), nullable=False),
    Column("detector", String(64), nullable=False),
    Column("loan", String(128)),
    Column("onset", Date, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_step", Text, nullable=False),
    Column("resolution", String(32)),
    Column("measures", JSON, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("risk", JSON(none_as_null=True)),
    Index("ix_episodes_borrower", "borrower", "status"),
    # The inbox: open ones by severity, the latest first; of all detectors and of one.
    Index(
        "ix_episodes_inbox_detector",
        "detector",
        "severity",
        "changed_at",
        "episode_id",
        sqlite_where=text("status IN ('opened', 'escalated')"),
        postgresql_where=text("status IN ('opened', 'escalated')"),
    ),
    Index(
        "ix_episodes_inbox",
        "severity",
        "changed_at",
        "episode_id",
        sqlite_where=text("status IN ('opened', 'escalated')"),
        postgresql_where=text("status IN ('opened', 'escalated')"),
    ),
    Index("ix_episodes_case_id", "case_id"),
)

applied_alerts = Table(
    "applied_alerts",
    metadata,
    Column("alert_id", String(36), primary_key=True),
    Column("episode_id", String(36), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("case_id", String(36)),
    Column("outcome", String(32), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_applied_alerts_episode_id", "episode_id"),
)

consumed_offsets = Table(
    "consumed_offsets",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", RowId, primary_key=True, autoincrement=False),
    Column("case_id", String(36), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("case_digest", String(64)),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_case_id", "case_id", "number"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", String(16), primary_key=True),
    Column("number", RowId, nullable=False),
    Column("hash", String(64), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("number", RowId, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("audience", String(16), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("borrower", String(128), nullable=False),
    Column("alert_id", String(36), nullable=False),
    Column("episode_id", String(36), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcTime),
    Column("detail", Text),
    Column("taken_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    # The rest is of messages to borrowers; those to staff leave it empty.
    Column("step", String(32)),
    Column("loan", String(128)),
    Column("expires_at", UtcTime),
    Column("traceparent", String(55)),
    Index("uq_messages_key_channel", "key", "channel", unique=True),
    Index("ix_messages_status", "status", "number"),
    Index("ix_messages_episode_id", "episode_id", "channel"),
    Index("ix_messages_borrower", "borrower", "channel", "status"),
)

switches = Table(
    "switches",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("since", UtcTime, nullable=False),
)
"""What a person has switched on, such as `notifier_paused`. A switch that is off has no row."""
