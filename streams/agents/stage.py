"""The stages of the product: which topics a worker's lanes drain, and where they keep what they know."""

from __future__ import annotations

from dataclasses import dataclass

from schemas import topics
from schemas.events import Topic


@dataclass(frozen=True, slots=True)
class Stage:
    """One hop of the stream. Workers of a stage share its lanes; each stage has a group and transactions of its own."""

    name: str
    sources: tuple[str, ...]
    """The topics that a lane drains."""
    state: str
    """The changelog of its states."""
    order: str
    """Where it notes what it applied in which order."""
    outbound: tuple[str, ...]
    """Topics that its transactions may write into partitions of other lanes."""
    heartbeats: bool = False
    """Whether its lanes take up the heartbeats of sources."""
    suffix: str = ""
    """What its group and transactional ids end with, after those of the installation."""

    @property
    def written(self) -> tuple[str, ...]:
        """All topics that its transactions write."""
        return tuple(dict.fromkeys((self.state, topics.ALERTS, topics.DEAD_LETTERS, self.order, *self.outbound)))

    @property
    def used(self) -> tuple[str, ...]:
        """All topics that its workers read or write."""
        feeds = (Topic.FEEDS,) if self.heartbeats else ()
        return (*self.sources, *feeds, topics.POLICIES, *self.written)


BORROWERS = Stage(
    "borrowers",
    tuple(map(str, topics.SOURCES)),
    topics.STATE,
    topics.ORDER,
    outbound=(topics.COHORTS, topics.LINKS),
    heartbeats=True,
)
PORTFOLIO = Stage(
    "portfolio",
    (topics.COHORTS, topics.LINKS),
    topics.PORTFOLIO_STATE,
    topics.PORTFOLIO_ORDER,
    outbound=(topics.ALERTS,),
    suffix="-portfolio",
)
STAGES = {stage.name: stage for stage in (BORROWERS, PORTFOLIO)}
