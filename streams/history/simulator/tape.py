"""What the sources write down of one life: CloudEvents as plain dictionaries, and the account that books them."""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.history.simulator.almanac import stamp

SERVICING = "servicing/core"
BANK = "bank/alpha"
BUREAU = "bureau/one"
DIALLER = "contacts/dialler"
FEEDS = (SERVICING, BANK, BUREAU, DIALLER)
"""The sources of a simulated portfolio. Each sends heartbeats."""

OWN_LENDER = "own"
"""The token of the lender whose portfolio this is, in inquiries and as a counterparty."""

TRANSACTION = "ews.transaction.booked.v1"


class Row(NamedTuple):
    """An event with what orders it: when it became known, its source and id."""

    available: int
    source: str
    id: str
    event: dict[str, Any]


class Tape:
    """The events of one borrower between `opens` and `closes` (epoch seconds). What happens outside leaves no event."""

    __slots__ = ("borrower", "closes", "count", "opens", "rows")

    def __init__(self, borrower: str, opens: int, closes: int) -> None:
        self.borrower = borrower
        self.opens = opens
        self.closes = closes
        self.rows: list[Row] = []
        self.count = 0

    def add(self, source: str, kind: str, at: int, data: dict[str, Any], recorded: int | None = None) -> None:
        """Write down a fact of `at`, which became known at `recorded` if that is later."""
        self.count += 1
        if at < self.opens or (recorded or at) >= self.closes:
            return
        name = f"{self.borrower}-{self.count}"
        event = {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": kind,
            "subject": self.borrower,
            "time": stamp(at),
            "data": data,
        }
        if recorded is not None:
            event["recordedtime"] = stamp(recorded)
        self.rows.append(Row(recorded or at, source, name, event))


class Account:
    """The borrower's current account: what moves the balance is a booked transaction."""

    __slots__ = ("balance", "currency", "tape", "token")

    def __init__(self, tape: Tape, token: str, currency: str, balance: int) -> None:
        self.tape = tape
        self.token = token
        self.currency = currency
        self.balance = balance

    def credit(self, at: int, amount: int, *, purpose: str | None = None, counterparty: str | None = None) -> None:
        """Money comes in."""
        self.balance += amount
        self._book(at, amount, "CRDT", purpose, None, counterparty)

    def debit(
        self,
        at: int,
        amount: int,
        *,
        purpose: str | None = None,
        mcc: str | None = None,
        counterparty: str | None = None,
    ) -> None:
        """Money goes out. Whether it may is for the caller to ask."""
        self.balance -= amount
        self._book(at, amount, "DBIT", purpose, mcc, counterparty)

    def _book(
        self, at: int, amount: int, indicator: str, purpose: str | None, mcc: str | None, counterparty: str | None
    ) -> None:
        tape = self.tape
        data: dict[str, Any] = {
            "account": self.token,
            "transaction_id": f"t{tape.count + 1}",
            "amount_minor": amount,
            "currency": self.currency,
            "indicator": indicator,
            "balance_after_minor": self.balance,
        }
        if purpose:
            data["purpose"] = purpose
        if mcc:
            data["mcc"] = mcc
        if counterparty:
            data["counterparty_token"] = counterparty
        tape.add(BANK, TRANSACTION, at, data)
