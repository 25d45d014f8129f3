"""The characteristics of a calibrated scorecard as TOML, and beside each band what it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.engine.characteristics import text_of
from streams.history.calibration.card import points_of
from streams.history.calibration.collecting import EPISODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.history.calibration.fitting import Banding


def sections(bandings: Sequence[Banding]) -> str:
    """The tables `[scorecard.characteristics.NAME]`, the weightiest first."""
    return "\n".join("\n".join(_section(one)) for one in bandings if not one.name.startswith(EPISODE))


def _section(banding: Banding) -> Iterator[str]:
    *within, above, missing = points_of(banding)
    yield f"[scorecard.characteristics.{banding.name}]"
    yield f"# {text_of(banding.name)}"
    yield "bands = ["
    for place, (bound, points) in enumerate(zip(banding.bounds, within, strict=True)):
        yield f"  {{ up_to = {bound:g}, points = {points} }},  # {_made_of(banding, place)}"
    yield "]"
    yield f"above = {above}  # {_made_of(banding, len(within))}"
    yield f"missing = {missing}  # not known: {_made_of(banding, len(within) + 1)}"
    yield ""


def _made_of(banding: Banding, place: int) -> str:
    rows, bad = banding.rows[place], banding.bad[place]
    return f"{rows:,} decisions, {bad / rows:.1%} came true" if rows else "no decisions"
