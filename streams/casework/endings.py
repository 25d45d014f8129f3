"""How a case ends by hand and is taken up again, and what its alerts turned out to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.casework.facts import judged, latest_alert
from streams.casework.following import joins
from streams.casework.sla import restarted, state_of, stopped
from streams.casework.standing import assessed
from streams.errors import Conflict, NotFound
from streams.stores.case import CaseState, Pause, of_case
from streams.stores.work import Judgement

if TYPE_CHECKING:
    from schemas.outcomes import Verdict
    from streams.casework.actions import Close, Judge, Reopen
    from streams.casework.deed import Deed
    from streams.stores.case import Case, Episode


def judge(deed: Deed, action: Judge) -> Case:
    """Each judgement goes to `alert-outcomes`; of the whole case it is also the case's outcome."""
    wanted = None if action.episode_id is None else str(action.episode_id)
    held = [episode for episode in deed.book.attached() if wanted in (None, episode.episode_id)]
    if not held:
        raise NotFound("the case holds no such episode")
    deed.write(action.note)
    deed.detail.update(verdict=str(action.verdict), episodes=[episode.episode_id for episode in held])
    for episode in held:
        _judge(deed, episode, action.verdict)
    return deed.case if wanted else replace(deed.case, outcome=action.verdict.value)


def _judge(deed: Deed, episode: Episode, verdict: Verdict) -> None:
    said = Judgement(
        episode_id=episode.episode_id,
        alert_id=latest_alert(episode),
        detector=episode.detector,
        borrower=episode.borrower,
        case_id=deed.case.case_id,
        verdict=verdict.value,
        decided_at=deed.at,
        decided_by=deed.actor.account,
    )
    deed.judgements.append(said)
    deed.outgoing.append(judged(said, deed.id("outcome", episode.episode_id)))


def close(deed: Deed, action: Close) -> Case:
    """Settled is an end as by alerts; everything else is closed. A later alert opens a new case.

    With the case its pauses end, and with them what they say against contacts. So what somebody still has to decide is
    decided first: an open dispute is no reason to forget it.
    """
    undecided = [each for each in (Pause.DISPUTE, Pause.HARDSHIP) if each in deed.case.pauses]
    if undecided:
        raise Conflict(f"{' and '.join(undecided)} of the borrower must be decided first: contacts would go on")
    deed.write(action.reason)
    state = CaseState.RESOLVED if action.closed_as == "settled" else CaseState.CLOSED
    return replace(stopped(deed.case), state=state, closed_as=action.closed_as, closed_at=deed.at)


def reopen(deed: Deed, action: Reopen) -> Case:
    """The same case again, with its episodes as they are by now. There is one open case per borrower."""
    if deed.case.closed_at is None:
        raise Conflict("the case is open")
    if deed.book.open_elsewhere is not None:
        raise Conflict(f"the borrower has an open case already: {deed.book.open_elsewhere}")
    deed.write(action.reason)
    _take_back(deed)
    after = replace(deed.case, closed_at=None, closed_as=None, outcome=None, approved_stage=None)
    held = of_case(after.case_id, deed.book.episodes.values())
    if any(episode.is_open for episode in held):
        after = assessed(after, deed.book, held, deed.ladder)
    return restarted(replace(after, state=state_of(after, ())), deed.at, deed.ladder)


def _take_back(deed: Deed) -> None:
    """What became of the case's episodes since, and what would have joined it."""
    known = deed.book.episodes
    newer = {
        e.episode_id: replace(e, case_id=deed.case.case_id)
        for e in deed.book.since
        if e.episode_id in known or joins(e, deed.ladder)
    }
    deed.episodes += newer.values()
    deed.book = replace(deed.book, episodes={**known, **newer}, since=())
