"""What is done in a case as events for others: promises and plans for the engine, contacts for the caps, judgements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

import orjson

from schemas.alerts import alert_id
from schemas.codec import encode
from schemas.events import (
    ContactAttempted,
    ContactData,
    ContactReached,
    PromiseMade,
    PromiseMadeData,
    ScheduleChanged,
)
from schemas.outcomes import AlertOutcome, AlertOutcomeData, Verdict
from schemas.topics import ALERT_OUTCOMES
from streams.stores.work import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from schemas.events import Event, ScheduleChangedData
    from streams.casework.contact import Channel
    from streams.stores.case import Episode
    from streams.stores.work import Judgement, Plan, Promise

SOURCE: Final = "ews/cases"


def promise_made(promise: Promise) -> Outgoing:
    """For the detector of broken promises."""
    data = PromiseMadeData(
        loan=promise.loan,
        promise_id=promise.promise_id,
        amount_minor=promise.amount_minor,
        currency=promise.currency,
        promised_on=promise.promised_on,
    )
    event = PromiseMade(
        specversion="1.0",
        id=promise.promise_id,
        source=SOURCE,
        subject=promise.borrower,
        time=promise.made_at,
        data=data,
    )
    return _of_event(event, promise.made_at)


def schedule_changed(plan: Plan, fact: ScheduleChangedData) -> Outgoing:
    """For the schedule that the engine counts days past due by."""
    event = ScheduleChanged(
        specversion="1.0", id=plan.plan_id, source=SOURCE, subject=plan.borrower, time=plan.agreed_at, data=fact
    )
    return _of_event(event, plan.agreed_at)


def contact_made(
    contact_id: str, borrower: str, channel: Channel, loan: str | None, at: datetime, *, reached: bool
) -> Iterator[Outgoing]:
    """That it was tried, and that the borrower was reached if so: caps count the one, the wait after it the other."""
    data = ContactData(contact_id=contact_id, channel=channel.value, loan=loan)
    for model, name in ((ContactAttempted, "attempted"), (ContactReached, "reached")):
        if name == "attempted" or reached:
            event = model(
                specversion="1.0", id=f"{contact_id}:{name}", source=SOURCE, subject=borrower, time=at, data=data
            )
            yield _of_event(event, at)


def latest_alert(episode: Episode) -> str:
    """The id of the alert that left the episode as it is."""
    return str(alert_id(UUID(episode.episode_id), episode.revision, episode.status, episode.step))


def judged(judgement: Judgement, outcome_id: str) -> Outgoing:
    """For the precision of the detector. A note stays in the case: it may name a person."""
    data = AlertOutcomeData(
        alert_id=UUID(judgement.alert_id),
        episode_id=UUID(judgement.episode_id),
        detector=judgement.detector,
        borrower=judgement.borrower,
        outcome=Verdict(judgement.verdict),
        decided_at=judgement.decided_at,
        by=judgement.decided_by,
    )
    event = AlertOutcome(
        specversion="1.0",
        id=outcome_id,
        source=SOURCE,
        subject=judgement.borrower,
        time=judgement.decided_at,
        data=data,
    )
    return Outgoing(outcome_id, ALERT_OUTCOMES, judgement.borrower, encode(event), judgement.decided_at)


def traced(outgoing: Outgoing, traceparent: str | None) -> Outgoing:
    """The event as a part of this trace."""
    if traceparent is None:
        return outgoing
    return replace(outgoing, value=orjson.dumps(orjson.loads(outgoing.value) | {"traceparent": traceparent}))


def _of_event(event: Event, at: datetime) -> Outgoing:
    return Outgoing(event.id, event.topic.value, event.subject, encode(event), at)
