from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from streams.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of this test's own."""
    monkeypatch.setenv("EWS_DATABASE_URL", f"sqlite:///{tmp_path}/cases.db")


def ews(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `ews notifier ...`."""
    monkeypatch.setattr("sys.argv", ["ews", "notifier", *arguments])
    try:
        code = main()
    except SystemExit as end:
        code = int(end.code or 0)
    told = capsys.readouterr()
    return code or 0, told.out, told.err


def test_a_preview_shows_the_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As it would be sent, with made-up figures, for people and for machines."""
    asked = ("preview", "--step", "overdue_reminder", "--language", "zh-CN", "--channel", "sms")

    code, shown, _ = ews(monkeypatch, capsys, *asked)
    _, as_json, _ = ews(monkeypatch, capsys, *asked, "--json")

    assert 0 == code
    assert "待还¥1,234.50" in shown
    [one] = json.loads(as_json)
    assert ("sms", "zh", "") == (one["channel"], one["language"], one["title"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("preview", "--step", "litigation"), "--step"),
        (("preview", "--step", "overdue_reminder", "--channel", "call"), "sms, push, email"),
        (("prune", "--older-than", "3"), "--older-than"),
        ((), "EWS_OUTBOX_DIR"),
    ],
)
def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    """That says what to do, with exit code 2."""
    code, _, said = ews(monkeypatch, capsys, *arguments)

    assert 2 == code
    assert 1 == len(said.strip().splitlines())
    assert named in said


def test_the_status_follows_a_pause(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Since when, and nothing after it was ended."""
    ews(monkeypatch, capsys, "pause")
    _, paused, _ = ews(monkeypatch, capsys, "status", "--json")
    ews(monkeypatch, capsys, "resume")
    _, going, _ = ews(monkeypatch, capsys, "status", "--json")

    assert json.loads(paused)["paused_since"]
    assert {"paused_since": None, "channels": {}, "refused_7_days": {}} == json.loads(going)


def test_nothing_old_is_nothing_forgotten(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A new database has nothing to forget."""
    _, said, _ = ews(monkeypatch, capsys, "prune", "--json")

    assert {"messages": 0, "applied_alerts": 0} == json.loads(said)
