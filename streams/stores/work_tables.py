"""The tables of people's work on cases, of contacts made, and of what keeps both exactly once. See `tables`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from streams.stores.tables import RowId, UtcTime, metadata

promises = Table(
    "promises",
    metadata,
    Column("promise_id", String(36), primary_key=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    Column("borrower", String(128), nullable=False),
    Column("loan", String(128), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("promised_on", Date, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Index("ix_promises_case_id", "case_id"),
    Index("ix_promises_borrower", "borrower", "state"),
)

promise_payments = Table(
    "promise_payments",
    metadata,
    Column("promise_id", ForeignKey("promises.promise_id"), primary_key=True),
    # An id has up to 256 characters, and a server in the C locale counts bytes.
    Column("payment_id", String(1024), primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("valued_at", UtcTime, nullable=False),
    Column("returned", Boolean, nullable=False),
)
"""Payments that count for a promise, those that were returned included."""

recent_payments = Table(
    "recent_payments",
    metadata,
    Column("borrower", String(128), primary_key=True),
    Column("loan", String(128), primary_key=True),
    Column("payment_id", String(1024), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("valued_at", UtcTime, nullable=False),
    Column("returned", Boolean, nullable=False),
    Index("ix_recent_payments_valued_at", "valued_at"),
)
"""Payments of the last days: one that is valued on the day of a promise counts, also if it came before the promise."""

loan_zones = Table(
    "loan_zones",
    metadata,
    Column("borrower", String(128), primary_key=True),
    Column("loan", String(128), primary_key=True),
    Column("zone", String(64), nullable=False),
)
"""Where the days of a loan begin and end."""

plans = Table(
    "plans",
    metadata,
    Column("plan_id", String(36), primary_key=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    Column("borrower", String(128), nullable=False),
    Column("loan", String(128), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("until", Date),
    Column("schedule", JSON, nullable=False),
    Column("agreed_at", UtcTime, nullable=False),
    Column("agreed_by", String(128), nullable=False),
    Index("ix_plans_case_id", "case_id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", String(36), primary_key=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    Column("step", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("requested_by", String(128), nullable=False),
    # Why it was asked for, which is free text.
    Column("note_id", String(36), nullable=False),
    Column("decided_at", UtcTime),
    Column("decided_by", String(128)),
    Index("ix_approvals_case_id", "case_id"),
    Index("ix_approvals_state", "state", "requested_at"),
)

notes = Table(
    "notes",
    metadata,
    Column("note_id", String(36), primary_key=True),
    Column("case_id", ForeignKey("cases.case_id"), nullable=False),
    Column("borrower", String(128), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String(128), nullable=False),
    # A note may name a person, so it can be erased; the audit trail keeps only its SHA-256.
    Column("text", Text, nullable=False),
    Column("erased_at", UtcTime),
    Index("ix_notes_case_id", "case_id", "at"),
    Index("ix_notes_borrower", "borrower"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("episode_id", String(36), primary_key=True),
    Column("alert_id", String(36), nullable=False),
    Column("detector", String(64), nullable=False),
    Column("borrower", String(128), nullable=False),
    Column("case_id", String(36)),
    Column("verdict", String(32), nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    Column("decided_by", String(128), nullable=False),
    Index("ix_outcomes_detector", "detector", "verdict"),
    Index("ix_outcomes_case_id", "case_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", RowId, primary_key=True, autoincrement=True),
    Column("event_id", String(128), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("key", String(128), nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("written_at", UtcTime, nullable=False),
    Column("published_at", UtcTime),
    Index("uq_outbox_event_id", "event_id", unique=True),
    Index("ix_outbox_published_at", "published_at", "number"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Work that one process at a time does, and until when it is its own."""

contact_log = Table(
    "contact_log",
    metadata,
    # A producer's id may be anybody else's too, so it is unique of its borrower only.
    Column("borrower", String(128), primary_key=True),
    Column("contact_id", String(256), primary_key=True),
    Column("loan", String(128)),
    Column("channel", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reached_at", UtcTime),
    Column("undeliverable_at", UtcTime),
    Column("source", String(128), nullable=False),
    Index("ix_contact_log_borrower", "borrower", "at"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("number", RowId, primary_key=True, autoincrement=True),
    Column("borrower", String(128), nullable=False),
    Column("loan", String(128)),
    Column("channel", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("message_key", String(64)),
    Column("rule", String(64), nullable=False),
    Column("pack", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("next_at", UtcTime),
    Index("ix_refusals_borrower", "borrower", "at"),
    Index("ix_refusals_rule", "rule", "at"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("takes_cases", Boolean, nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    Index("uq_accounts_key_hash", "key_hash", unique=True),
)
"""Who may use the HTTP API and the console. Of a key only its SHA-256 is kept."""

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", String(64), primary_key=True),
    Column("account", ForeignKey("accounts.account"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("until", UtcTime, nullable=False),
    Index("ix_sessions_until", "until"),
)

operations_cases = Table(
    "operations_cases",
    metadata,
    Column("case_id", String(36), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("severity", String(32), nullable=False),
    Column("summary", Text, nullable=False),
    Column("runbook", Text),
    Column("labels", JSON, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("told_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Index("ix_operations_cases_fingerprint", "fingerprint", "starts_at"),
    Index(
        "uq_operations_cases_open",
        "fingerprint",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)
"""Faults of the system itself, as the monitoring reports them: about no borrower, worked by operators."""

requests = Table(
    "requests",
    metadata,
    Column("account", String(128), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("etag", String(64)),
    Column("at", UtcTime, nullable=False),
    Index("ix_requests_at", "at"),
)
"""Answers to requests with an idempotency key, written in the transaction of what they answer."""
