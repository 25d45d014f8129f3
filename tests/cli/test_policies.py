from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from streams.bootstrap.policies import as_toml, effective
from streams.bootstrap.policy import detector_keys, load_engine, load_policy
from streams.cli import main
from streams.engine.policy import Policy

DEFAULT = Path(__file__).parents[2] / "deploy" / "policies" / "default.toml"


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
"""
SENTENCES = [
    "version: String should have at least 1 character",
    "limits.future_days: Input should be greater than or equal to 0",
    "limits.horizon_day: there is no such setting, did you mean horizon_days?",
    "colour: there is no such setting",
    "detectors.missed_instalment: no detector is called so, did you mean missed_installment?",
    "detectors.missed_installment.grace_day: there is no such setting, did you mean grace_days?",
    "detectors.returned_payment.in_a_row: Input should be a valid integer, unable to parse string as an integer",
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
