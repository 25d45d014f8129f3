"""An alert explained, as plain values: what every way of showing it (terminal, page, JSON) is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.alerts import AlertStatus
from streams.history.explain.words import name_text, number_text, window_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from schemas.alerts import Alert, Measure
    from streams.history.explain.material import Fact, Material, Told
    from streams.history.explain.rebuild import Rebuilt
    from streams.history.explain.timeline import Row, Timeline


class About(NamedTuple):
    """What the detector says of itself today."""

    title: str
    why: str
    version: int | None
    """None where no detector of this release has the name."""
    policy_version: str


class Bar(NamedTuple):
    """A value against its threshold, both as shares of the drawn length."""

    value: float
    threshold: float


class MeasureLine(NamedTuple):
    """One number behind the alert."""

    name: str
    value: str
    threshold: str
    window: str
    bar: Bar | None


class Evidence(NamedTuple):
    """An event behind the alert, or its id alone where the event is not there any more."""

    id: str
    found: bool
    type: str = ""
    source: str = ""
    occurred_at: datetime | None = None
    place: str = ""
    said: str = ""


class Revision(NamedTuple):
    """One message about the episode."""

    revision: int
    at: datetime
    status: str
    severity: str
    step: int
    mode: str
    reason: str
    resolution: str
    alert_id: str
    asked: bool


class Standing(NamedTuple):
    """Another episode of the same borrower that was open when the alert was made."""

    detector: str
    severity: str
    opened_at: datetime
    reason: str
    alert_id: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is said of an alert."""

    alert: Alert
    place: str
    headline: str
    about: About
    notes: tuple[str, ...]
    """What the reader must know before believing the rest."""
    measures: tuple[MeasureLine, ...]
    evidence: tuple[Evidence, ...]
    evidence_note: str
    """Why some of the evidence is not there; empty if all of it is."""
    episode: tuple[Revision, ...]
    standing: tuple[Standing, ...]
    timeline: Timeline
    rebuilt: Rebuilt


def story_of(material: Material, about: About, timeline: Timeline, rebuilt: Rebuilt) -> Story:
    """The explanation of an alert."""
    alert = material.told.alert
    evidence = tuple(_evidence(material))
    return Story(
        alert,
        material.told.place,
        headline_of(alert),
        about,
        tuple(_notes(material, about)),
        tuple(map(_measure, alert.data.measures)),
        evidence,
        _evidence_note(material, evidence),
        tuple(_revision(told, asked=told.alert.id == alert.id) for told in material.episode),
        tuple(_standing(material)),
        timeline,
        rebuilt,
    )


def headline_of(alert: Alert) -> str:
    """What was found, in a sentence."""
    data = alert.data
    of = f"loan {data.loan} of borrower {data.borrower}" if data.loan else f"{data.scope or 'borrower'} {data.borrower}"
    return f"{data.detector} {data.status} ({data.severity}) for {of}: {data.reason}"


def _notes(material: Material, about: About) -> list[str]:
    data = material.told.alert.data
    notes = []
    if data.mode != "live":
        notes.append(f"Its mode is {data.mode}: it opens no case and sends nothing.")
    if about.version is not None and about.version != data.detector_version:
        notes.append(
            f"It was made by version {data.detector_version} of the detector; what is said of it is of version "
            f"{about.version}."
        )
    if about.policy_version and about.policy_version != data.policy_version:
        notes.append(f"It was made under the policy {data.policy_version}; in force here is {about.policy_version}.")
    last = material.episode[-1].alert.data
    if last.status is AlertStatus.WITHDRAWN and data.status is not AlertStatus.WITHDRAWN:
        notes.append(f"It was withdrawn later: {last.reason}")
    # Without its note: that is for whoever judges, and may hold more than belongs here.
    for outcome in material.outcomes[-1:]:
        said = outcome.data
        judged = f"{said.outcome.value.replace('_', ' ')} by {said.by} on {said.decided_at:%Y-%m-%d}"
        again = f", the last of {len(material.outcomes)} outcomes" if len(material.outcomes) > 1 else ""
        notes.append(f"It was judged: {judged}{again}.")
    return notes


def _measure(measure: Measure) -> MeasureLine:
    return MeasureLine(
        name_text(measure.name),
        number_text(measure.value),
        number_text(measure.threshold),
        window_text(measure.window),
        _bar(measure.value, measure.threshold),
    )


def _bar(value: float | str, threshold: float | str | None) -> Bar | None:
    if isinstance(value, str) or not isinstance(threshold, int | float):
        return None
    longest = max(value, threshold)
    if longest <= 0 or min(value, threshold) < 0:
        return None
    return Bar(value / longest, threshold / longest)


def _evidence(material: Material) -> list[Evidence]:
    by_id: dict[str, Fact] = {}
    for fact in material.facts:
        by_id.setdefault(fact.event.id, fact)
    return [_piece(identity, by_id.get(identity)) for identity in material.told.alert.data.evidence]


def _piece(identity: str, fact: Fact | None) -> Evidence:
    if fact is None:
        return Evidence(identity, found=False)
    event = fact.event
    return Evidence(
        identity,
        found=True,
        type=event.type,
        source=event.source,
        occurred_at=event.time,
        place=fact.place,
        said=said_by(fact),
    )


def said_by(fact: Fact) -> str:
    """What an event says, in its own words: the fields of its type alone, so nothing that a producer added."""
    data: dict[str, Any] = fact.event.data.model_dump(mode="json", exclude_none=True)  # type: ignore[attr-defined] # each type has it
    return ", ".join(f"{name} {_short(value)}" for name, value in data.items() if value not in ((), [], ""))


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"of {len(value)} lines"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _evidence_note(material: Material, evidence: tuple[Evidence, ...]) -> str:
    missing = sum(not piece.found for piece in evidence)
    if not missing:
        return ""
    if not material.events_known:
        return "No event file was given (--events), so the events themselves are not shown."
    if material.cut:
        return (
            f"{missing} of {len(evidence)} events are not there any more: retention has deleted the oldest records of "
            f"{', '.join(material.cut)}."
        )
    return f"{missing} of {len(evidence)} events are not among those that were searched."


def _revision(told: Told, *, asked: bool) -> Revision:
    data = told.alert.data
    return Revision(
        data.revision, told.alert.time, data.status.value, data.severity.value, data.step, data.mode.value, data.reason,
        data.resolution or "", str(data.alert_id), asked,
    )  # fmt: skip


def _standing(material: Material) -> Iterator[Standing]:
    """Each by its last revision up to the alert: a risk is made of these."""
    opened: dict[UUID, datetime] = {}
    latest: dict[UUID, Told] = {}
    asked = material.told.alert
    for told in material.others:
        data = told.alert.data
        if told.alert.time <= asked.time and data.mode == asked.data.mode:
            opened.setdefault(data.episode_id, told.alert.time)
            latest[data.episode_id] = told
    for told in latest.values():
        data = told.alert.data
        if data.status in {AlertStatus.OPENED, AlertStatus.ESCALATED}:
            at = opened[data.episode_id]
            yield Standing(data.detector, data.severity.value, at, data.reason, str(data.alert_id))


def as_json(story: Story) -> dict[str, Any]:
    """The explanation for machines."""
    timeline = story.timeline
    return {
        "alert": story.alert.model_dump(mode="json", exclude_none=True),
        "place": story.place,
        "found": story.headline,
        "detector": {
            "title": story.about.title,
            "why": story.about.why,
            "version_today": story.about.version,
            "policy_in_force": story.about.policy_version,
        },
        "notes": list(story.notes),
        "evidence": [_without_blanks(piece._asdict()) for piece in story.evidence],
        "evidence_note": story.evidence_note,
        "episode": [revision._asdict() for revision in story.episode],
        "open_beside_it": [standing._asdict() for standing in story.standing],
        "timeline": timeline._asdict() | {"rows": [_row(row) for row in timeline.rows]},
        "rebuilt": story.rebuilt._asdict(),
    }


def _row(row: Row) -> dict[str, Any]:
    marks, spans = [mark._asdict() for mark in row.marks], [span._asdict() for span in row.spans]
    return {**row._asdict(), "marks": marks, "spans": spans}


def _without_blanks(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}
