"""The ladder's word on promises is that of the detector, by the same arithmetic."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import PromiseMade
from streams.casework.keeping import window
from streams.casework.ladder import Ladder
from streams.casework.promises import is_kept
from streams.detectors.broken_promise import BrokenPromise
from streams.stores.work import Promise
from tests.builders import ZONE, World, at, engine_of, event, on, opened, paid

LADDER = Ladder.standard()


def promise(made: datetime, due: date, amount: int = 1_000, paid_minor: int = 0) -> Promise:
    """A promise of the borrower."""
    return Promise(
        promise_id="p", case_id="c", borrower="b-1", loan="l-1", currency="CNY", amount_minor=amount, promised_on=due,
        made_at=made, made_by="c-17", paid_minor=paid_minor, changed_at=made,
    )  # fmt: skip


def test_the_ladder_and_the_detector_have_the_same_settings() -> None:
    """The share that keeps a promise, the days of grace, and the detector's name."""
    detector = BrokenPromise()
    assert detector.key == LADDER.promises.detector
    assert detector.kept_share == LADDER.promises.kept_share
    assert detector.grace_days == LADDER.promises.grace_days


@given(st.lists(st.tuples(st.integers(30, 40), st.integers(100, 700)), max_size=4))
@settings(deadline=None, max_examples=60)
def test_kept_here_is_not_broken_there(payments: list[tuple[int, int]]) -> None:
    """Whatever is paid when: exactly those promises are kept that the worker does not call broken."""
    made = promise(at(33), on(36))
    told = event(
        PromiseMade, made.made_at, loan="l-1", promise_id="p", amount_minor=1_000, currency="CNY", promised_on=on(36)
    )
    world = World(engine_of("broken_promise"))
    facts = [opened([30], 100_000, day=0), told, *(paid(day, amount) for day, amount in payments)]
    world.play(*facts, until=45)

    own = window(made, ZoneInfo(ZONE), LADDER)
    counted = sum(amount for day, amount in payments if own.holds(at(day), ZoneInfo(ZONE)))
    kept = is_kept(promise(at(33), on(36), paid_minor=counted), LADDER)

    assert kept == (not [one for one in world.told("broken_promise") if one[1] == "opened"])


@pytest.mark.parametrize(("zone", "first"), [("Asia/Shanghai", date(2026, 3, 3)), ("America/Lima", date(2026, 3, 2))])
def test_a_promise_counts_from_its_local_day(zone: str, first: date) -> None:
    """Which is another one elsewhere."""
    made = promise(datetime(2026, 3, 2, 20, 0, tzinfo=UTC), date(2026, 3, 6))
    own = window(made, ZoneInfo(zone), LADDER)
    assert (first, date(2026, 3, 6) + timedelta(days=1)) == (own.first, own.last)
