"""All figures of one run, or of two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from streams.history.backtest.ground import Measured
from streams.history.backtest.resample import Figure, figure
from streams.history.backtest.segments import segment_figures, trouble_figures
from streams.history.backtest.tasks import task_figures
from streams.history.backtest.volume import healthy_figures, volume_figures

if TYPE_CHECKING:
    from streams.history.backtest.ground import Ground, Path, Run


class Compared(NamedTuple):
    """A statistic of both policies, and of the first less the second."""

    policy: Figure
    against: Figure
    difference: Figure


def measure(ground: Ground, run: Run) -> Measured:
    """Measure one run."""
    into = Measured({}, {})
    for task in ground.tasks:
        task_figures(ground, run, task, into)
    volume_figures(ground, run, into)
    healthy_figures(ground, run, into)
    segment_figures(ground, run, into)
    trouble_figures(ground, run, into)
    return into


def figures(measured: Measured) -> dict[Path, Figure]:
    """Each statistic with its interval."""
    return {path: figure(vector) for path, vector in measured.vectors.items()}


def compared(first: Measured, second: Measured) -> dict[Path, Compared]:
    """Each statistic of two runs. The difference is taken within each resample: both had the same borrowers."""
    nothing = Figure(None, None, None)
    found = {}
    for path in first.vectors | second.vectors:
        mine, other = first.vectors.get(path), second.vectors.get(path)
        both = mine is not None and other is not None
        found[path] = Compared(
            nothing if mine is None else figure(mine),
            nothing if other is None else figure(other),
            figure(mine - other) if both and mine is not None and other is not None else nothing,
        )
    return found


def nested(flat: dict[Path, Any]) -> dict[str, Any]:
    """Paths as objects within objects, for JSON."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        place = tree
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return tree
