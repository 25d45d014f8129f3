"""What an alert says of its episode, of the loans and of the borrower's risk, taken over into the book."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from schemas import traces
from schemas.alerts import Mode
from streams.stores.case import ENDED, CaseLoan, Entry, Episode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from schemas.alerts import Alert, AlertData
    from streams.casework.ladder import Ladder
    from streams.stores.case import Book, Case

ACTOR = "alerts"
"""Who the audit trail says did it, when an alert did."""
_OF_LOANS = {field.name for field in fields(CaseLoan)} - {"as_of"}
"""What a case keeps of a loan's position. An alert may say more, as it may gain fields."""


def time_of(alert: Alert) -> datetime:
    """When what it says was so: a replay gives the same."""
    return alert.time.astimezone(UTC)


def followed(book: Book, known: Episode | None, alert: Alert) -> Episode:
    """The episode as the alert leaves it. When it ends it keeps the severity that it had while it was open."""
    data, at = alert.data, time_of(alert)
    ended = data.status in ENDED
    held = known is not None and book.case is not None and known.case_id == book.case.case_id
    return Episode(
        episode_id=str(data.episode_id),
        case_id=known.case_id if known and held else None,
        borrower=data.borrower,
        detector=data.detector,
        loan=data.loan,
        onset=data.onset,
        mode=data.mode,
        status=data.status,
        severity=known.severity if known and ended else data.severity,
        step=data.step,
        revision=data.revision,
        reason=data.reason,
        first_step=known.first_step if known and ended else data.first_step,
        resolution=data.resolution,
        measures=tuple(measure.model_dump(exclude_none=True) for measure in data.measures),
        opened_at=known.opened_at if known and (known.is_open or ended) else at,
        changed_at=at,
        risk=_risk(data),
    )


def _risk(data: AlertData) -> dict[str, Any] | None:
    if data.risk is None:
        return None
    return data.risk.model_dump(include={"tier", "score", "stance", "recovery"}, exclude_none=True)


def joins(episode: Episode, rules: Ladder) -> bool:
    """Whether an open case takes it in."""
    return episode.mode is Mode.LIVE and episode.severity.rank >= rules.attaches_from.rank


def with_risk(case: Case, still: Iterable[Episode]) -> Case:
    """The case with the borrower's risk as the latest open episode about it says; with none open it says nothing."""
    told = [episode for episode in still if episode.risk is not None]
    latest = max(told, key=lambda e: (e.changed_at, e.episode_id), default=None)
    risk = (latest.risk if latest else None) or {}
    return replace(
        case,
        tier=risk.get("tier"),
        score=risk.get("score"),
        stance=risk.get("stance"),
        recovery=risk.get("recovery"),
    )


def loans_after(known: Iterable[CaseLoan], alert: Alert) -> tuple[CaseLoan, ...]:
    """The loans with what the alert says of them. What a loan was later than this alert stays."""
    at = time_of(alert)
    loans = {loan.loan: loan for loan in known}
    for position in alert.data.loans:
        before = loans.get(position.loan)
        if before is None or before.as_of <= at:
            loans[position.loan] = CaseLoan(**position.model_dump(include=_OF_LOANS), as_of=at)
    return tuple(loans[name] for name in sorted(loans))


def entry_of(case: str, alert: Alert, action: str, **more: Any) -> Entry:
    """An audit line that an alert makes."""
    traced = {"traceparent": alert.traceparent} if traces.valid(alert.traceparent) else {}
    return Entry(case, time_of(alert), ACTOR, action, {**_quoted(alert.data), **traced, **more})


def _quoted(data: AlertData) -> dict[str, Any]:
    return {
        "alert_id": str(data.alert_id),
        "episode_id": str(data.episode_id),
        "detector": data.detector,
        "severity": str(data.severity),
        "step": data.step,
        "revision": data.revision,
        "reason": data.reason,
        **({"resolution": data.resolution} if data.resolution else {}),
    }
