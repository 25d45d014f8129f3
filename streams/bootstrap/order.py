"""Puts the repeat of an order together: the topics of the settings, the engine of a policy file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from streams.bootstrap.policy import load_engine
from streams.history.order_log import Repeated, Watch, repeat_lanes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.engine.engine import Engine
    from streams.settings import Settings


async def repeat_order(
    settings: Settings,
    policy_file: Path | None,
    on_alert: Callable[[bytes], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    states: bool = False,
) -> Repeated:
    """Repeat what the workers of these topics applied, in their order, and compare byte for byte.

    `on_alert` is given each alert, lane by lane; `progress` how many more records were applied, and the event time that
    was reached; `states` compares the resulting states with the changelog too. Raises Unavailable if a record that is
    needed is gone, Misconfigured if the policy is not the one that the order was made with.
    """

    @cache
    def engine_of(live_from_ms: int | None) -> Engine:
        return load_engine(policy_file, live_from_ms)

    watch = Watch(on_alert or _nobody, progress or _nobody)
    return await repeat_lanes(settings, engine_of, watch, states=states)


def _nobody(*_: object) -> None:
    """Hears nothing."""
