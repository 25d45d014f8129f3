from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.run import Plot, Run

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ("worker-killed", "broker-killed", "coordinators-moved", "poison-below-limit")
"""Those that are over quickly; `python -m tests.chaos` has them all."""


@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_three_workers_on_three_brokers_lose_and_repeat_nothing_under_faults(tmp_path: Path) -> None:
    """Workers and a broker are killed, coordinators move, malformed records come: the log is that of its own order."""
    plot = Plot(seed=7, rounds=len(SHORT), kinds=SHORT, borrowers=60, quiet_seconds=(0.2, 1.0))
    report = await Run(plot, tmp_path, print).to_end()
    assert [] == report.faults
    assert report.figures["equal"]
    assert set(SHORT) == set(report.figures["kinds"])
    assert report.figures["alerts"] > 0
    assert report.figures["events_in_the_log"] >= report.figures["events_acknowledged"] > 0
    assert 120 == report.figures["malformed"] == sum(report.figures["dead_letters"].values())
