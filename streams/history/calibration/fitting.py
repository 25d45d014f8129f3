"""From rows of numbers with what came of them to bands and weights: optimal binning, then a logistic regression.

A band's evidence is the logarithm of its odds against those of all rows, drawn towards them as if it had held a few
rows more, so that a band of twenty rows does not decide. The regression weighs the evidence of the characteristics
against each other. A weight below 0 would turn evidence round; such a characteristic is left out, and the rest is
fitted anew: each band's points then mean what they look like.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streams.errors import Misconfigured
from streams.history.calibration.collecting import EPISODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BANDS_MAX = 5
BAND_SHARE_MAX = 0.05
BAND_SHARE_MIN = 0.001
BAND_BAD_SHARE = 0.02
"""A band holds at least this share of the rows that came true (and at least as many as `BAND_BAD_MIN`)."""
BAND_BAD_MIN = 1
DRAWN_BAD = 3.0
"""As many bad rows (and good ones to match) are added to each band: what a small band says is drawn to the average."""
DRAWN_ROWS_MAX = 60
"""But no more rows than this: where one row in 300 comes true, 900 would level the few bands that matter."""
VALUE_MIN = 0.02
"""The information value from which on a characteristic is looked at: below it is noise by the usual reading."""
NOISE = 2.0
"""And as many times what so many bands of so many rows would have by chance."""
STRENGTH = 0.05
"""The C of the regression: small, since what is told apart by a score is similar to begin with."""
WEIGHT_MIN = 0.02
BAD_MIN = 20
FREE = frozenset({"due_day_of_month"})
"""Characteristics whose risk need not rise or fall all along: paydays come round."""
INSTALL = "uv pip install 'delinquency-early-warning[calibrate]'"


class Banding(NamedTuple):
    """A characteristic cut into bands: rows and bad rows of each, then those above the last, then those not known."""

    name: str
    bounds: tuple[float, ...]
    rows: tuple[int, ...]
    bad: tuple[int, ...]
    evidence: tuple[float, ...]
    weight: float = 0.0

    def places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The band of each value."""
        found = np.searchsorted(np.asarray(self.bounds), values, side="left")
        return np.where(np.isnan(values), len(self.bounds) + 1, found)

    def evidence_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The evidence of each value."""
        return np.asarray(self.evidence)[self.places(values)]

    @property
    def value(self) -> float:
        """The information value: how far the bands lie apart, weighed by what is in them."""
        bad, rows = np.asarray(self.bad, dtype=float), np.asarray(self.rows, dtype=float)
        share = bad / max(1.0, bad.sum()) - (rows - bad) / max(1.0, (rows - bad).sum())
        return float((share * np.asarray(self.evidence)).sum())


def require_library() -> tuple[Any, Any]:
    """The binning and the regression of the optional libraries. Raises Misconfigured with the command to get them."""
    # A solver that is not used here says on standard error that it cannot be loaded beside another one.
    logging.getLogger("__cvxpy__").addFilter(lambda _record: False)
    try:
        from optbinning import OptimalBinning  # noqa: PLC0415 - optional, and slow to import
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - the same
    except ImportError as error:
        raise Misconfigured(f"calibrating needs optbinning ({error}): {INSTALL}") from None
    return OptimalBinning, LogisticRegression


def fit(names: Sequence[str], values: NDArray[np.float64], bad: NDArray[np.bool_], most: int) -> list[Banding]:
    """The characteristics that tell the rows apart, at most so many, with bands and weights, the weightiest first.

    Raises Misconfigured if too few rows came true, or none of the characteristics says anything.
    """
    binning, regression = require_library()
    if bad.sum() < BAD_MIN or (~bad).sum() < BAD_MIN:
        raise Misconfigured(
            f"{int(bad.sum())} of {len(bad)} decisions to fit on came true; at least {BAD_MIN} of either kind are "
            "needed: give more labels, or a larger --split"
        )
    found = [banded(binning, name, values[:, column], bad) for column, name in enumerate(names)]
    column_of = {name: column for column, name in enumerate(names)}
    chance = NOISE * (1 / bad.sum() + 1 / (~bad).sum())
    kept = [one for one in found if one is not None and one.value >= max(VALUE_MIN, chance * len(one.bounds))]
    while kept:
        evidence = np.column_stack([one.evidence_of(values[:, column_of[one.name]]) for one in kept])
        weights = regression(C=STRENGTH, max_iter=1_000).fit(evidence, bad).coef_[0]
        kept = [one._replace(weight=float(weight)) for one, weight in zip(kept, weights, strict=True)]
        matter = weights * evidence.std(axis=0)
        out = _leaves(kept, matter, most)
        if not out:
            order = np.argsort(-matter, kind="stable")
            return [kept[place] for place in order.tolist()]
        kept = [one for one in kept if one.name not in out]
    raise Misconfigured("nothing that is known at these decisions tells those that came true from the others")


def _leaves(kept: Sequence[Banding], matter: NDArray[np.float64], most: int) -> set[str]:
    """What is left out next: all that would turn evidence round, else the least of what is too much."""
    turned = {one.name for one in kept if one.weight < WEIGHT_MIN}
    if turned or len(kept) <= most:
        return turned
    return {kept[int(matter.argmin())].name}


def banded(binning: Any, name: str, column: NDArray[np.float64], bad: NDArray[np.bool_]) -> Banding | None:
    """Cut one characteristic into bands; None if there is nothing to cut."""
    known = ~np.isnan(column)
    if len(np.unique(column[known])) < 2 or len(np.unique(bad[known])) < 2:  # noqa: PLR2004 - one value is no band
        return None
    share = min(BAND_SHARE_MAX, max(BAND_SHARE_MIN, float(bad.mean()) / 4))
    cut = binning(
        dtype="numerical",
        monotonic_trend="ascending" if name.startswith(EPISODE) else None if name in FREE else "auto_asc_desc",
        max_n_bins=BANDS_MAX,
        min_prebin_size=share,
        min_bin_size=share,
        min_bin_n_event=max(BAND_BAD_MIN, int(bad.sum() * BAND_BAD_SHARE)),
        time_limit=20,
    ).fit(column[known], bad[known].astype(np.int64))
    bounds = tuple(_readable(bound, column[known]) for bound in np.asarray(cut.splits, dtype=float).tolist())
    return counted(name, tuple(sorted(set(bounds))), column, bad) if bounds else None


def _readable(bound: float, values: NDArray[np.float64]) -> float:
    """The largest value that lies below a bound: a number that occurs, and that a person can read."""
    return float(values[values < bound].max())


def counted(name: str, bounds: tuple[float, ...], column: NDArray[np.float64], bad: NDArray[np.bool_]) -> Banding:
    """The rows of each band and what they say."""
    empty = Banding(name, bounds, (), (), ())
    places = empty.places(column)
    rows = np.bincount(places, minlength=len(bounds) + 2)
    came = np.bincount(places[bad], minlength=len(bounds) + 2)
    base = float(bad.mean())
    drawn = min(DRAWN_BAD / base, DRAWN_ROWS_MAX)
    share = (came + drawn * base) / (rows + drawn)
    evidence = np.log(share / (1 - share)) - np.log(base / (1 - base))
    return empty._replace(rows=tuple(rows.tolist()), bad=tuple(came.tolist()), evidence=tuple(evidence.tolist()))
