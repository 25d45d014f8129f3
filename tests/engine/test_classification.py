"""The classes that rules give days past due, at each of their edges."""

from __future__ import annotations

import pytest

from streams.engine.classification import classified
from tests.builders import World, engine_of, opened


@pytest.mark.parametrize(
    ("days", "backstop", "china", "india"),
    [
        (0, None, None, None),
        (1, None, "special mention", "SMA-0"),
        (30, None, "special mention", "SMA-0"),
        (31, "stage 2", "special mention", "SMA-1"),
        (60, "stage 2", "special mention", "SMA-1"),
        (61, "stage 2", "special mention", "SMA-2"),
        (89, "stage 2", "special mention", "SMA-2"),
        (90, "stage 3", "special mention", "SMA-2"),
        (91, "stage 3", "substandard", None),
        (120, "stage 3", "substandard", None),
        (121, "stage 3", "doubtful", None),
        (180, "stage 3", "doubtful", None),
        (181, "stage 3", "loss", None),
    ],
)
def test_each_edge_of_the_ladders(days: int, backstop: str | None, china: str | None, india: str | None) -> None:
    """Stage 2 begins after 30 days and stage 3 at 90; China's and India's classes end where their rules say."""
    assert {"ifrs9_backstop": backstop, "china_card": china, "india_sma": india} == classified(days)


def test_an_alert_says_them_of_each_loan() -> None:
    """The alert of the rung at 31 days past due carries the classes of that day."""
    world = World(engine_of("missed_installment")).play(opened([5]), until=40)
    loans = {alert.data.step: alert.data.loans[0] for alert in world.alerts}
    assert ("stage 2", "special mention", "SMA-1") == (
        loans[31].ifrs9_backstop, loans[31].china_card, loans[31].india_sma,
    )  # fmt: skip
    assert loans[1].ifrs9_backstop is None
