from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from schemas.alerts import Severity
from streams.bootstrap.detectors import portraits
from streams.bootstrap.policy import detector_keys
from streams.cli import main
from streams.engine.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy file with one detector on trial, one off and one setting changed."""
    file = tmp_path / "policy.toml"
    file.write_text(
        "[detectors.income_missing]\nshadow = true\n[detectors.returned_payment]\nenabled = false\n"
        "[detectors.missed_installment]\ngrace_days = 3\n"
    )
    return str(file)


def test_all_detectors_are_listed(capsys: pytest.CaptureFixture[str], policy: str) -> None:
    """`ews detectors` has a line for each, with whether it is live, its severities and the title of its docstring."""
    assert 0 == main(["detectors", "--policy", policy])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()][1:]
    assert detector_keys() == [row[0] for row in rows]
    assert {"income_missing": "shadow", "returned_payment": "off"} == {
        row[0]: row[1] for row in rows if row[1] != "live"
    }
    assert all(row[3].endswith(".") for row in rows)


def test_every_detector_has_severities() -> None:
    """What a detector's alerts can be is known of each, lowest first."""
    for one in portraits(Policy()):
        assert one.severities == sorted(one.severities, key=lambda name: Severity(name).rank)
        assert one.severities


def test_a_detector_explains_itself(capsys: pytest.CaptureFixture[str], policy: str) -> None:
    """`ews detectors NAME` prints the docstring and each setting: value in force, and the default it replaces."""
    assert 0 == main(["detectors", "missed_installment", "--policy", policy])
    out = capsys.readouterr().out
    assert "Known false alarms:" in out
    assert "grace_days\t3\t0\twhole number\tat least 0, at most 30\t" in out
    assert "shadow\tfalse\t\ttrue or false\t" in out


def test_the_settings_file_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Without --policy the values are those of EWS_POLICY_FILE."""
    monkeypatch.setenv("EWS_POLICY_FILE", policy)
    assert 0 == main(["detectors", "missed_installment", "--json"])
    settings = {s["name"]: s["value"] for s in orjson.loads(capsys.readouterr().out)["settings"]}
    assert 3 == settings["grace_days"]


def test_an_unknown_detector_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A detector that there is not is a usage error that names those that there are."""
    assert 2 == main(["detectors", "missed_instalment"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ews: no detector is called 'missed_instalment'; there are ")


def test_a_bad_policy_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A policy file with a mistake, or none, is named with what is wrong."""
    file = tmp_path / "wrong.toml"
    file.write_text("[detectors.missed_installment]\ngrace_days = -1")
    assert 2 == main(["detectors", "--policy", str(file)])
    assert (
        f"ews: the policy {file}: detectors.missed_installment.grace_days: Input should be greater than or equal to 0\n"
        == capsys.readouterr().err
    )
    assert 2 == main(["detectors", "--policy", str(tmp_path / "none.toml")])
    assert 1 == capsys.readouterr().err.count("\n")
