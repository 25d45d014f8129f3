from __future__ import annotations

from itertools import chain, repeat
from random import Random
from typing import TYPE_CHECKING

import orjson
import pytest

from streams.bootstrap.policies import effective
from streams.bootstrap.policy_book import PolicyBook
from streams.cli import main
from streams.engine import work
from streams.engine.lane import LaneSettings
from streams.engine.policy import Policy
from streams.history.order import LaneRepeat, read_order
from streams.history.simulator import Plan, simulate
from tests.history.recorded_lane import HOUR_MS, RecordedLane, topics_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPIKE = {"levels": [[2, 30, "watch"], [3, 300, "high"]]}
DOCUMENTS = {
    "v2": {"multi_lending_spike": SPIKE, "missed_installment": {"grace_days": 2}},
    "v3": {"missed_installment": {"enabled": False}, "returned_payment": {"shadow": True}},
    "v4": {"drain_after_miss": {"enabled": False}},
}


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty borrowers over eighty days."""
    file = tmp_path_factory.mktemp("portfolio") / "events.jsonl"
    simulate(Plan(borrowers=30, days=80, seed=7, late=0.02, out_of_order=0.02, duplicates=0.02, malformed=0.01), file)
    return file


def book() -> PolicyBook:
    """The built-in policy and those above, as the topic would have told them."""
    known = PolicyBook(Policy())
    for version, detectors in DOCUMENTS.items():
        document = effective(Policy(version=version, detectors=detectors))
        known.learn(
            version.encode(),
            orjson.dumps({"version": version, "applied_at": "2026-01-01T00:00:00Z", "document": document}),
        )
    return known


def changing(dice: Random) -> Iterator[str | None]:
    """What is in force at each drain: first the built-in policy, then one of all after the other for a while."""
    versions = ["v2", "v3", "v2", "v4", "default-1"]
    return chain.from_iterable(repeat(version, 3 + int(dice.random() * 12)) for version in [None, *versions, "v3"] * 99)


@pytest.mark.parametrize("seed", range(4))
def test_an_order_with_policies_gives_the_same_bytes_again(
    portfolio: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the policy changed, with changes on their way and kills between, the order says it all."""
    monkeypatch.setattr(work, "SWEEP_MAX", (500, 4)[seed % 2])
    monkeypatch.setattr(work, "WAKEUPS_MAX", (5_000, 3)[seed % 2])
    dice = Random(seed)  # noqa: S311 - reproducible
    settings = LaneSettings(0, 1, clock=("event", "wall")[seed // 2], step_ms=HOUR_MS)
    lane = RecordedLane(topics_of(portfolio, dice), settings, book())
    versions = changing(dice)
    lane.run(lambda: 1 + int(dice.expovariate(1 / 20)), lambda: dice.random() < 0.1, lambda: next(versions))
    again = LaneRepeat(book().engine)
    effects = [again.apply(read_order(value), lane.fetch) for value in lane.order]
    assert lane.restarts
    assert {"default-1", "v2", "v3", "v4"} == {
        version for value in lane.order for version in read_order(value).carried()
    }
    told = {orjson.loads(value)["data"]["policy_version"] for _, value in lane.alerts}
    assert {"default-1", "v2", "v3", "v4"} == told
    assert lane.alerts == [alert for one in effects for alert in one.alerts]
    assert lane.dead_letters == [letter for one in effects for letter in one.dead_letters]
    assert lane.order == [one.order for one in effects]
    assert lane.states == again.states


def test_a_change_that_is_taken_back_at_once_leaves_the_episodes_as_they_were(portfolio: Path) -> None:
    """With another policy for a moment the episodes of detectors that it does not touch are told once, as without."""
    topics = topics_of(portfolio, Random(1))  # noqa: S311 - reproducible
    straight = RecordedLane(topics, LaneSettings(0, 1, clock="event", step_ms=HOUR_MS), book())
    straight.run(lambda: 50, lambda: False)
    versions = chain([None] * 10, ["v4"] * 2, repeat(None))
    changed = RecordedLane(topics, LaneSettings(0, 1, clock="event", step_ms=HOUR_MS), book())
    changed.run(lambda: 50, lambda: False, lambda: next(versions))

    def told(lane: RecordedLane) -> list[str]:
        data = [orjson.loads(value)["data"] for _, value in lane.alerts]
        return sorted(d["alert_id"] for d in data if d["detector"] in {"missed_installment", "multi_lending_spike"})

    assert told(straight) == told(changed)
    assert {"default-1", "v4"} == {version for value in changed.order for version in read_order(value).carried()}


def test_replay_changes_its_policy_on_the_way(portfolio: Path, tmp_path: Path) -> None:
    """`--policy-change` gives what was told before it as without it, and afterwards alerts of the new version."""
    file = tmp_path / "off.toml"
    file.write_text('version = "off-2"\n[detectors.missed_installment]\nenabled = false\n')
    plain, changed = tmp_path / "plain.jsonl", tmp_path / "changed.jsonl"
    assert 0 == main(["replay", str(portfolio), "--alerts", str(plain)])
    times = [orjson.loads(line)["time"] for line in plain.read_bytes().splitlines()]
    moment = times[len(times) // 2][:10]
    assert 0 == main(["replay", str(portfolio), "--alerts", str(changed), "--policy-change", f"{moment}={file}"])
    before = [line for line in plain.read_bytes().splitlines() if orjson.loads(line)["time"] < moment]
    after = changed.read_bytes().splitlines()
    assert before == after[: len(before)]
    assert {"off-2"} == {orjson.loads(line)["data"]["policy_version"] for line in after[len(before) :]}
    later = [orjson.loads(line)["data"] for line in after[len(before) :]]
    ended = [data for data in later if data["detector"] == "missed_installment"]
    assert {("resolved", "expired")} == {(data["status"], data["resolution"]) for data in ended}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--policy-change", "soon=x.toml"], "say TIME=FILE"),
        (["--policy-change", "2026-01-01"], "say TIME=FILE"),
        (["--policy-change", "2026-01-01=nowhere.toml"], "cannot read the policy nowhere.toml"),
        (["--policy-change", "2026-01-01={same}"], "two of the policies have the version default-1"),
        (["--policy-change", "2026-01-01={same}", "--portfolio", "x.jsonl"], "--portfolio goes without"),
    ],
)
def test_a_policy_change_that_cannot_be_is_one_line(
    portfolio: Path, tmp_path: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with the option is said, with exit code 2."""
    same = tmp_path / "same.toml"
    same.write_text('version = "default-1"\n')
    assert 2 == main(["replay", str(portfolio), *(option.format(same=same) for option in options)])
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())
