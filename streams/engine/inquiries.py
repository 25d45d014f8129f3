"""Inquiries of other lenders as detectors look at them: one measure for all who ask with the same settings.

Two things keep applications from being counted twice: an aggregator asks many lenders within minutes, and somebody who
shops for one secured loan asks several lenders within weeks.
"""

from __future__ import annotations

from streams.engine.measure import Alike, Kind, Measure

INQUIRY = "ews.inquiry.made.v1"
HARD = ("kind", frozenset({"hard"}))
OWN_LENDERS = frozenset({"own"})
SECURED = frozenset({"mortgage", "home", "car", "auto"})
"""Purposes of secured loans: a borrower compares offers, and takes one."""
SHOPPING_DAYS = 45
"""FICO: such inquiries within 14 (older models) to 45 days (newer ones) are one."""


def lenders_asked(
    days: int, own_lenders: frozenset[str], burst_minutes: int, purposes: frozenset[str], shopping_days: int
) -> Measure:
    """The different other lenders with hard inquiries; a burst, and shopping for one secured loan, count once."""
    return Measure(
        "inquiries.lenders", INQUIRY, Kind.DISTINCT, days, (HARD,), field="lender_token", burst_minutes=burst_minutes,
        unless=(("lender_token", own_lenders),),
        alike=Alike("purpose", purposes, shopping_days) if purposes else None,
    )  # fmt: skip
