"""How borrowers are reached: records, encrypted addresses, opt-outs, erasures, and the mark of the key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "contact_records",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("country", sa.String(6)),
        sa.Column("packs", sa.JSON(), nullable=False),
        sa.Column("preferred_from", sa.Time()),
        sa.Column("preferred_until", sa.Time()),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("borrower", name="pk_contact_records"),
    )
    op.create_table(
        "contact_addresses",
        sa.Column("address_id", sa.String(36), nullable=False),
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("ciphertext", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("consented_at", TIME),
        sa.Column("consent_source", sa.String(128)),
        sa.Column("third_party", sa.Boolean(), nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["borrower"], ["contact_records.borrower"], name="fk_contact_addresses_borrower_contact_records"
        ),
        sa.PrimaryKeyConstraint("address_id", name="pk_contact_addresses"),
    )
    op.create_index("ix_contact_addresses_borrower", "contact_addresses", ["borrower", "position"])
    op.create_table(
        "contact_opt_outs",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("opted_out_at", TIME),
        sa.Column("lifted_at", TIME),
        sa.Column("source", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("borrower", "channel", name="pk_contact_opt_outs"),
    )
    op.create_table(
        "contact_erasures",
        sa.Column("borrower", sa.String(128), nullable=False),
        sa.Column("erased_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("borrower", name="pk_contact_erasures"),
    )
    op.create_table(
        "contact_seals",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("ciphertext", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_contact_seals"),
    )


def downgrade() -> None:
    """Drop them, with all that is in them."""
    op.drop_table("contact_seals")
    op.drop_table("contact_erasures")
    op.drop_table("contact_opt_outs")
    op.drop_table("contact_addresses")
    op.drop_table("contact_records")
