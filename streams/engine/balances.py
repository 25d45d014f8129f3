"""What an account held and when: shared by the detectors that look at balances.

Accounts are kept one by one and added up within a currency, so that a transfer between two of them moves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.engine.calendar import HOUR_MS
from streams.engine.codes import ABSENT, CASH, FINANCIAL, QUASI_CASH, REPAYMENT, TRANSACTION
from streams.engine.measure import Kind, Measure, closing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.detector import BorrowerView
    from streams.engine.measure import Store

DAYS = 16
BALANCE = Measure(
    "balance.hourly", TRANSACTION, Kind.CLOSING, DAYS, value="balance_after_minor", bucket_ms=HOUR_MS, per="account"
)
"""The last balance of each hour, for each account."""

TRANSFERS = CASH | QUASI_CASH | FINANCIAL | {ABSENT, "4829", "6211"}
"""Merchant categories by which money itself is moved: none at all (a transfer), cash, remittances, securities."""
TRANSFER_DAYS = 8


def transfers(bills: frozenset[str]) -> Measure:
    """What is moved out of the accounts each hour, for each currency: no repayments, nothing with such a purpose."""
    where = (("indicator", frozenset({"DBIT"})), ("mcc", frozenset(TRANSFERS)))
    return Measure(
        "transfers.hourly", TRANSACTION, Kind.TOTAL, TRANSFER_DAYS, where, value="amount_minor", bucket_ms=HOUR_MS,
        unless=(("purpose", bills | REPAYMENT),),
    )  # fmt: skip


def accounts(view: BorrowerView, measure: Measure, currency: str) -> Iterator[Store]:
    """What is kept of each account in a currency."""
    for part, store in view.stores(measure):
        if store.ats and part.rpartition("/")[2] == currency:
            yield store


def balance_at(view: BorrowerView, measure: Measure, currency: str, by_ms: int) -> int | None:
    """What all accounts held together at the end of the buckets by an instant; None where nothing is known."""
    held = [closing(measure, store, by_ms) for store in accounts(view, measure, currency)]
    known = [amount for amount in held if amount is not None]
    return sum(known) if known else None


def rise(view: BorrowerView, currency: str, since_ms: int) -> int | None:
    """By how much the accounts hold more now than at an instant, as far as that is known."""
    gains = [
        store.amounts[-1] - before
        for store in accounts(view, BALANCE, currency)
        if (before := closing(BALANCE, store, since_ms)) is not None
    ]
    return sum(gains) if gains else None
