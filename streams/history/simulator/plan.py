"""What to simulate: how many borrowers, how long, from which seed, and how untidy the events are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

PAST_DAYS = 300
"""Lives begin so many days before the file does, so that it opens on a portfolio in its steady state."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A portfolio. The same plan gives the same bytes, and a borrower does not depend on how many others there are."""

    borrowers: int = 1_000
    days: int = 180
    seed: int = 1
    start: date = date(2025, 1, 1)
    late: float = 0.002
    """Share of transactions and bureau events that become known days after they occurred."""
    out_of_order: float = 0.01
    """Share of events that become known minutes after they occurred, behind newer ones."""
    duplicates: float = 0.003
    """Share of events that are sent twice."""
    malformed: float = 0.0002
    """Malformed lines for each good one."""
    rare: int = 0
    """So many borrowers more, each with something rare (streams.history.simulator.rare)."""

    @property
    def people(self) -> int:
        """All borrowers, the rare ones last."""
        return self.borrowers + self.rare
