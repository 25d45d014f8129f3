"""Which tier borrowers are in, by their open cases: what a list of alerts shows beside each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from streams.stores.tables import cases

if TYPE_CHECKING:
    from collections.abc import Collection

    from streams.stores.database import Database


def tiers_of(database: Database, borrowers: Collection[str]) -> dict[str, str]:
    """By borrower the tier of the open case; who has none is left out. For a page of borrowers, not for all."""
    if not borrowers:
        return {}
    open_ones = (cases.c.borrower.in_(borrowers), cases.c.closed_at.is_(None), cases.c.tier.isnot(None))
    with database.read() as connection:
        return {
            row.borrower: row.tier
            for row in connection.execute(select(cases.c.borrower, cases.c.tier).where(*open_ones))
        }
