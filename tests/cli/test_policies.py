from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from streams.bootstrap.policies import as_toml, changes, effective
from streams.bootstrap.policy import detector_keys, load_engine, load_policy
from streams.bootstrap.policy_book import PolicyBook
from streams.bootstrap.worker import lane_factory
from streams.cli import main
from streams.engine.policy import Policy
from streams.errors import Misconfigured
from streams.settings import load

DEFAULT = Path(__file__).parents[2] / "deploy" / "policies" / "default.toml"
NOWHERE = "127.0.0.1:1"


def test_the_default_policy_file_is_not_stale() -> None:
    """deploy/policies/default.toml is what `ews policies show` prints; write it anew with that."""
    assert as_toml(Policy()) == DEFAULT.read_text()


def test_the_default_policy_file_makes_the_default_engine() -> None:
    """Loading the file gives the detectors that there are without one, setting by setting."""
    assert load_engine(None).detectors == load_engine(DEFAULT).detectors
    without = {"detectors"}
    assert Policy().model_dump(exclude=without) == load_policy(DEFAULT).model_dump(exclude=without)


def test_a_shown_policy_loads_to_the_same(tmp_path: Path) -> None:
    """What is shown of a changed policy can be saved and loaded again, and is then shown the same."""
    file, again = tmp_path / "policy.toml", tmp_path / "again.toml"
    file.write_text(
        'version = "stricter-2"\n[feeds.sources."bank/alpha"]\nheartbeats = false\n'
        '[detectors.multi_lending_spike]\nshadow = true\nlevels = [[2, 14, "high"]]\nown_lenders = ["b", "a"]\n'
    )
    again.write_text(as_toml(load_policy(file)))
    assert effective(load_policy(file)) == effective(load_policy(again))
    assert load_engine(file).detectors == load_engine(again).detectors


def test_show_names_every_detector(capsys: pytest.CaptureFixture[str]) -> None:
    """`ews policies show --json` holds the settings of every detector."""
    assert 0 == main(["policies", "show", "--json"])
    assert detector_keys() == list(orjson.loads(capsys.readouterr().out)["detectors"])


WRONG = """\
version = ""
colour = "red"
[limits]
horizon_day = 10
future_days = -1
[detectors.missed_instalment]
grace_days = 2
[detectors.missed_installment]
grace_day = 2
[detectors.returned_payment]
in_a_row = "two"
[detectors.gambling_share]
held_while = ["gambling_burts", "gambling_share"]
"""
SENTENCES = [
    "version: String should have at least 1 character",
    "limits.future_days: Input should be greater than or equal to 0",
    "limits.horizon_day: there is no such setting, did you mean horizon_days?",
    "colour: there is no such setting",
    "detectors.missed_instalment: no detector is called so, did you mean missed_installment?",
    "detectors.missed_installment.grace_day: there is no such setting, did you mean grace_days?",
    "detectors.returned_payment.in_a_row: Input should be a valid integer, unable to parse string as an integer",
    "detectors.gambling_share.held_while: no detector is called gambling_burts, did you mean gambling_burst?",
    "detectors.gambling_share.held_while: a detector cannot be held by itself",
]


def test_every_mistake_of_a_policy_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ews policies check` names all mistakes with their places and exits 2."""
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)
    assert 2 == main(["policies", "check", str(file)])
    assert [f"{file}: {sentence}" for sentence in SENTENCES] == capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"version =", "is not TOML: "),
        (b"\xff", "is not TOML: "),
        (b"detectors = 3", "detectors: Input should be a valid dictionary"),
        (b"detectors.missed_installment = 3", "detectors.missed_installment: Input should be a valid dictionary"),
    ],
)
def test_a_file_that_is_no_policy_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, sentence: str
) -> None:
    """What cannot be read at all is one line, with exit code 2."""
    file = tmp_path / "wrong.toml"
    if content is not None:
        file.write_bytes(content)
    assert 2 == main(["policies", "check", str(file)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: {sentence}")


def test_a_good_policy_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """A file without a mistake is said to be in order, with its version."""
    assert 0 == main(["policies", "check", str(DEFAULT)])
    assert f"{DEFAULT} is in order: policy default-1\n" == capsys.readouterr().out


def test_apply_names_every_mistake_before_it_asks_kafka(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong file is told apart line by line, with exit code 2, whether Kafka is there or not."""
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)
    assert 2 == main(["policies", "apply", str(file), "--bootstrap", NOWHERE])
    assert [f"{file}: {sentence}" for sentence in SENTENCES] == capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("command", [["apply", str(DEFAULT)], ["history"], ["show", "--in-force"]])
def test_a_cluster_that_is_away_is_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Where Kafka cannot be reached that is told, with exit code 1."""
    assert 1 == main(["policies", *command, "--bootstrap", NOWHERE])
    assert f"ews: Kafka at {NOWHERE} cannot be reached: start it" in capsys.readouterr().err


def test_a_worker_is_told_every_mistake_of_its_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What refuses to start names all that is wrong with the file, in one line."""
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)
    monkeypatch.setenv("EWS_POLICY_FILE", str(file))
    with pytest.raises(Misconfigured) as refused:
        lane_factory(load())
    assert f"the policy {file}: {'; '.join(SENTENCES)}" == str(refused.value)


def test_changes_are_told_setting_by_setting() -> None:
    """Lists are compared whole, and what only one of two policies has is told as such."""
    before = Policy(feeds={"sources": {"bank/a": {"heartbeats": True}}})
    after = Policy(version="b", limits={"loans": 9}, detectors={"multi_lending_spike": {"levels": [[2, 7, "high"]]}})
    found = {change.setting: change[1:] for change in changes(before, after)}
    assert (200, 9) == found.pop("limits.loans")
    level = {"lenders": 2, "days": 7, "severity": "high"}
    assert [level] == found.pop("detectors.multi_lending_spike.levels")[1]
    assert {"feeds.sources.bank/a.heartbeats": (True, None)} == found


def record(version: str, *, whole: bool = False, **document: object) -> tuple[bytes, bytes]:
    """Key and value of a record of the topic."""
    told = {"version": version, "applied_at": "2026-03-14T09:30:00Z", "whole": whole, "document": document}
    return version.encode(), orjson.dumps(told)


def test_a_whole_document_leaves_later_detectors_off() -> None:
    """A detector that the applied policy did not have is off under it; what a short document leaves out is default."""
    book = PolicyBook(Policy())
    book.learn(*record("v1", whole=True, detectors={"missed_installment": {}}))
    book.learn(*record("v2", detectors={"missed_installment": {}}))
    first, second = book.engine("v1"), book.engine("v2")
    assert first is not None
    assert second is not None
    assert ["missed_installment"] == [detector.key for detector in first.detectors]
    assert load_engine(None).detectors == second.detectors
    assert "v2" == book.in_force


def test_the_first_content_of_a_version_stays() -> None:
    """A second one is refused, whoever wrote it; the built-in policy gives way until it is used."""
    book = PolicyBook(Policy())
    book.learn(*record("v1", limits={"loans": 9}))
    book.learn(*record("default-1", limits={"loans": 7}))
    assert 7 == book.engine("default-1").policy.limits.loans  # type: ignore[union-attr]
    for version in ("v1", "default-1"):
        with pytest.raises(Misconfigured, match=f"the policy {version} of the topic has other content"):
            book.learn(*record(version, limits={"loans": 8}))
    assert "default-1" == book.in_force
    file = PolicyBook(Policy(version="mine", limits={"loans": 9}))
    with pytest.raises(Misconfigured, match="has other content"):
        file.learn(*record("mine"))
