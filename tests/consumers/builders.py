"""Alerts as a worker writes them, for tests: every one with the ids that its content derives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.alerts import Alert, AlertStatus, LoanPosition, Measure, Mode, Severity, alert_id, episode_id
from schemas.codec import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ONSET = date(2026, 3, 1)


def alert(
    status: str = "opened",
    *,
    borrower: str = "b-1",
    detector: str = "missed_installment",
    loan: str | None = "l-1",
    onset: date = ONSET,
    revision: int = 1,
    step: int = 1,
    severity: str = "high",
    mode: str = "live",
    hours: float = 0,
    dpd: int | None = None,
    resolution: str | None = None,
    **more: Any,
) -> Alert:
    """One revision of an episode, `hours` after `START`."""
    episode = episode_id(detector, borrower, loan, onset)
    told = AlertStatus(status)
    ident = alert_id(episode, revision, told, step)
    data = {
        "alert_id": ident,
        "episode_id": episode,
        "revision": revision,
        "status": told,
        "step": step,
        "severity": Severity(severity),
        "mode": Mode(mode),
        "detector": detector,
        "detector_version": 1,
        "policy_version": "test",
        "borrower": borrower,
        "loan": loan,
        "onset": onset,
        "reason": f"{detector} at step {step}.",
        "resolution": resolution or ("cured" if status == "resolved" else None),
        "measures": (Measure(name="days_past_due", value=step, threshold=1, window="P30D"),),
        "evidence": ("e-1",),
        "first_step": f"Look into {detector}.",
        "loans": () if dpd is None or loan is None else (position(loan, dpd),),
    }
    return Alert.model_validate(
        {
            "id": ident,
            "type": f"ews.alert.{told}.v1",
            "subject": borrower,
            "time": START + timedelta(hours=hours),
            "data": {**data, **more},
        }
    )


def position(loan: str, dpd: int) -> LoanPosition:
    """A loan so many days past due."""
    bucket = "M0" if dpd == 0 else f"M{(dpd + 29) // 30}"
    return LoanPosition(
        loan=loan,
        currency="CNY",
        days_past_due=dpd,
        bucket=bucket,
        overdue_minor=1_000 * dpd,
        outstanding_minor=500_000,
    )


def episode(borrower: str, steps: Sequence[tuple[str, str, int]], *, hours: float = 0, **more: Any) -> list[Alert]:
    """The alerts of one episode: (status, severity, step) for each revision, an hour apart."""
    return [
        alert(status, borrower=borrower, severity=severity, step=step, revision=number, hours=hours + number, **more)
        for number, (status, severity, step) in enumerate(steps, start=1)
    ]


def record(told: Alert) -> tuple[bytes, bytes]:
    """The key and value of an alert's Kafka record."""
    return told.subject.encode(), encode(told)
