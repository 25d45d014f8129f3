"""Alerts against labels: which of them were right, which outcomes they came before, and by how much.

An alert counts for a label row of its borrower, and of its loan where both name one, by when it was raised:

- `right`: the outcome (label 1) came within the horizon after it;
- `wrong`: no outcome came within the horizon, and the row was observed that long (or its loan ended before);
- `after`: the outcome was there already: no warning, and no false alarm;
- `open`: the row was not observed long enough.

One that counts for several rows is what comes first in that order. One that counts for none is not measured.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from streams.engine.calendar import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.history.backtest.labels import Label
    from streams.history.backtest.raised import Raised


class Verdict(IntEnum):
    """What an alert was worth; the lower one decides where it counts for several rows."""

    RIGHT = 0
    WRONG = 1
    AFTER = 2
    OPEN = 3


@dataclass(slots=True)
class Matched:
    """Alerts and outcomes, each with the borrower that they belong to."""

    verdicts: dict[Verdict, list[str]] = field(default_factory=lambda: {verdict: [] for verdict in Verdict})
    outcomes: list[str] = field(default_factory=list)
    """Of whom there is an outcome, once for each."""
    leads: list[tuple[str, float]] = field(default_factory=list)
    """Of whom there is an outcome that an alert came before, and by how many days the first one did."""


def has_outcome(label: Label) -> bool:
    """Whether a row says of something that it came true while the row was observed, and when."""
    return label.label and label.t_ms is not None and (label.from_ms is None or label.t_ms >= label.from_ms)


def matched(
    alerts: Iterable[tuple[int, Raised]],
    labels: Sequence[Label],
    horizon_days: int,
    ended_ms: Mapping[tuple[str, str], int],
) -> Matched:
    """Hold alerts against the rows of one task."""
    horizon_ms = horizon_days * DAY_MS
    rows: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        rows[label.borrower].append(label)
    found = Matched(outcomes=[label.borrower for label in labels if has_outcome(label)])
    first: dict[int, tuple[str, float]] = {}
    for at_ms, alert in sorted(alerts, key=_moment):
        verdicts = []
        for label in rows.get(alert.borrower, ()):
            verdict = _verdict(label, alert, at_ms, horizon_ms, ended_ms)
            if verdict is Verdict.RIGHT and has_outcome(label) and label.t_ms is not None:
                first.setdefault(label.line, (label.borrower, (label.t_ms - at_ms) / DAY_MS))
            if verdict is not None:
                verdicts.append(verdict)
        if verdicts:
            found.verdicts[min(verdicts)].append(alert.borrower)
    found.leads = list(first.values())
    return found


def _moment(alert: tuple[int, Raised]) -> int:
    return alert[0]


def _verdict(
    label: Label, alert: Raised, at_ms: int, horizon_ms: int, ended_ms: Mapping[tuple[str, str], int]
) -> Verdict | None:
    if label.loan is not None and alert.loan is not None and label.loan != alert.loan:
        return None
    if label.label and label.t_ms is not None and 0 < label.t_ms - at_ms <= horizon_ms:
        return Verdict.RIGHT
    if label.at_ms is not None:
        return _verdict_of_decision(label, at_ms, horizon_ms)
    assert label.from_ms is not None
    assert label.until_ms is not None
    if not label.from_ms <= at_ms <= label.until_ms:
        return None
    if label.label and label.t_ms is not None:
        return Verdict.AFTER if label.t_ms <= at_ms else Verdict.WRONG
    observed = label.until_ms - at_ms >= horizon_ms or (label.borrower, label.loan or "") in ended_ms
    return Verdict.WRONG if observed else Verdict.OPEN


def _verdict_of_decision(label: Label, at_ms: int, horizon_ms: int) -> Verdict | None:
    """A row that is decided on once says something of the time around its outcome, as far as the horizon."""
    if label.t_ms is None or abs(label.t_ms - at_ms) > horizon_ms:
        return None
    if not label.label:
        return Verdict.WRONG if at_ms < label.t_ms else None
    return Verdict.AFTER
