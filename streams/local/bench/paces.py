"""At which rates the latency of which variant is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.local.bench.variants import LOOP, PRODUCT, STREAMS_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.local.bench.figures import Summary

PACED = (STREAMS_ONCE, LOOP, PRODUCT)
"""What runs exactly once and is worth comparing."""
HALF = 2


def paces(results: Iterable[Summary], *, own: bool = True) -> list[tuple[str, float]]:
    """Variant and events a second: each at half of what the slowest can do, then (`own`) at half of what it can itself.

    At the same rate they are compared; at its own a variant shows what its speed is worth.
    """
    rates = {result.variant: result.rate / HALF for result in results if result.variant in PACED}
    if not rates:
        return []
    same = min(rates.values())
    paced = [(variant, same) for variant in rates]
    return paced + [(variant, rate) for variant, rate in rates.items() if own and rate > same]
