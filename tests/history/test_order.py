from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import orjson
import pytest

from streams.bootstrap.policy import load_engine
from streams.bootstrap.policy_book import PolicyBook
from streams.engine.drain import LANE_KEY
from streams.engine.lane import LaneSettings, Position
from streams.engine.policy import Policy
from streams.errors import Misconfigured, Unavailable
from streams.history.order import Held, LaneRepeat, compare_states, differing, read_order
from streams.history.simulator import Plan, simulate
from tests.history.recorded_lane import HOUR_MS, Record, RecordedLane, topics_of

if TYPE_CHECKING:
    from pathlib import Path

    from streams.engine.drain import DeadLetter

EVENT = LaneSettings(0, 1, clock="event", step_ms=HOUR_MS)
WALL = LaneSettings(0, 1, clock="wall", step_ms=900_000)


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty borrowers over a hundred days, with late, doubled and malformed events."""
    file = tmp_path_factory.mktemp("portfolio") / "events.jsonl"
    simulate(Plan(borrowers=40, days=100, seed=5, late=0.02, out_of_order=0.02, duplicates=0.02, malformed=0.01), file)
    return file


def repeated(lane: RecordedLane) -> tuple[list[tuple[bytes, bytes]], list[DeadLetter], list[bytes], dict[bytes, bytes]]:
    """Alerts, dead letters, order and states of doing a lane's order again."""
    repeat = LaneRepeat(PolicyBook(Policy()).engine)
    effects = [repeat.apply(read_order(value), lane.fetch) for value in lane.order]
    alerts = [alert for one in effects for alert in one.alerts]
    return alerts, [x for one in effects for x in one.dead_letters], [one.order for one in effects], repeat.states


@pytest.mark.parametrize("settings", [EVENT, WALL], ids=lambda settings: settings.clock)
@pytest.mark.parametrize("seed", range(4))
def test_an_order_gives_the_same_bytes_again(portfolio: Path, seed: int, settings: LaneSettings) -> None:
    """However a lane was drained and how often it was killed, its order alone gives its alerts, letters and states."""
    dice = Random(seed)  # noqa: S311 - reproducible
    mean, killed = [(5, 0.02), (400, 0.3)][seed % 2]
    lane = RecordedLane(topics_of(portfolio, dice), settings)
    lane.run(lambda: 1 + int(dice.expovariate(1 / mean)), lambda: dice.random() < killed)
    alerts, letters, order, states = repeated(lane)
    assert lane.restarts
    assert lane.alerts
    assert lane.dead_letters
    assert lane.alerts == alerts
    assert lane.dead_letters == letters
    assert lane.order == order
    assert lane.states == states


def test_a_lane_that_goes_live_is_repeated_as_such(portfolio: Path) -> None:
    """The instant from which alerts are acted on stands in the order, and the repeat's alerts have the same modes."""
    topics = topics_of(portfolio, Random(1))  # noqa: S311 - reproducible
    half = sum(max(r[-1].timestamp for r in topics.values()) + r[0].timestamp for r in [topics["transactions"]]) // 2
    lane = RecordedLane(topics, EVENT._replace(live_from_ms=half)).run(lambda: 300, lambda: False)
    assert {b'"mode":"history"', b'"mode":"live"'} == {
        mode for _, value in lane.alerts for mode in (b'"mode":"history"', b'"mode":"live"') if mode in value
    }
    assert lane.alerts == repeated(lane)[0]


def test_another_policy_is_refused(portfolio: Path, tmp_path: Path) -> None:
    """An order that was made with a version of the policy that is not known is not repeated with another one."""
    lane = RecordedLane(topics_of(portfolio, Random(1)), EVENT).run(lambda: 4_000, lambda: False)  # noqa: S311
    file = tmp_path / "policy.toml"
    file.write_text('version = "stricter-2"')
    repeat = LaneRepeat(lambda version, _: {"stricter-2": load_engine(file)}.get(version))
    with pytest.raises(Misconfigured, match="made with the policy default-1, which is neither"):
        repeat.apply(read_order(lane.order[0]), lane.fetch)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"v":1,"lane":{"nix":1},"steps":[]}', b'{"v":2,"lane":{},"steps":[]}'])
def test_an_order_of_another_release_is_named(value: bytes) -> None:
    """What is no order record of this release is a sentence and no crash."""
    with pytest.raises(Misconfigured, match="this release"):
        read_order(value)


def records(*offsets: int) -> list[Record]:
    """Records at these offsets."""
    return [Record(offset, 0, b"k", b"v") for offset in offsets]


def test_a_run_may_have_gaps_inside() -> None:
    """The markers of producers' transactions take offsets: a run without them is whole."""
    held = Held("repayments/0")
    held.extend(records(3, 4, 7))
    assert records(3, 4, 7) == held.run(3, 8)
    assert held.done(8, 3) is None


@pytest.mark.parametrize("run", [(2, 5), (3, 9), (10, 12)])
def test_a_run_that_is_not_whole_is_unavailable(run: tuple[int, int]) -> None:
    """Where the first or last record of a run is gone, the repeat says so and what it means."""
    held = Held("repayments/0")
    held.extend(records(3, 4, 7))
    with pytest.raises(Unavailable, match=f"repayments/0 does not hold offsets {run[0]} to {run[1] - 1} any more"):
        held.run(*run)


def test_a_record_that_was_never_applied_is_found() -> None:
    """A record below the order's reach that no run names was lost, and that is a difference."""
    held = Held("repayments/0")
    held.extend(records(3, 4, 5))
    assert "1 of the 3 records of repayments/0 from offset 3 on were never applied" == held.done(6, 2)


def lane_states(offset: int, **borrowers: bytes) -> dict[bytes, bytes]:
    """States of borrowers and the position of their lane."""
    position = msgspec.msgpack.encode(Position(offsets={"repayments": offset}, now_ms=5))
    return {LANE_KEY: position} | {key.encode(): value for key, value in borrowers.items()}


def test_states_that_differ_are_named() -> None:
    """A borrower whose state is another one, or is on one side only, is named."""
    assert compare_states(lane_states(1, a=b"1"), lane_states(1, a=b"1")) is None
    assert "state of a: 2 bytes in the log, 1 other ones in the repeat" == compare_states(
        lane_states(1, a=b"1"), lane_states(1, a=b"22")
    )
    assert "state of b: only in the repeat" == compare_states(lane_states(1, b=b"1"), lane_states(1))


def test_a_worker_that_went_on_is_no_difference() -> None:
    """A changelog beyond the order that was read is not compared: it must stand still for that."""
    with pytest.raises(Unavailable, match="the worker went on"):
        compare_states(lane_states(1), lane_states(2))


def test_a_difference_names_the_fields() -> None:
    """Two alerts that differ are told apart by the names of their fields, without what they say."""
    ours, theirs = ({"id": 1, "data": {"step": n, "reason": "x"}} for n in (1, 2))
    assert "data.step" == differing(orjson.dumps(ours), orjson.dumps(theirs))
