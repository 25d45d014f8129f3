from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days, midnight_ms
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import LAST_MAX, Kind, Measure, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode

SCORE = "ews.score.reported.v1"
FICO_BANDS = (580, 670, 740, 800)


class Drop(NamedTuple):
    """The score that fell and the one that it fell to, of one model."""

    model: str
    was: Seen
    now: Seen

    @property
    def points(self) -> int:
        """How far it fell."""
        return self.was.what - self.now.what


class ScoreDrop(Detector):
    """A bureau score has lost 40 points within 30 days, or a band, by the same model.

    Why: the score sums up what the borrower does with all lenders; a fall says that something broke elsewhere.
    Settings: lower `points_min` warns earlier; `bands` are the lower bounds by model ('' stands for every other one),
    and a band counts as lost only with `band_points_min`, because next to a bound every wobble crosses it.
    Known false alarms: a new version of the model under the old name; a mortgage just taken out.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: look up the reasons that came with the score, and what changed at other lenders.
    Source: assumption (40 points, 30 days, a band); the default bands are those of FICO scores. The score in force when
    the 30 days began counts, because many bureaus report quarterly.
    """

    key: ClassVar[str] = "score_drop"
    listens: ClassVar[frozenset[str]] = frozenset({SCORE})
    first_step: ClassVar[str] = "Look up the reasons that came with the score, and what changed at other lenders."

    points_min: int = Field(default=40, ge=1, le=1000)
    high_points: int = Field(default=80, ge=1, le=1000, description="From which on it is high")
    band_points_min: int = Field(default=20, ge=1, le=1000, description="The least fall for a band to count as lost")
    bands: tuple[tuple[str, tuple[int, ...]], ...] = (("", FICO_BANDS),)
    window_days: int = Field(default=30, ge=1, le=180)
    stale_days: int = Field(default=120, ge=1, le=365, description="A score so much older is not compared with")
    cooldown_days: int = Field(default=60, ge=0, le=365)

    def measures(self) -> tuple[Measure, ...]:
        """The latest scores of each model."""
        return (self._scores,)

    @cached_property
    def _scores(self) -> Measure:
        return Measure("scores", SCORE, Kind.LAST, 365, value="value", per="model")

    def _drops(self, view: BorrowerView, at_ms: int) -> list[Drop]:
        """The drops that count as of an instant, the deepest first."""
        found = []
        for model, store in sorted(view.stores(self._scores)):
            seen = [score for score in store.seen if score.at <= at_ms]
            since = next((n for n in range(len(seen) - 1, 0, -1) if seen[n].at <= at_ms - self.window_days * DAY_MS), 0)
            before = [x for x in seen[since:-1] if seen[-1].at - x.at <= self.stale_days * DAY_MS]
            if before:
                found.append(Drop(model, max(before, key=lambda score: score.what), seen[-1]))
        return sorted((drop for drop in found if self._counts(drop)), key=lambda drop: -drop.points)

    def _counts(self, drop: Drop) -> bool:
        return drop.points >= self.points_min or (drop.points >= self.band_points_min and self._loses_band(drop))

    def _loses_band(self, drop: Drop) -> bool:
        bands = dict(self.bands)
        bounds = bands.get(drop.model, bands.get("", ()))
        return bisect_right(bounds, drop.now.what) < bisect_right(bounds, drop.was.what)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The deepest drop of the last days."""
        for drop in self._drops(view, view.now_ms)[:1]:
            high = drop.points >= self.high_points
            band = " and lost a band" if self._loses_band(drop) else ""
            threshold = self.high_points if high else min(self.points_min, drop.points)
            window = iso_days(self.window_days)
            yield Finding(
                "",
                None,
                2 if high else 1,
                Severity.HIGH if high else Severity.WATCH,
                f"The score {drop.model} fell by {drop.points} points from {drop.was.what}{band}.",
                (
                    alerts.Measure(name="score_drop", value=drop.points, threshold=threshold, window=window),
                    alerts.Measure(name="score", value=drop.now.what),
                    alerts.Measure(name="bands_lost", value=int(self._loses_band(drop)), threshold=1),
                ),
                (drop.was.event, drop.now.event),
            )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the next score becomes the one in force at the window's begin."""
        if view.episode(self.key, "") is not None:
            ends = [x.at + self.window_days * DAY_MS for _, store in view.stores(self._scores) for x in store.seen[1:]]
            ahead = [at for at in ends if at > view.now_ms]
            if ahead:
                yield Wakeup(min(ahead))

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if the scores that are known by now show no drop on its first day; else it has passed."""
        first_ms = midnight_ms(episode.onset + 1, view.zone) - 1
        kept = [store.seen for _, store in view.stores(self._scores) if store.seen]
        reaches = all(len(x) < LAST_MAX or x[0].at <= first_ms - self.window_days * DAY_MS for x in kept)
        if kept and reaches and not self._drops(view, first_ms):
            return ended(episode, "disproved", "Scores that came later show that it had not fallen so far.")
        return ended(episode, "recovered", f"The score has not fallen any further for {self.window_days} days.")
