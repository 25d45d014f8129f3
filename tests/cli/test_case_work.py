"""What people do to cases from the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from streams import clock
from streams.casework.ladder import Ladder
from streams.cli import main
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.outbox import Outbox
from tests.consumers.builders import START, alert

if TYPE_CHECKING:
    from pathlib import Path

SOON = (clock.now() + timedelta(days=5)).date().isoformat()
HOSTILE = "'; DROP TABLE cases; --<script>\u00e9"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a case of one loan, as the settings name it."""
    url = f"sqlite:///{tmp_path}/cases.db"
    monkeypatch.setenv("EWS_DATABASE_URL", url)
    now_hours = (clock.now() - START).total_seconds() / 3600 - 1
    with open_database(url) as database:
        told = (alert(dpd=70, step=60, severity="critical", hours=now_hours),)
        CaseCreator(CaseStore(database), Ladder.standard(), Metrics()).take(Batch("alerts", 0, 0, 1, told))
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What a command that succeeds answers in JSON."""
    assert 0 == main(["cases", *arguments, "--json"]), capsys.readouterr().err
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """The one line that a command is refused with."""
    assert code == main(["cases", *arguments])
    [line] = capsys.readouterr().err.splitlines()
    return line


def waiting(url: str) -> list[tuple[str, str, str]]:
    """What waits in the outbox: topic, key and type."""
    with open_database(url) as database:
        return [(row.topic, row.key, json.loads(row.value)["type"]) for row in Outbox(database).waiting(100)]


def test_a_day_of_a_collector(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Taken, noted, promised: each says where the case stands, and the promise waits to be published."""
    assert "c-17" == said(capsys, "take", "b-1", "--by", "c-17")["owner"]
    assert HOSTILE == said(capsys, "note", "b-1", HOSTILE, "--by", "c-17")["notes"][0]["text"]
    case = said(capsys, "promise", "b-1", "--amount-minor", "5000", "--on", SOON, "--by", "c-17")
    assert "promise_to_pay" == case["state"]
    assert ("l-1", "CNY", 5_000, SOON) == tuple(
        case["promises"][0][name] for name in ("loan", "currency", "amount_minor", "promised_on")
    )
    assert [("repayments", "b-1", "ews.promise.made.v1")] == waiting(url)

    assert 0 == main(["cases", "cancel-promise", "b-1", case["promises"][0]["promise_id"], "--reason", "x"])
    assert "of b-1 is in progress" in capsys.readouterr().out
    assert 0 == main(["cases", "verify"])


def test_pauses_and_what_ends_them(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold, dispute and hardship stop the case; resume, the end of the dispute and a decision let it go on."""
    del url
    assert "on_hold" == said(capsys, "hold", "b-1", "--until", SOON, "--reason", "in hospital")["state"]
    assert "open" == said(capsys, "resume", "b-1")["state"]
    assert "on_hold" == said(capsys, "dispute", "b-1", "--note", "paid in January")["state"]
    assert "open" == said(capsys, "dispute", "b-1", "--end", "--note", "was another loan's")["state"]
    assert "hardship_requested" == said(capsys, "hardship", "b-1", "--note", "lost the job", "--by", "c-17")["state"]
    assert "open" == said(capsys, "hardship", "b-1", "--refused", "--note", "no", "--by", "s-2")["state"]


@pytest.mark.parametrize("name", ["plan.toml", "plan.json"])
def test_a_plan_comes_from_a_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """TOML or JSON; the new schedule waits to be published."""
    day = (clock.now() + timedelta(days=30)).date()
    lines = [{"number": n, "due_on": str(day + timedelta(days=30 * n)), "amount_minor": 1_000} for n in (1, 2)]
    if name.endswith("json"):
        text = json.dumps({"reason": "plan", "effective_on": str(clock.now().date()), "schedule": lines})
    else:
        rows = "".join(
            f"[[schedule]]\nnumber = {x['number']}\ndue_on = {x['due_on']}\namount_minor = {x['amount_minor']}\n"
            for x in lines
        )
        text = f'reason = "plan"\neffective_on = {clock.now().date()}\n{rows}'
    (tmp_path / name).write_text(text)

    [plan] = said(capsys, "plan", "b-1", str(tmp_path / name))["plans"]

    assert (2, "plan", "l-1") == (len(plan["schedule"]), plan["reason"], plan["loan"])
    assert [("repayments", "b-1", "ews.loan.schedule_changed.v1")] == waiting(url)


def test_hard_steps_are_asked_for_and_decided_by_another(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off unless switched on; never decided by the one who asked, nor by a collector."""
    del url
    ask = ("request", "b-1", "lawyers_letter", "--reason", "no answer", "--by", "s-1")
    assert "EWS_HARD_STEPS" in refused(capsys, *ask)
    monkeypatch.setenv("EWS_HARD_STEPS", "lawyers_letter")
    [asked] = said(capsys, *ask)["approvals"]
    assert 0 == main(["cases", "approvals", "--json"])
    assert [asked["approval_id"]] == [each["approval_id"] for each in json.loads(capsys.readouterr().out)]

    refused(capsys, "approve", "b-1", asked["approval_id"], "--by", "s-1")
    refused(capsys, "approve", "b-1", asked["approval_id"], "--by", "c-1", "--role", "collector")
    case = said(capsys, "approve", "b-1", asked["approval_id"], "--by", "s-2")
    assert "approved" == case["approvals"][0]["state"]


def test_outcomes_make_the_precision(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Judged, shown by detector, and waiting to be published."""
    said(capsys, "outcome", "b-1", "confirmed_risk", "--by", "c-17")
    assert 0 == main(["cases", "precision"])
    assert "missed_installment\t100%\t1\t1\t0\t0" in capsys.readouterr().out.splitlines()
    assert [("alert-outcomes", "b-1", "ews.alert.outcome.v1")] == waiting(url)
    said(capsys, "outcome", "b-1", "false_positive", "--by", "s-2", "--episode", _episode(capsys))
    assert 0 == main(["cases", "precision", "--json"])
    assert [0.0] == [each["precision"] for each in json.loads(capsys.readouterr().out)]


def _episode(capsys: pytest.CaptureFixture[str]) -> str:
    assert 0 == main(["cases", "show", "b-1", "--json"])
    return str(json.loads(capsys.readouterr().out)[0]["episodes"][0]["episode_id"])


def test_the_board_counts_by_stage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every stage, with the most urgent cases under it."""
    del url
    assert 0 == main(["cases", "board"])
    lines = capsys.readouterr().out.splitlines()
    assert ["reminder: 0", "call: 0", "collector: 0", "lawyers letter: 1"] == lines[:4]
    assert 1 == said(capsys, "board")["lawyers_letter"]["count"]


def test_a_case_is_closed_and_reopened_by_its_borrower(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Closed it is no longer the borrower's open case; reopened it is."""
    del url
    assert "resolved" == said(capsys, "close", "b-1", "--as", "settled", "--reason", "paid")["state"]
    assert "no open case" in refused(capsys, "take", "b-1")
    assert "open" == said(capsys, "reopen", "b-1", "--reason", "returned")["state"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["note", "b-1", "x" * 2_001], 2, "text: must have at most 2000 characters"),
        (["promise", "b-1", "--amount-minor", "5", "--on", "soon"], 2, "promised_on: "),
        (["promise", "b-1", "--amount-minor", "-5", "--on", SOON], 2, "amount_minor: must be"),
        (["promise", "b-1", "--amount-minor", "5", "--on", SOON, "--loan", "l-9"], 2, "there is l-1"),
        (["hold", "b-1", "--until", "tomorrow", "--reason", "x"], 2, "until: "),
        (["close", "b-1", "--as", "lost", "--reason", "x"], 2, "settled"),
        (["plan", "b-1", "absent.json"], 2, "absent.json cannot be read"),
        (["take", "b-1", "--by", "Jane Doe"], 2, "no account"),
        (["take", "b-1", "--by", "clockwork"], 2, "process of ours"),
        (["take", "b-9"], 1, "no open case"),
        (["take", "00000000-0000-0000-0000-000000000000"], 1, "no such case"),
        (["close", "b-1", "--as", "settled", "--reason", "x", "--role", "collector"], 1, "supervisor"),
    ],
)
def test_a_mistake_is_one_line(
    url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    """That says what to do, with nothing written."""
    assert sentence in refused(capsys, *arguments, code=code)
    assert [] == waiting(url)


def test_the_ladder_is_shown_and_its_switches_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hard steps off, on, and of a name that there is not."""
    assert 0 == main(["cases", "ladder", "check"])
    assert "every hard step is off\n" == capsys.readouterr().out
    monkeypatch.setenv("EWS_HARD_STEPS", "lawyers_letter")
    assert 0 == main(["cases", "ladder", "show"])
    assert "lawyers_letter\ton, with a supervisor's approval" in capsys.readouterr().out
    monkeypatch.setenv("EWS_HARD_STEPS", "duel")
    assert "there is no duel" in refused(capsys, "ladder", "check", code=2)
