from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from streams.bootstrap.policy import load_engine
from streams.engine.drain import Inbox
from streams.engine.lane import Lane
from streams.errors import Unavailable
from streams.history.grown import SETTINGS, Grown, copies_of_day, grow, multiplied
from streams.history.replay import FileRecord
from streams.local.bench import variants
from streams.local.bench.comparison import Comparison, Load, Work
from streams.local.bench.figures import Summary, Verdict
from streams.local.bench.latency import Pace, Watch, summary
from streams.local.bench.paces import paces
from streams.local.bench.scale import Round, scaled

if TYPE_CHECKING:
    from pathlib import Path

LIVES = 4
RIGHT = Verdict(expected=2)


def result(variant: str, rate: float) -> Summary:
    """A variant's medians."""
    return Summary(variant, (rate,), rate, 1.0, 1.0, right=True)


def alert(event: str) -> bytes:
    """An alert of an event."""
    return orjson.dumps({"alert": "ratio", "event": event, "n": 3})


def scaled_round(workers: int, verdict: Verdict = RIGHT) -> Round:
    """A run of a thousand events in two seconds."""
    return Round(workers, 1_000, 2.0, 0.5, verdict)


def test_all_are_paced_at_what_the_slowest_bears_and_then_at_what_each_bears_itself() -> None:
    """Stock Faust is not among them: it would set the pace for all."""
    rates = [result("faust", 10.0), result("streams-once", 100.0), result("loop-once", 300.0), result("product", 200.0)]
    same = [("streams-once", 50.0), ("loop-once", 50.0), ("product", 50.0)]
    assert [*same, ("loop-once", 150.0), ("product", 100.0)] == paces(rates)


def test_a_quick_run_compares_at_one_rate_only() -> None:
    """Half of the paces, half of the time."""
    assert [("loop-once", 50.0), ("product", 50.0)] == paces(
        [result("loop-once", 100.0), result("product", 200.0)], own=False
    )


def test_without_variants_to_pace_there_are_no_paces() -> None:
    """`--only faust` measures no latency."""
    assert [] == paces([result("faust", 10.0)])


def test_an_event_counts_from_when_it_was_due() -> None:
    """A hundred a second, one in each tick; the alert of event 200 comes 5 ms after its tick."""
    watch = Watch(Pace(rate=100.0, seconds=5.0, warm_seconds=1.0), expected=1, origin=50.0)
    watch.heard(alert("e200"), 50.0 + 2.01 + 0.005)
    assert [pytest.approx(5.0)] == watch.took_ms


def test_what_was_due_in_the_warm_up_is_checked_and_not_timed() -> None:
    """Its alert still belongs to the verdict."""
    watch = Watch(Pace(rate=100.0, seconds=5.0, warm_seconds=1.0), expected=2)
    watch.heard(alert("e10"), 9.0)
    assert ([], 1, False) == (watch.took_ms, len(watch.values), watch.through.is_set())


def test_an_alert_of_a_probe_says_that_the_variant_is_up() -> None:
    """And nothing else."""
    watch = Watch(Pace(100.0, 5.0, 1.0), expected=1)
    watch.heard(alert("probe3"), 9.0)
    assert (True, []) == (watch.up.is_set(), watch.values)


def test_a_latency_tells_how_late_the_producer_was() -> None:
    """In milliseconds, like the rest."""
    told = summary("loop-once", Pace(100.0, 5.0, 1.0), [1.0, 2.0, 9.0], [0.001, 0.004], Verdict(3))
    assert (2.0, 9.0, 4.0) == (told.p50_ms, told.p99_ms, told.producer_late_p99_ms)


def test_scaling_is_the_median_of_each_number_of_workers() -> None:
    """In the order that was asked for."""
    one, two = scaled([scaled_round(1), scaled_round(2), scaled_round(1), scaled_round(2)], [1, 2])
    assert (1, 500.0, 500.0, 2) == (one.workers, one.rate, one.cpu_seconds_per_million, two.workers)


def test_workers_that_say_an_alert_twice_are_wrong() -> None:
    """However fast they are together."""
    one, two = scaled([scaled_round(1), scaled_round(2, Verdict(2, doubled=1))], [1, 2])
    assert (True, False) == (one.right, two.right)


def nothing(_count: int) -> Work:
    """No catalogue."""
    raise AssertionError


def test_where_the_peers_are_not_installed_the_comparison_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The wheel has no tests; the product can be measured alone."""
    monkeypatch.setattr(variants, "PEERS", tmp_path)
    said: list[str] = []
    compared = Comparison(Load(1_000, 100, 1), "127.0.0.1:1", tmp_path, nothing, said.append)
    able = compared.prepare(variants.VARIANTS)
    assert ["product", "product-all"] == [variant.key for variant in able]
    assert "run it from a checkout" in compared.left_out["loop-once"]


def test_without_javac_kafka_streams_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other peers go on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    compared = Comparison(Load(1_000, 100, 1), "127.0.0.1:1", tmp_path, nothing, lambda _: None)
    able = compared.prepare(variant for variant in variants.VARIANTS if variant.key in {"streams-once", "loop"})
    assert ["loop"] == [variant.key for variant in able]
    assert "install a JDK" in compared.left_out["streams-once"]


def test_without_uv_quix_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It needs an environment of its own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(variants.importlib.util, "find_spec", lambda _: None)
    [quix] = [variant for variant in variants.VARIANTS if variant.key == "quix"]
    with pytest.raises(Unavailable, match="install uv"):
        quix.command(tmp_path, lambda _: None)


@pytest.fixture(scope="module")
def grown() -> Grown:
    """Four borrowers after ten days."""
    return grow(load_engine(None), LIVES, 10)


def test_every_copy_of_a_borrower_has_its_state_in_bytes_of_its_own(grown: Grown) -> None:
    """Else a million borrowers would take the memory of a thousand."""
    states = multiplied(grown, 3 * LIVES)
    values = [value for key, value in states.items() if key != b"\x00lane"]
    assert (3 * LIVES, 3 * LIVES) == (len(values), len({id(value) for value in values}))
    assert set(grown.states.values()) == set(values)


def test_the_next_days_events_are_applied_to_the_copies(grown: Grown) -> None:
    """None is a dead letter or a duplicate, in no turn: the engine is measured at its work."""
    states = multiplied(grown, 3 * LIVES)
    lane = Lane(load_engine(None), SETTINGS, states)
    outcomes: set[Any] = set()
    for turn in range(3):
        records: dict[str, list[FileRecord]] = {}
        for number, event in enumerate(copies_of_day(grown, 3 * LIVES, turn)):
            queue = records.setdefault(event.topic, [])
            offset = lane.positions.get(event.topic, 0) + len(queue)
            queue.append(FileRecord(offset, grown.now_ms + number, event.borrower, event.value))
        effects = lane.drain(Inbox(records, frozenset(), None))
        assert effects is not None
        lane.committed(effects)
        outcomes |= {what[2] for what in effects.counts or {} if what[0] == "event"}
    assert {"applied"} == outcomes
