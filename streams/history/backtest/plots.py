"""The plots of a report, as SVG that can stand within HTML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

INCHES = (6.4, 3.2)
COLOURS = ("#1f5fa8", "#c2571a")
"""The policy, and the one it is held against."""
BINS = 24


def curve_plot(name: str, curves: Mapping[str, Mapping[str, Sequence[float]]], base_rate: float | None) -> str:
    """Precision against recall, a step for each threshold, of each policy."""

    def draw(axes: Axes) -> None:
        for colour, (policy, curve) in zip(COLOURS, curves.items(), strict=False):
            points = [(r, p) for r, p in zip(curve["recall"], curve["precision"], strict=True) if p == p]  # noqa: PLR0124 - not a number
            axes.plot([r for r, _ in points], [p for _, p in points], ".-", color=colour, label=policy)
        if base_rate is not None:
            axes.axhline(base_rate, color="grey", linewidth=0.8, linestyle="--", label="base rate")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(fontsize=8)

    return _svg(f"curve-{name}", draw)


def lead_plot(name: str, leads: Mapping[str, Sequence[float]], horizon_days: int) -> str:
    """How many days before the outcome the first alert came."""

    def draw(axes: Axes) -> None:
        axes.hist(
            list(leads.values()), bins=BINS, range=(0, horizon_days), color=COLOURS[: len(leads)], label=list(leads)
        )
        axes.set(xlabel="days from the first alert to the outcome", ylabel="outcomes", xlim=(0, horizon_days))
        axes.legend(fontsize=8)

    return _svg(f"lead-{name}", draw)


def volume_plot(by_month: Mapping[str, Mapping[str, int]]) -> str:
    """Alerts in each month."""
    months = sorted({month for counts in by_month.values() for month in counts})

    def draw(axes: Axes) -> None:
        width = 0.8 / max(1, len(by_month))
        for index, (policy, counts) in enumerate(by_month.items()):
            places = [at + index * width for at in range(len(months))]
            axes.bar(places, [counts.get(m, 0) for m in months], width, color=COLOURS[index], label=policy)
        step = max(1, len(months) // 12)
        axes.set_xticks(range(0, len(months), step), months[::step], rotation=45, ha="right", fontsize=8)
        axes.set(ylabel="alerts")
        axes.legend(fontsize=8)

    return _svg("volume", draw)


def _svg(name: str, draw: Callable[[Axes], Any]) -> str:
    """Draw without a screen. The same figures give the same bytes, and ids that no other plot of the page has."""
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
