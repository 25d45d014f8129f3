"""The comparison as a picture: events a second of each variant, and its latency where that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from streams.local.bench.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from streams.local.bench.figures import Summary
    from streams.local.bench.latency import Latency

COLOURS = {"exactly once": "#1f6f8b", "at least once": "#b8c4cc"}
TITLES = {variant.key: variant.title for variant in VARIANTS}
GUARANTEES = {variant.key: variant.guarantee for variant in VARIANTS}


def draw(file: Path, results: Sequence[Summary], latencies: Sequence[Latency]) -> None:
    """Writes a PNG or SVG, as the file's name ends."""
    with mpl.rc_context({"svg.hashsalt": "ews"}):
        figure = Figure(figsize=(10, 3 + 0.35 * (len(results) + len(latencies))), layout="constrained")
        rows = figure.subplots(2 if latencies else 1, 1, squeeze=False)
        _rates(rows[0, 0], results)
        if latencies:
            _latencies(rows[1, 0], latencies)
        figure.savefig(file)


def _rates(axes: Axes, results: Sequence[Summary]) -> None:
    names = [f"{TITLES[result.variant]}\n{GUARANTEES[result.variant]}" for result in results]
    colours = [COLOURS[GUARANTEES[result.variant]] for result in results]
    bars = axes.barh(names, [result.rate for result in results], color=colours)
    axes.bar_label(bars, labels=[f" {result.rate:,.0f}" for result in results], fontsize=8)
    for row, result in enumerate(results):
        axes.plot(result.rates, [row] * len(result.rates), "k.", markersize=4)
    axes.invert_yaxis()
    axes.set_xlabel("events a second (median; a dot is a run)")
    axes.tick_params(labelsize=8)


def _latencies(axes: Axes, latencies: Sequence[Latency]) -> None:
    names = [f"{TITLES[one.variant]}\nat {one.rate:,.0f} events/s" for one in latencies]
    axes.barh(names, [one.p99_ms for one in latencies], color="#d98c5f", label="p99")
    axes.barh(names, [one.p50_ms for one in latencies], color="#1f6f8b", label="p50")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds from event to alert")
    axes.legend(fontsize=8)
    axes.tick_params(labelsize=8)
