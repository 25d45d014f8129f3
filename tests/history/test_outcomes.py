from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import orjson
import pytest

from schemas.codec import decode_outcome, encode
from streams.cli import main
from streams.history.outcomes import Record, wilson

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.outcomes import AlertOutcome

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def identity(name: str) -> str:
    """An id that a name always has."""
    return str(uuid5(NAMESPACE_URL, name))


def alert(episode: str, day: float, *, detector: str = "income_missing", **data: Any) -> dict[str, Any]:
    """An alert as JSON, opened on a day of 2026, of a borrower named like its episode."""
    at = DAY + timedelta(days=day)
    own = {
        "alert_id": identity(f"{episode} {day}"), "episode_id": identity(episode), "detector": detector,
        "mode": "live", "status": "opened", "borrower": f"b-{episode}", "onset": at.date().isoformat(),
    }  # fmt: skip
    return {"subject": own["borrower"], "time": at.isoformat(), "data": own | data}


def missed(borrower: str, day: int, **data: Any) -> dict[str, Any]:
    """A missed installment that was due on a day of 2026."""
    due = date(2026, 1, 1) + timedelta(days=day)
    name = f"miss-{borrower}-{day}"
    return alert(name, day + 1, detector="missed_installment", borrower=borrower, onset=due.isoformat(), **data)


def judged(episode: str, verdict: str, day: float = 90, *, detector: str = "income_missing") -> AlertOutcome:
    """An outcome that was decided on a day of 2026."""
    at = (DAY + timedelta(days=day)).isoformat()
    return decode_outcome(
        orjson.dumps(
            {
                "specversion": "1.0", "id": f"{episode}-{day}", "source": "cases/one", "type": "ews.alert.outcome.v1",
                "subject": f"b-{episode}", "time": at,
                "data": {
                    "alert_id": identity(f"alert {episode}"), "episode_id": identity(episode), "detector": detector,
                    "borrower": f"b-{episode}", "outcome": verdict, "decided_at": at, "by": "c-17",
                },
            }
        )
    )  # fmt: skip


def record(alerts: list[dict[str, Any]], outcomes: list[AlertOutcome], detector: str = "income_missing") -> Record:
    """What was taken up of one detector."""
    own = Record(detector)
    for outcome in outcomes:
        own.outcome(outcome)
    for one in alerts:
        own.alert(one)
    return own


def test_the_interval_is_wilsons() -> None:
    """Worked by hand, also where all or none are true: a few judgements leave much room."""
    assert [0.548, 0.930] == [round(x, 3) for x in wilson(12, 15)]
    assert [0.0, 0.434] == [round(x, 3) for x in wilson(0, 5)]
    assert [0.566, 1.0] == [round(x, 3) for x in wilson(5, 5)]


def test_precision_is_that_of_judged_live_episodes() -> None:
    """Confirmed and valuable are true; the unjudged count as nothing; other detectors and modes are not counted."""
    alerts = [alert(name, 10) for name in "abcde"]
    alerts += [alert("s", 10, mode="shadow"), alert("x", 10, detector="returned_payment")]
    outcomes = [judged("a", "confirmed_risk"), judged("b", "valuable_alert"), judged("c", "false_positive")]
    outcomes += [judged("s", "false_positive"), judged("x", "false_positive", detector="returned_payment")]
    done = record(alerts, outcomes).precision()
    assert (5, 3, 2, 1) == (done.episodes, done.judged, done.true, done.elsewhere)
    assert {"confirmed_risk": 1, "false_positive": 1, "valuable_alert": 1} == done.by_verdict
    assert done.share == pytest.approx(2 / 3)


def test_the_latest_decision_counts() -> None:
    """Whoever judges again overrules, in whatever order the outcomes come; an episode counts once."""
    for order in (1, -1):
        outcomes = [judged("a", "false_positive", 90), judged("a", "confirmed_risk", 95)][::order]
        done = record([alert("a", 10), alert("a", 12, status="escalated")], outcomes).precision()
        assert (1, 1, 1) == (done.episodes, done.judged, done.true)


def test_lead_is_counted_to_the_next_missed_installment() -> None:
    """From the opening to the due day of the first miss after it; earlier misses and withdrawn ones do not count."""
    alerts = [alert(name, 10) for name in "abc"] + [alert("a", 30, status="escalated")]
    alerts += [missed("b-a", 5), missed("b-a", 22), missed("b-a", 52), missed("b-b", 40)]
    alerts += [missed("b-c", 20, status="withdrawn")]
    done = record(alerts, [judged(name, "confirmed_risk") for name in "abc"]).precision()
    assert (2, 21.0) == (done.led, done.lead_days)


def test_a_detector_of_misses_has_no_lead() -> None:
    """What waits for a missed installment does not come before one."""
    alerts = [missed("b-a", 5), missed("b-a", 35)]
    outcome = judged("miss-b-a-5", "confirmed_risk", detector="missed_installment")
    done = record(alerts, [outcome], "missed_installment").precision()
    assert (2, 1, None) == (done.episodes, done.judged, done.lead_days)


def _files(folder: Path, alerts: list[dict[str, Any]], outcomes: list[AlertOutcome]) -> list[str]:
    (folder / "alerts.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in alerts))
    (folder / "outcomes.jsonl").write_bytes(b"".join(encode(one) + b"\n" for one in outcomes))
    return ["--alerts", str(folder / "alerts.jsonl"), "--outcomes", str(folder / "outcomes.jsonl")]


def test_a_detector_shows_its_live_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ews detectors NAME` says how many were judged, the share with its interval, and of how many."""
    names = [f"e{n}" for n in range(20)]
    alerts = [alert(name, 10) for name in names] + [missed(f"b-e{n}", 30 + n) for n in range(3)]
    outcomes = [judged(name, "confirmed_risk" if n < 12 else "false_positive") for n, name in enumerate(names[:15])]
    files = _files(tmp_path, alerts, outcomes)
    assert 0 == main(["detectors", "income_missing", *files])
    assert (
        "Live precision: 12 of 15 judged, 80% [55, 93] (12 confirmed risk, 3 false positive), of 20 live episodes; "
        "3 of the 12 true ones came before a missed installment, by 21 days at the median\n"
    ) in capsys.readouterr().out
    assert 0 == main(["detectors", "income_missing", "--json", *files])
    live = orjson.loads(capsys.readouterr().out)["live"]
    assert (15, 12, 20) == (live["judged"], live["true"], live["episodes"])


def test_nothing_is_claimed_without_outcomes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No outcomes are no precision; without files and without a cluster that is set nothing is said at all."""
    assert 0 == main(["detectors", "income_missing", *_files(tmp_path, [alert("a", 10)], [])])
    assert "Live precision: no outcomes yet, of 1 live episode\n" in capsys.readouterr().out
    assert 0 == main(["detectors", "income_missing"])
    assert "Live precision" not in capsys.readouterr().out


def test_a_cluster_that_is_away_is_said_or_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where only the settings name it the detector is shown all the same; asked for, it is one line."""
    assert 1 == main(["detectors", "income_missing", "--bootstrap", "127.0.0.1:1"])
    assert capsys.readouterr().err.startswith("ews: Kafka at 127.0.0.1:1 cannot be reached")
    monkeypatch.setenv("EWS_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert 0 == main(["detectors", "income_missing"])
    assert "Live precision: not known: Kafka at 127.0.0.1:1 cannot be reached" in capsys.readouterr().out


def test_a_broken_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line that is no alert or no outcome is named; one file without the other is a misuse."""
    files = _files(tmp_path, [alert("a", 10)], [judged("a", "confirmed_risk")])
    with (tmp_path / "outcomes.jsonl").open("ab") as out:
        out.write(b'{"id": "x"}\n')
    assert 2 == main(["detectors", "income_missing", *files])
    assert "outcomes.jsonl line 2 is no outcome: specversion: is required" in capsys.readouterr().err
    (tmp_path / "alerts.jsonl").write_bytes(b"{}\n")
    assert 2 == main(["detectors", "income_missing", *files])
    assert "alerts.jsonl line 1 is no alert" in capsys.readouterr().err
    assert 2 == main(["detectors", "income_missing", *files[:2]])
    assert "--outcomes and --alerts go together" in capsys.readouterr().err
