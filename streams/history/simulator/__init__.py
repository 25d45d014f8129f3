"""Simulated portfolios: borrowers' lives with seeded trouble, as events and labels. It knows nothing of any detector.

`simulate` writes files; `tell` gives one borrower's story for tests.
"""

from streams.history.simulator.plan import Plan
from streams.history.simulator.portfolio import Summary, simulate
from streams.history.simulator.story import Story, tell
from streams.history.simulator.truth import LoanTruth, overdue_rate

__all__ = ["LoanTruth", "Plan", "Story", "Summary", "overdue_rate", "simulate", "tell"]
