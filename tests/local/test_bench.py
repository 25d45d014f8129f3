from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from streams.errors import Unavailable
from streams.local import reference
from streams.local.bench import oracle
from streams.local.bench.child import Report, memory_in, parse
from streams.local.bench.figures import Run, Verdict, quantile, ratio, summaries
from streams.local.bench.variants import VARIANTS, jdk

if TYPE_CHECKING:
    from pathlib import Path

RIGHT = Verdict(expected=1)
WRONG = Verdict(expected=1, missing=1)


def run(variant: str, seconds: float, verdict: Verdict = RIGHT, cpu_seconds: float = 0.5) -> Run:
    """A run of a thousand events."""
    return Run(variant, 1_000, seconds, cpu_seconds, 2**20, verdict)


def test_the_rate_of_a_variant_is_the_median_of_its_runs() -> None:
    """One run on a machine that stood still for a moment does not move the figure."""
    [summary] = summaries([run("loop", 1.0), run("loop", 10.0), run("loop", 0.5)], ["loop"])
    assert (1_000.0, 500.0) == (summary.rate, summary.cpu_seconds_per_million)


def test_one_wrong_run_makes_a_variant_wrong() -> None:
    """A fast run that lost something is no result."""
    [summary] = summaries([run("loop", 1.0), run("loop", 1.0, WRONG)], ["loop"])
    assert not summary.right


def test_a_variant_that_did_not_run_has_no_row_and_no_ratio() -> None:
    """What was left out is not shown as nothing."""
    results = summaries([run("loop", 1.0)], ["faust", "loop"])
    assert (["loop"], None) == ([result.variant for result in results], ratio(results, "loop", "faust"))


def test_ratios_are_of_the_medians() -> None:
    """Twice as fast is 2."""
    results = summaries([run("loop", 1.0), run("product", 0.5)], ["loop", "product"])
    assert ratio(results, "product", "loop") == pytest.approx(2.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0), (1.0, 4.0)])
def test_quantile_is_a_value_that_was_measured(share: float, value: float) -> None:
    """The smallest that so large a share does not exceed."""
    assert value == quantile([4.0, 1.0, 3.0, 2.0], share)


def test_the_events_of_the_job_break_every_rule() -> None:
    """A peer that gets one rule wrong is seen."""
    wanted = oracle.expected(reference.events(500, 20_000))
    assert {"outflow", "ratio", "multi"} == {told.rule for told in wanted}


def test_the_oracle_finds_nothing_wrong_with_itself() -> None:
    """Alerts in any order and any JSON."""
    wanted = oracle.expected(reference.events(50, 5_000))
    values = [orjson.dumps({"n": told.counted, "alert": told.rule, "event": told.event}) for told in wanted]
    assert oracle.compare(wanted, oracle.told(reversed(values))).right


def test_a_lost_a_doubled_and_a_miscounted_alert_are_told_apart() -> None:
    """Each in its own figure."""
    first, second, third = (oracle.Told("ratio", f"e{number}", 3) for number in range(3))
    verdict = oracle.compare({first, second, third}, [first, first, second._replace(counted=4)])
    assert Verdict(expected=3, missing=2, doubled=1, wrong=1) == verdict


def test_an_event_that_was_counted_twice_shows_in_later_alerts() -> None:
    """Although that event itself made no alert."""
    events = list(reference.events(50, 5_000))
    wanted = oracle.expected(events)
    found = oracle.expected([*events[:100], *events])
    assert oracle.compare(wanted, found).wrong > 0


def test_the_job_of_the_product_agrees_with_the_oracle_over_drains() -> None:
    """`judge` and `expected` say the same."""
    states: dict[str, reference.State] = {}
    events = list(reference.events(50, 3_000))
    values = [reference.judge(states.setdefault(who, {}), orjson.loads(value)) for _, who, value in events]
    assert oracle.expected(events) == set(oracle.told(filter(None, values)))


def test_a_line_of_a_variant_is_read() -> None:
    """As Python's and Java's peers print it."""
    line = b'{"what": "seen", "at_ns": 7, "cpu_seconds": 1.500000000, "events": 9}\n'
    assert Report("seen", 7, 1.5, 9) == parse(line)


@pytest.mark.parametrize("line", [b"", b"starting\n", b"{}\n", b"[1]\n", b'{"what": "seen"}\n', b"7\n"])
def test_what_else_a_variant_prints_is_left_aside(line: bytes) -> None:
    """A warning on standard output is no report."""
    assert parse(line) is None


def test_the_peak_of_memory_is_the_high_water_mark() -> None:
    """Not what is held now."""
    status = "VmPeak:\t 900 kB\nVmHWM:\t  512 kB\nVmRSS:\t 100 kB\n"
    assert (512 * 1024, 0) == (memory_in(status, "VmHWM:"), memory_in("", "VmHWM:"))


def test_without_a_jdk_the_reason_says_what_to_do(tmp_path: Path) -> None:
    """A Java runtime alone does not compile."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    with pytest.raises(Unavailable, match="install a JDK"):
        jdk(str(tmp_path), None)


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    """And `java` is that of the same kit as `javac`."""
    for home in ("first", "second"):
        (tmp_path / home / "bin").mkdir(parents=True)
        for name in ("java", "javac"):
            (tmp_path / home / "bin" / name).touch()
    first = tmp_path / "first" / "bin"
    assert (first / "java", first / "javac") == jdk(str(tmp_path / "first"), str(tmp_path / "second/bin/javac"))


def test_every_variant_has_a_name_of_its_own() -> None:
    """`--only` takes them."""
    assert len(VARIANTS) == len({variant.key for variant in VARIANTS})
