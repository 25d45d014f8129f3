"""What the bureau's lines of accounts elsewhere have in common for those who look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.engine.loan import ACTIVE

if TYPE_CHECKING:
    from streams.engine.detector import BorrowerView

TRADELINE = "ews.tradeline.reported.v1"
LOAN_KINDS = frozenset({"instalment", "installment", "cash", "payday", "personal", "bnpl", "microloan"})
"""Kinds of lines that are loans. Nearly everybody has a card, a telecom contract or a shop's account beside them."""
REPORT_DAYS = 62
"""How long a line is believed without a new report. Bureaus report monthly, and sometimes leave a month out."""


def largest_installment(view: BorrowerView, currency: str) -> int:
    """The largest installment still to be paid here in a currency, 0 if there is none: the measure of debt."""
    loans = [loan for loan in view.loans if loan.status == ACTIVE and loan.currency == currency]
    return max((line.amount for loan in loans for line in loan.installments if line.cleared is None), default=0)
