"""From what the second hop's detectors find to alerts, by the same rules for episodes as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.engine.borrower import Borrower
from streams.engine.calendar import DAY_MS
from streams.engine.detector import BorrowerView
from streams.engine.episodes import Scene, by_policy, reconcile, retire
from streams.engine.portfolio.cohort import view_of
from streams.engine.portfolio.detector import CohortDetector, LinkDetector, PortfolioDetector
from streams.engine.portfolio.link import LinkView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.alerts import Alert, Mode
    from streams.engine.detector import Detector
    from streams.engine.portfolio.cohort import Cohort
    from streams.engine.portfolio.link import Link

SOURCE = "ews/portfolio"
"""The source of the second hop's alerts, by which they can be told from those of borrower lanes."""


class Rules(NamedTuple):
    """The detectors of the second hop as one policy sets them."""

    version: str
    cohorts: Sequence[CohortDetector]
    links: Sequence[LinkDetector]
    idle: Sequence[Detector] = ()
    """Those that are turned off: what they have open ends."""


def rules_of(version: str, detectors: Sequence[Detector]) -> Rules:
    """Those of a policy's detectors that look across borrowers."""
    return Rules(
        version,
        [d for d in detectors if isinstance(d, CohortDetector) and d.enabled],
        [d for d in detectors if isinstance(d, LinkDetector) and d.enabled],
        [d for d in detectors if isinstance(d, PortfolioDetector) and not d.enabled],
    )


class Close(NamedTuple):
    """The end of a day at which something is judged."""

    day: int
    mode: Mode

    @property
    def at_ms(self) -> int:
        """The midnight (UTC) after it."""
        return (self.day + 1) * DAY_MS


def judge_cohort(rules: Rules, name: str, cohort: Cohort, close: Close) -> Iterator[Alert]:
    """Settle a cohort for a day, judge it and make the day its history."""
    cohort.settle(close.day)
    view = view_of(name, cohort, close.day)
    owner = Borrower(episodes=cohort.episodes)
    scene = _scene(rules, name, owner, close)
    alerts = [*_retired(rules, scene)]
    for detector in rules.cohorts:
        alerts += reconcile(scene, detector, list(detector.judge_cohort(view)))
    yield from (_signed(alert, scope="cohort") for alert in alerts)
    cohort.episodes = owner.episodes
    cohort.close(close.day)


def judge_link(rules: Rules, name: str, link: Link, close: Close) -> Iterator[Alert]:
    """Settle a link for a day and judge what its borrowers have in common."""
    link.settle(close.day)
    view = LinkView(name, close.day, link.members)
    said = [(detector, dict(detector.judge_link(view))) for detector in rules.links]
    for borrower in sorted({borrower for _, findings in said for borrower in findings} | link.episodes.keys()):
        owner = Borrower(episodes=link.episodes.get(borrower, []))
        scene = _scene(rules, borrower, owner, close)
        alerts = [*_retired(rules, scene)]
        for detector, findings in said:
            alerts += reconcile(scene, detector, [findings[borrower]] if borrower in findings else [])
        link.episodes[borrower] = owner.episodes
        # In the place of the loan stood the link: there is one episode for each.
        yield from (_signed(alert, loan=None) for alert in alerts)
    link.close()


def _retired(rules: Rules, scene: Scene) -> Iterator[Alert]:
    """The last word on what detectors have open that a policy has turned off since."""
    for detector in rules.idle:
        for episode in scene.borrower.episodes:
            if episode.is_open and episode.detector == detector.key:
                yield retire(scene, detector, episode, by_policy(scene, "turned this detector off"))


def _signed(alert: Alert, **data: str | None) -> Alert:
    return alert.model_copy(update={"source": SOURCE, "data": alert.data.model_copy(update=data)})


def _scene(rules: Rules, subject: str, owner: Borrower, close: Close) -> Scene:
    view = BorrowerView(owner, close.at_ms, _complete)
    return Scene(subject, owner, view, close.at_ms, rules.version, close.mode)


def _complete(_source: str) -> int:
    return 2**63 - 1
