"""Codes by which transactions are told apart: merchant categories (ISO 18245) and purposes (ISO 20022)."""

from __future__ import annotations

from typing import Final

TRANSACTION: Final = "ews.transaction.booked.v1"

BETTING: Final = frozenset({"7995", "7800", "7801", "7802"})
QUASI_CASH: Final = frozenset({"6051"})
CASH: Final = frozenset({"6010", "6011"})
"""Cash over a counter, and from a machine."""
FINANCIAL: Final = frozenset({"6012"})
"""Financial institutions: another lender, mostly."""

INCOME: Final = frozenset({"SALA", "PENS", "BENE", "PAYR", "SSBE"})
LOAN: Final = frozenset({"LOAN"})
REPAYMENT: Final = frozenset({"LOAR"})
BILLS: Final = frozenset({"RENT", "ELEC", "GASB", "WTER", "PHON", "NWCM", "INSU", "HLTI", "TAXS", "EDUC"})
"""What comes each month whatever happens: rent, energy, telephone, insurance, taxes, school."""

ABSENT: Final = ""
"""How a filter of a measure names a field that is not given."""
