"""What the bureau's lines of accounts elsewhere have in common for those who look at them."""

from __future__ import annotations

TRADELINE = "ews.tradeline.reported.v1"
LOAN_KINDS = frozenset({"instalment", "installment", "cash", "payday", "personal", "bnpl", "microloan"})
"""Kinds of lines that are loans. Nearly everybody has a card, a telecom contract or a shop's account beside them."""
REPORT_DAYS = 62
"""How long a line is believed without a new report. Bureaus report monthly, and sometimes leave a month out."""
