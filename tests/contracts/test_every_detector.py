"""What every detector must keep to: one suite over every file of `streams/detectors`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

import streams.detectors
from schemas.alerts import Severity
from streams.bootstrap.policy import detector_class, detector_keys
from streams.engine.borrower import Borrower, restore, snapshot
from streams.engine.calendar import ms_of
from streams.engine.detector import BorrowerView, Detector
from streams.engine.feeds import FOREVER
from streams.engine.policy import Policy
from tests.builders import World, at, engine_of
from tests.engine.lives import LAST_DAY, lives

if TYPE_CHECKING:
    from schemas.events import Event

every = pytest.mark.parametrize("key", detector_keys())
modest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def view_of(borrower: Borrower, day: float) -> BorrowerView:
    """What a detector sees on a day when every source is complete."""
    return BorrowerView(borrower, ms_of(at(day)), lambda _: FOREVER, Policy())


def detector_of(key: str) -> Detector:
    """The detector with its defaults."""
    return detector_class(key)()


def test_each_file_is_a_detector() -> None:
    """The keys are the names of the files, and there are the eight of the catalogue."""
    files = {path.stem for path in Path(streams.detectors.__path__[0]).glob("[a-z]*.py")}
    assert files == set(detector_keys())
    catalogue = {
        "missed_installment", "partial_payment", "returned_payment", "first_payment_default", "payment_ratio_drop",
        "income_missing", "drain_after_miss", "multi_lending_spike",
    }  # fmt: skip
    assert catalogue <= files


@every
def test_its_key_is_the_name_of_its_file_and_class(key: str) -> None:
    """File, key and class have one name."""
    detector = detector_class(key)
    assert key == detector.key
    assert key == "".join(f"_{c.lower()}" if c.isupper() else c for c in detector.__name__).lstrip("_")


@every
def test_it_is_documented(key: str) -> None:
    """It says why, what its settings do, when it is wrong, what to do first and where its numbers come from."""
    text = detector_class(key).__doc__ or ""
    for part in ("Why:", "Settings:", "Known false alarms:", "First step:", "Source"):
        assert part in text
    assert detector_class(key).first_step.endswith(".")
    assert len(text.strip().splitlines()[0]) > 20


@every
def test_its_settings_cannot_be_changed_or_misspelt(key: str) -> None:
    """Defaults are immutable, unknown settings are refused, and nothing mutable is shared."""
    detector = detector_of(key)
    with pytest.raises(ValidationError):
        detector.enabled = False  # type: ignore[misc]
    with pytest.raises(ValidationError):
        detector_class(key)(no_such_setting=1)
    for name in detector_class(key).model_fields:
        hash(getattr(detector, name))


@every
def test_its_measures_are_the_same_each_time(key: str) -> None:
    """What it asks for depends on its settings alone, and it listens to the events behind it."""
    assert detector_of(key).measures() == detector_of(key).measures()
    assert {measure.event for measure in detector_of(key).measures()} <= detector_of(key).listens


@every
def test_it_is_silent_on_an_empty_history(key: str) -> None:
    """Of a borrower of whom nothing is known nothing is said, and nothing is waited for."""
    detector, view = detector_of(key), view_of(Borrower(), 100)
    assert [] == list(detector.judge(view))
    assert [] == list(detector.wakeups(view))


@every
@given(facts=lives())
@modest
def test_it_judges_without_changing_anything(key: str, facts: list[Event]) -> None:
    """Asked twice it says the same, also of a restored borrower, and the borrower stays as it was."""
    detector = detector_of(key)
    world = World(engine_of(key)).play(*facts)
    for token, value in world.borrowers().items():
        borrower = restore(value)
        for day in (0, 31, 62, LAST_DAY, LAST_DAY + 200):
            said = list(detector.judge(view_of(borrower, day)))
            wanted = list(detector.wakeups(view_of(borrower, day)))
            assert said == list(detector.judge(view_of(borrower, day)))
            assert said == list(detector.judge(view_of(restore(value), day)))
            assert wanted == list(detector.wakeups(view_of(restore(value), day)))
            assert value == snapshot(borrower), token


@every
@given(facts=lives())
@modest
def test_what_it_says_is_in_order(key: str, facts: list[Event]) -> None:
    """Evidence was played, revisions have no gap, an episode opens before anything else and severities are known."""
    world = World(engine_of(key)).play(*facts, until=LAST_DAY + 40)
    played = {fact.id for fact in facts}
    revisions: dict[object, int] = {}
    is_open: dict[object, bool] = {}
    one_open: dict[tuple[str, str | None], set] = {}
    for alert in world.alerts:
        data = alert.data
        if data.detector != key:
            continue
        assert played.issuperset(data.evidence)
        assert revisions.get(data.episode_id, 0) + 1 == data.revision
        revisions[data.episode_id] = data.revision
        assert (data.status.value == "opened") == (not is_open.get(data.episode_id, False))
        is_open[data.episode_id] = data.status.value in {"opened", "escalated"}
        assert data.resolution is None or not is_open[data.episode_id]
        assert (data.status.value == "withdrawn") == (data.resolution == "disproved")
        open_ones = one_open.setdefault((data.borrower, data.loan), set())
        open_ones.add(data.episode_id) if is_open[data.episode_id] else open_ones.discard(data.episode_id)
        assert len(open_ones) <= 1
        assert data.severity in set(Severity)
        assert data.reason
        assert data.first_step


@every
@given(facts=lives())
@modest
def test_its_wakeups_lie_ahead_or_wait_for_a_source(key: str, facts: list[Event]) -> None:
    """After it was judged nothing that it waits for is past, so that no tick is for nothing."""
    world = World(engine_of(key)).play(*facts, until=LAST_DAY)
    for token in world.borrowers():
        for at_ms, source in world.borrower(token.decode()).wakeups.get(key, []):
            assert at_ms > world.lane.now_ms or world.lane._work.feeds.through(source) < at_ms


@every
def test_it_can_be_turned_off(key: str) -> None:
    """A policy that disables it leaves the others and nothing of it."""
    engine = engine_of(policy=Policy(detectors={key: {"enabled": False}}))
    assert set(detector_keys()) - {key} == {detector.key for detector in engine.detectors}
