"""Characteristics of accounts with other lenders, as the bureau reports them each month.

They are of one account where one is meant, else of the one that was behind most. A month counts as behind from 30 days
past due on. Twelve months are looked at; a month without a report (no loan then, or no news) counts as neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.events import METRO2_OVER
from streams.engine.measure import MONTH, Kind, Measure, number_of

if TYPE_CHECKING:
    from streams.engine.characteristics.kinds import Characteristic
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan
    from streams.engine.measure import Store

WINDOW_DAYS = 365
MONTHS = 12
QUARTER = 3
BEHIND_DAYS = 30
BEHIND = Measure(
    "account_days_behind",
    "ews.tradeline.reported.v1",
    Kind.CLOSING,
    WINDOW_DAYS,
    unless=(("status", METRO2_OVER),),
    value="days_behind",
    bucket_ms=MONTH,
    per="tradeline",
)
"""Days behind at the end of each month, by account. Reports of an account that is over tell nothing of it."""


class _Account(NamedTuple):
    """Days behind by how many months ago (0 is this one), and how many months ago the first report was."""

    behind: dict[int, int]
    known: int

    def months_behind(self, months: int = MONTHS) -> list[int]:
        """How many months ago it was behind, the latest first."""
        return sorted(ago for ago, days in self.behind.items() if ago < months and days >= BEHIND_DAYS)

    def run(self, ago: int) -> int:
        """How many months in a row it was behind up to a month."""
        return 0 if self.behind.get(ago, 0) < BEHIND_DAYS else 1 + self.run(ago + 1)


def _account(view: BorrowerView, line: str) -> _Account | None:
    """One account, or the one that was behind most (of those the one behind last)."""
    if line:
        return _read(view, view.store(BEHIND, line))
    known = [account for _, store in view.stores(BEHIND) if (account := _read(view, store)) is not None]
    return max(known, key=_weight, default=None)


def _weight(account: _Account) -> tuple[int, int]:
    months = account.months_behind()
    return len(months), -min(months, default=MONTHS)


def _read(view: BorrowerView, store: Store) -> _Account | None:
    now = number_of(BEHIND, view.now_ms)
    behind = {
        now - at: amount for at, amount in zip(store.numbers, store.amounts, strict=True) if 0 <= now - at < MONTHS
    }
    return _Account(behind, now - number_of(BEHIND, store.since)) if store.since else None


def account_months_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """In how many of the last 12 months the account was 30 days or more behind."""
    del loan
    account = _account(view, line)
    return None if account is None else len(account.months_behind())


def account_months_behind_3(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """In how many of the last 3 months the account was 30 days or more behind."""
    del loan
    account = _account(view, line)
    return None if account is None else len(account.months_behind(QUARTER))


def account_share_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Share of the months reported of the last 12 in which the account was 30 days or more behind."""
    del loan
    account = _account(view, line)
    if account is None or not account.behind:
        return None
    return round(len(account.months_behind()) / len(account.behind), 3)


def account_months_since_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Months since the account was last 30 days or more behind, 0 if it is; not known if it never was in 12 months."""
    del loan
    account = _account(view, line)
    return None if account is None else min(account.months_behind(), default=None)


def account_run_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How many months in a row, up to now, the account is 30 days or more behind."""
    del loan
    account = _account(view, line)
    return None if account is None else account.run(0)


def account_longest_run_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The most months in a row of the last 12 in which the account was 30 days or more behind."""
    del loan
    account = _account(view, line)
    return None if account is None else max((account.run(ago) for ago in account.behind), default=0)


def account_months_known(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Months since the first report of the account."""
    del loan
    account = _account(view, line)
    return None if account is None else account.known


def account_months_silent(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Months since the last report of the account as running; not known if there was none in 12 months."""
    del loan
    account = _account(view, line)
    return None if account is None else min(account.behind, default=None)


def account_days_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days past due of the account as last reported within 12 months."""
    del loan
    account = _account(view, line)
    return None if account is None or not account.behind else account.behind[min(account.behind)]


def other_accounts_behind(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How many of the borrower's other accounts were 30 days or more behind within 12 months."""
    del loan
    others = [_read(view, store) for name, store in view.stores(BEHIND) if name != line]
    return sum(bool(account is not None and account.months_behind()) for account in others)


CHARACTERISTICS: tuple[Characteristic, ...] = (
    account_months_behind, account_months_behind_3, account_share_behind, account_months_since_behind,
    account_run_behind, account_longest_run_behind, account_months_known, account_months_silent,
    account_days_behind, other_accounts_behind,
)  # fmt: skip
"""All of them."""
