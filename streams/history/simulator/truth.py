"""What really happened to each simulated loan, and days past due and the overdue rate measured from that alone.

It shares no line with the engine: it is the ruler that tests hold the simulator, and the engine, against.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class DueLine(NamedTuple):
    """An installment of a schedule: its local due day and amount."""

    number: int
    due: int
    amount: int


@dataclass(slots=True)
class Paid:
    """A payment by the day it is valued. `returned` is the day it was sent back, if it was."""

    day: int
    amount: int
    returned: int | None = None

    def is_back_on(self, day: int) -> bool:
        """Whether it has been sent back by the end of a day."""
        return self.returned is not None and self.returned <= day


@dataclass(slots=True)
class LoanTruth:
    """One loan: its schedules in force from a day on, its payments, its end. Days count local days from the first."""

    loan: str
    borrower: str
    zone: str
    currency: str
    unit_minor: int
    """A usual monthly income in that currency: what amounts are divided by where currencies are added up."""
    opened: int
    schedules: list[tuple[int, list[DueLine]]] = field(default_factory=list)
    payments: list[Paid] = field(default_factory=list)
    closed: int | None = None
    charged_off: int | None = None

    def active_on(self, day: int) -> bool:
        """Whether the loan runs at the end of a day."""
        ends = [end for end in (self.closed, self.charged_off) if end is not None]
        return self.opened <= day and not any(end <= day for end in ends)

    def open_lines(self, day: int) -> list[DueLine]:
        """What is unpaid at the end of a day: installments with the amount still open, oldest first."""
        return self._open(day, sum(p.amount for p in self.payments if p.day <= day and not p.is_back_on(day)))

    def _open(self, day: int, paid: int) -> list[DueLine]:
        schedule = [lines for since, lines in self.schedules if since <= day][-1]
        still_open = []
        for line in schedule:
            covered = min(paid, line.amount)
            paid -= covered
            if covered < line.amount:
                still_open.append(line._replace(amount=line.amount - covered))
        return still_open

    def days_past_due(self, day: int) -> int:
        """Days since the oldest unpaid installment fell due; 0 on the due day itself and when nothing is overdue."""
        lines = self.open_lines(day)
        return max(0, day - lines[0].due) if lines else 0

    def outstanding(self, day: int) -> int:
        """All that is still to be paid, due or not, in minor units."""
        return sum(line.amount for line in self.open_lines(day))

    def missed_by(self, day: int) -> int:
        """Days past due before anything is paid on a day: paid on the day after the due date is missed by one.

        A payment that comes back on the day was none.
        """
        if day <= self.opened:
            return 0
        lines = self._open(day - 1, sum(p.amount for p in self.payments if p.day < day and not p.is_back_on(day)))
        return max(0, day - lines[0].due) if lines else 0

    def first_day_past_due(self, days: int, *, past_due: int = 1) -> int | None:
        """The first day from 0 on, before `days`, that begins with the loan so many days past due."""
        last = min([days, *(end for end in (self.closed, self.charged_off) if end is not None)])
        for day in self._interesting_days(max(0, self.opened), last, past_due):
            if self.missed_by(day) >= past_due:
                return day
        return None

    def _interesting_days(self, first: int, last: int, past_due: int) -> list[int]:
        """Days on which days past due can reach a value: dues, schedules, returns, and the window's edge."""
        days = {first}
        for since, lines in self.schedules:
            days.add(since + 1)
            days.update(line.due + past_due for line in lines)
        days.update(p.returned for p in self.payments if p.returned is not None)
        return sorted(day for day in days if first <= day < last)


def overdue_parts(loans: list[LoanTruth], day: int) -> tuple[float, float]:
    """Outstanding at one day past due or more, and of all active loans, at a day's end, in usual monthly incomes."""
    overdue = active = 0.0
    for loan in loans:
        if loan.active_on(day):
            outstanding = loan.outstanding(day) / loan.unit_minor
            active += outstanding
            overdue += outstanding if loan.days_past_due(day) >= 1 else 0.0
    return overdue, active


def overdue_rate(loans: list[LoanTruth], day: int) -> float:
    """The portfolio's overdue rate at the end of a day; 0 where no loan is active."""
    overdue, active = overdue_parts(loans, day)
    return overdue / active if active else 0.0
