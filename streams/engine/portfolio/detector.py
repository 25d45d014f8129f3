"""What a detector of the second hop is: a detector like the others, asked once a day about a cohort or a link.

Its settings, documentation and place in the policy are those of every detector; borrower lanes ask it nothing.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from streams.engine.detector import Detector, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.engine.detector import BorrowerView
    from streams.engine.portfolio.cohort import CohortView
    from streams.engine.portfolio.link import LinkView


class PortfolioDetector(Detector):
    """A detector that looks across borrowers."""

    def judge(self, view: BorrowerView) -> Iterator[Finding]:  # noqa: ARG002 - of one borrower it says nothing
        """Says nothing: one borrower is no portfolio."""
        yield from ()


class CohortDetector(PortfolioDetector):
    """A detector of cohorts: what is true of one at the end of a day, with no loan and no onset of its own."""

    listens: ClassVar[frozenset[str]] = frozenset({"ews.cohort.changed.v1"})

    cooldown_days: int = Field(default=7, ge=0, le=365, description="Days of calm before an episode is resolved")

    def judge_cohort(self, view: CohortView) -> Iterator[Finding]:
        """What is true at the end of this day. Must say the same when asked again."""
        raise NotImplementedError  # each detector says it; none is made of this class itself


class LinkDetector(PortfolioDetector):
    """A detector of links: what is true of each borrower behind one, at the end of a day."""

    listens: ClassVar[frozenset[str]] = frozenset({"ews.link.changed.v1"})

    def judge_link(self, view: LinkView) -> Iterator[tuple[str, Finding]]:
        """Borrowers and what is true of them. A finding's `loan` is the link: there is one episode for each."""
        raise NotImplementedError  # the same


def apart(values: Sequence[float], value: float, deviation_min: float) -> float:
    """How many of its own standard deviations (at least `deviation_min`) a value lies above the mean of others."""
    mean = sum(values) / len(values)
    variance = sum((one - mean) ** 2 for one in values) / len(values)
    return (value - mean) / max(sqrt(variance), deviation_min, 1e-9)
