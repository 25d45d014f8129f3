"""From weights to whole points: 20 points double the odds, and the watch tier begins at 20 of them as it does by hand.

Tiers are set where the fitted rows reach the recalls of `RECALLS`: the watch tier holds six in ten of those that came
true, critical the quarter that is surest. Detectors that history has nothing of keep the points that they had.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.alerts import Severity
from streams.engine.scorecard import Band, Banded, Scorecard, Severities, Tiers
from streams.history.calibration.collecting import EPISODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.history.calibration.fitting import Banding

DOUBLING = 20
"""Points that double the odds."""
UNIT = DOUBLING / log(2)
RECALLS = {"critical": 0.25, "high": 0.42, "watch": 0.60}
SEEN_MIN = 30
"""Decisions at which an episode was open, from which on history says what it is worth."""


class Fitted(NamedTuple):
    """A scorecard, and what its bands were made of."""

    card: Scorecard
    bandings: Sequence[Banding]


def card_of(
    base: Scorecard,
    bandings: Sequence[Banding],
    names: Sequence[str],
    values: NDArray[np.float64],
    bad: NDArray[np.bool_],
) -> Fitted:
    """The scorecard of these bands and weights, with its base and tiers set on the rows it was fitted on."""
    fitted = {one.name: one for one in bandings}
    episodes = dict(base.episodes)
    for column, name in enumerate(names):
        if name.startswith(EPISODE) and (values[:, column] > 0).sum() >= SEEN_MIN:
            episodes[name.removeprefix(EPISODE)] = _severities(fitted.get(name))
    plain = Scorecard(
        base=0,
        tiers=base.tiers,
        severities=base.severities,
        episodes=episodes,
        characteristics={name: _banded(one) for name, one in fitted.items() if not name.startswith(EPISODE)},
        stances=base.stances,
        recoveries=base.recoveries,
    )
    found = points(plain, names, values)
    watch, high, critical = (_reaching(found, bad, RECALLS[tier]) for tier in ("watch", "high", "critical"))
    shift = Tiers().watch - watch
    high = max(high + shift, Tiers().watch + 1)
    tiers = Tiers(watch=Tiers().watch, high=high, critical=max(critical + shift, high + 1))
    return Fitted(plain.model_copy(update={"base": shift, "tiers": tiers}), bandings)


def points_of(banding: Banding) -> list[int]:
    """The points of each band, of what is above the last, and of what is not known."""
    return [round(UNIT * banding.weight * evidence) for evidence in banding.evidence]


def _banded(banding: Banding) -> Banded:
    *within, above, missing = points_of(banding)
    bands = tuple(Band(up_to=bound, points=n) for bound, n in zip(banding.bounds, within, strict=True))
    return Banded(bands=bands, above=above, missing=missing)


def _severities(banding: Banding | None) -> Severities:
    """The points of an episode by severity, against those of having none; none at all where it told nothing."""
    if banding is None:
        return Severities(info=0, watch=0, high=0, critical=0)
    found = points_of(banding)
    places = banding.places(np.arange(len(Severity) + 1, dtype=np.float64)).tolist()
    none = found[places[0]]
    return Severities(**{severity.value: found[places[severity.rank + 1]] - none for severity in Severity})


def _reaching(found: NDArray[np.int64], bad: NDArray[np.bool_], recall: float) -> int:
    """The highest number of points that so large a share of the bad rows has at least."""
    ordered = np.sort(found[bad])[::-1]
    return int(ordered[min(len(ordered), max(1, int(np.ceil(recall * len(ordered) - 1e-9)))) - 1])


def points(card: Scorecard, names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The score of each row, as `score` would give it."""
    total = np.full(len(values), card.base, dtype=np.int64)
    for column, name in enumerate(names):
        cells, of = np.unique(values[:, column], return_inverse=True)
        total += np.asarray([_points(card, name, cell) for cell in cells.tolist()], dtype=np.int64)[of]
    return total


def _points(card: Scorecard, name: str, cell: float) -> int:
    if name.startswith(EPISODE):
        severities = card.episodes.get(name.removeprefix(EPISODE), card.severities)
        return 0 if not cell else int(getattr(severities, list(Severity)[int(cell) - 1].value))
    banded = card.characteristics.get(name)
    return 0 if banded is None else banded.points_of(None if np.isnan(cell) else cell)
