"""When Python's garbage collector looks.

Nearly all that the engine makes is freed at once when nobody holds it; what lives on (states, wake-ups) refers to
nothing that refers back. With the collector's own thresholds a third of the time went into looking for cycles there.
"""

from __future__ import annotations

import gc

ALLOCATIONS = 50_000
"""New objects between two looks at the young ones; Python's own is 700."""
GENERATIONS = 20
"""Looks at one generation before the next older one is looked at too."""


def collect_seldom() -> None:
    """The collector looks seldom from now on."""
    gc.set_threshold(ALLOCATIONS, GENERATIONS, GENERATIONS)
