"""The labels of a simulated portfolio: when trouble began, and when each loan first fell behind.

Columns, as in any labelled stream: task, borrower, loan, at, t, label, observed_from, observed_until, segment.
`t` is when the outcome became true, empty where it never did. `segment` is the kind of trouble that came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator.almanac import stamp
from streams.history.simulator.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.history.simulator.story import Story
    from streams.history.simulator.truth import LoanTruth

HEADER = "task,borrower,loan,at,t,label,observed_from,observed_until,segment"
TASKS = {"first_miss": 1, "first_31dpd": 31}
"""Tasks for each loan, by the days past due that count; `trouble` is the task for each borrower."""


def label_rows(story: Story, days: int) -> Iterator[str]:
    """One row for the borrower and two for each loan that ran in the file's time."""
    segment = story.kind.trouble if story.kind else Trouble.HEALTHY
    yield _trouble(story, segment)
    for loan in story.loans:
        if _ran(loan):
            for task, past_due in TASKS.items():
                yield _first(story, loan, days, task, past_due, segment)


def _trouble(story: Story, segment: Trouble) -> str:
    """Harmless kinds have label 0 and still say when they began, so that their false alarms can be found."""
    tape = story.life.tape
    began = "" if story.trouble_at is None else stamp(story.trouble_at)
    label = int(story.kind.harmful) if story.kind else 0
    return f"trouble,{story.borrower},,,{began},{label},{stamp(tape.opens)},{stamp(tape.closes)},{segment}"


def _ran(loan: LoanTruth) -> bool:
    end = min((end for end in (loan.closed, loan.charged_off) if end is not None), default=0)
    return end >= 0


def _first(story: Story, loan: LoanTruth, days: int, task: str, past_due: int, segment: Trouble) -> str:
    life = story.life
    found = loan.first_day_past_due(days, past_due=past_due)
    known = "" if found is None else stamp(life.at(found, 0))
    ends = [end for end in (loan.closed, loan.charged_off) if end is not None]
    observed = f"{stamp(life.at(max(0, loan.opened), 0))},{stamp(life.at(min([*ends, days]), 0))}"
    return f"{task},{loan.borrower},{loan.loan},,{known},{int(found is not None)},{observed},{segment}"
