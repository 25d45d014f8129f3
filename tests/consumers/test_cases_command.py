from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from streams.casework.ladder import Ladder
from streams.cli import main
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.consumers.builders import alert, episode

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "[bold]'; DROP TABLE cases; --<script>\t\x1b[31m"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two cases, as the settings name it."""
    url = f"sqlite:///{tmp_path}/cases.db"
    monkeypatch.setenv("EWS_DATABASE_URL", url)
    alerts = (
        *episode("b-1", [("opened", "high", 5), ("escalated", "critical", 70)], dpd=70),
        *episode("b-2", [("opened", "high", 5), ("withdrawn", "high", 5)], reason=HOSTILE),
    )
    with open_database(url) as database:
        CaseCreator(CaseStore(database), Ladder.standard(), Metrics()).take(Batch("alerts", 0, 0, len(alerts), alerts))
    return url


@pytest.mark.usefixtures("url")
def test_a_list_is_plain_lines_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of names and a line for each case, separated by tabs; the state says as what a case was closed."""
    assert 0 == main(["cases", "list"])

    names, first, second = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["case", "borrower", "state", "stage"] == names[:4]
    assert ["b-1", "escalated", "lawyers letter (needs approval)", "critical", "70"] == first[1:6]
    assert ["b-2", "closed (withdrawn)"] == second[1:3]


@pytest.mark.usefixtures("url")
def test_a_list_for_machines_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """State, stage and limit narrow it; times carry their offset."""
    assert 0 == main(["cases", "list", "--state", "escalated", "--stage", "lawyers_letter", "--limit", "5", "--json"])

    [case] = json.loads(capsys.readouterr().out)
    assert "b-1" == case["borrower"]
    assert case["due_at"].endswith("Z")


@pytest.mark.usefixtures("url")
def test_a_case_is_shown_by_borrower_and_by_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Both show the same: loans, episodes with reasons, history."""
    assert 0 == main(["cases", "show", "b-1", "--json"])
    [by_borrower] = json.loads(capsys.readouterr().out)

    assert 0 == main(["cases", "show", by_borrower["case_id"], "--json"])
    assert [by_borrower] == json.loads(capsys.readouterr().out)
    assert ["case.opened", "episode.escalated", "case.escalated"] == [line["action"] for line in by_borrower["history"]]

    assert 0 == main(["cases", "show", "b-1"])
    shown = capsys.readouterr().out
    assert "Ask a supervisor what to do: lawyer's letter is off here" in shown
    assert "missed_installment at step 70." in shown


@pytest.mark.usefixtures("url")
def test_text_from_outside_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Markup stays as it was written, and no control character reaches the terminal."""
    assert 0 == main(["cases", "show", "b-2"])

    shown = capsys.readouterr().out
    assert "[bold]'; DROP TABLE cases; --<script>" in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("url")
def test_nobody_found_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and what to try."""
    assert 1 == main(["cases", "show", "nobody"])

    assert "ews cases list" in capsys.readouterr().err


def test_verify_prints_the_head_and_finds_a_change(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 with the last hash; 1 with a line for what was changed."""
    assert 0 == main(["cases", "verify"])
    assert "2 cases" in capsys.readouterr().out

    with open_database(url) as database, database.write() as connection:
        connection.execute(text("UPDATE cases SET owner = 'me' WHERE borrower = 'b-1'"))

    assert 1 == main(["cases", "verify"])
    assert "is not as the audit trail left it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("sqlite:////nowhere/to/be/found.db", "there is no database"),
        ("mysql://host/cases", "EWS_DATABASE_URL must be"),
        ("nonsense", "EWS_DATABASE_URL must be"),
        ("sqlite:////", "EWS_DATABASE_URL"),
    ],
)
def test_a_wrong_database_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, says: str
) -> None:
    """Exit code 2, one line, with what to do."""
    monkeypatch.setenv("EWS_DATABASE_URL", value)

    assert 2 == main(["cases", "list"])

    [line] = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_file_that_is_no_database_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 2, and the file is as it was."""
    (tmp_path / "notes.txt").write_text("these are my notes, and not a database at all " * 50)
    monkeypatch.setenv("EWS_DATABASE_URL", f"sqlite:///{tmp_path}/notes.txt")

    assert 2 == main(["cases", "list"])

    [line] = capsys.readouterr().err.splitlines()
    assert "not a database" in line


def test_an_absent_server_is_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1: it may come back."""
    monkeypatch.setenv("EWS_DATABASE_URL", "postgresql://ews:hunter2@127.0.0.1:1/ews")

    assert 1 == main(["cases", "list"])

    [line] = capsys.readouterr().err.splitlines()
    assert "cannot be used now" in line
    assert "hunter2" not in line


def test_a_pause_is_set_and_lifted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before the notifier's first start too."""
    monkeypatch.setenv("EWS_DATABASE_URL", f"sqlite:///{tmp_path}/cases.db")

    assert 0 == main(["notifier", "pause"])
    assert capsys.readouterr().out.startswith("paused since")
    assert 0 == main(["notifier", "resume"])
    assert "sending; 0 messages wait\n" == capsys.readouterr().out


def test_a_notifier_without_a_channel_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2: alerts would go nowhere."""
    assert 2 == main(["notifier"])

    assert "EWS_OUTBOX_DIR" in capsys.readouterr().err


def test_an_alert_of_the_warm_up_is_no_case(url: str) -> None:
    """What is listed is what was opened: the warm-up is not."""
    with open_database(url) as database:
        store = CaseStore(database)
        warm = (alert(borrower="b-3", mode="history"),)
        CaseCreator(store, Ladder.standard(), Metrics()).take(Batch("alerts", 1, 0, 1, warm))
        assert [] == store.files_of("b-3")
