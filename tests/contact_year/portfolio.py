"""A simulated portfolio's alerts of a year: what `ews simulate` and `ews replay` write, and some deaths among them."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.alerts import AlertStatus
from streams.bootstrap.history import replay_files
from streams.consumers.alerts import read_alert
from streams.history.simulator import Plan, simulate
from tests.consumers.builders import START, alert

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from schemas.alerts import Alert

DEAD_SHARE = 0.02
"""Of the borrowers with a missed installment, so many are reported dead some time later (MD07)."""


def alerts_of_a_year(directory: Path, *, borrowers: int, days: int, seed: int, start: date) -> list[Alert]:
    """The alerts in the order in which the worker wrote them."""
    events, alerts = directory / "events.jsonl", directory / "alerts.jsonl"
    if not alerts.exists():
        simulate(Plan(borrowers, days, seed, start), events, None)
        replay_files([events], alerts=alerts)
        events.unlink()
    with alerts.open("rb") as lines:
        told = [read_alert(None, line) for line in lines]
    return sorted([*told, *_deaths(told, seed)], key=lambda one: one.time)


def _deaths(told: list[Alert], seed: int) -> list[Alert]:
    draw = random.Random(f"deaths {seed}")  # noqa: S311 - the same for the same seed
    missed = {a.subject: a for a in told if a.data.detector == "missed_installment"}
    dead = []
    for borrower, last in sorted(missed.items()):
        if draw.random() >= DEAD_SHARE:
            continue
        at = last.time + timedelta(days=draw.randrange(-20, 20))
        dead.append(
            alert(
                AlertStatus.OPENED, borrower=borrower, detector="mandate_broken", loan=last.data.loan, step=3,
                severity="critical", onset=at.date(), hours=(at - START) / timedelta(hours=1),
            )
        )  # fmt: skip
    return dead
