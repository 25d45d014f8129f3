"""What happened around an alert, on one time axis: rows of marks, of spans and of a value by day. Not yet drawn."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import AlertStatus, Severity
from schemas.events import BorrowerSnoozed, Topic
from streams.engine.calendar import DAY_MS, date_text, day_of, local_day, midnight_ms, ms_of
from streams.engine.loan import ACTIVE, RETURNED
from streams.history.explain.life import days_past_due
from streams.history.explain.words import window_days

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.engine.loan import Installment, Loan
    from streams.history.explain.material import Material, Told

MARGIN_DAYS = 14
BEFORE_DAYS_MAX = 400
"""How far back the axis reaches at most, however old the evidence is."""
AFTER_DAYS_MAX = 180
SPAN_DAYS_MIN = 60
LOANS_MAX = 6
OTHERS_MAX = 14


class Kind(StrEnum):
    """What a mark stands for, the more telling first: where several fall together the first is drawn."""

    EVIDENCE = "evidence"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"
    OPENED = "opened"
    ESCALATED = "escalated"
    UNPAID = "unpaid"
    LATE = "late"
    RETURNED = "returned"
    PAID = "paid"
    RECEIVED = "received"
    AHEAD = "ahead"
    EVENT = "event"


class Mark(NamedTuple):
    """Something at an instant."""

    at_ms: int
    kind: Kind
    text: str


class Span(NamedTuple):
    """Something that lasted. `severity` of an episode."""

    start_ms: int
    end_ms: int
    severity: str
    text: str


class Row(NamedTuple):
    """One line of the timeline."""

    name: str
    marks: tuple[Mark, ...] = ()
    spans: tuple[Span, ...] = ()
    values: tuple[tuple[int, int], ...] = ()
    """The start of a day and the value on it, for each day."""
    own: bool = False
    """Whether it is the episode that is explained."""


class Timeline(NamedTuple):
    """The axis and its rows."""

    start_ms: int
    end_ms: int
    alert_ms: int
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    """What there was no room for, a sentence each."""


def timeline_of(material: Material, loans: Sequence[Loan]) -> Timeline:
    """The timeline around an alert."""
    start_ms, end_ms = _reach(material)
    known_ms = _known_until(material)
    first = sorted(loans, key=lambda loan: (loan.id != material.told.alert.data.loan, loan.watched_from))
    rows: list[Row] = [_own(material, known_ms), _evidence(material)]
    for loan in first[:LOANS_MAX]:
        rows += [_installments(loan, known_ms), _payments(loan), _past_due(loan, start_ms, min(end_ms, known_ms))]
    rows += [*_others(material, known_ms), _calm(material)]
    rows += _events(material)
    kept = tuple(row for row in (_within(row, start_ms, end_ms) for row in rows) if _says_something(row))
    return Timeline(start_ms, end_ms, ms_of(material.told.alert.time), kept, tuple(_left_out(material, loans)))


def _reach(material: Material) -> tuple[int, int]:
    """From the oldest evidence, window and onset to the episode's end, with a margin, as far as may be."""
    alert = material.told.alert
    at = ms_of(alert.time)
    windows = [window_days(measure.window) for measure in alert.data.measures]
    evidence = set(alert.data.evidence)
    early = [ms_of(fact.event.time) for fact in material.facts if fact.event.id in evidence]
    early += [at - int(days * DAY_MS) for days in windows if days]
    early += [midnight_ms(day_of(alert.data.onset), "UTC"), at - SPAN_DAYS_MIN * DAY_MS // 2]
    late = [ms_of(told.alert.time) for told in material.episode]
    start = max(min(early), at - BEFORE_DAYS_MAX * DAY_MS) - MARGIN_DAYS * DAY_MS
    end = min(max(late), at + AFTER_DAYS_MAX * DAY_MS) + MARGIN_DAYS * DAY_MS
    return start, max(end, start + SPAN_DAYS_MIN * DAY_MS)


def _known_until(material: Material) -> int:
    """The last instant of which something is known."""
    told = [ms_of(told.alert.time) for told in (material.told, *material.episode, *material.others)]
    return max(told + [fact.available_ms for fact in material.facts])


def _own(material: Material, known_ms: int) -> Row:
    return _episode("this episode", material.episode, known_ms)._replace(own=True)


def _episode(name: str, told: Sequence[Told], known_ms: int) -> Row:
    """An episode from its opening to its end; one that is open goes on as far as anything is known."""
    marks, spans = [], []
    for number, one in enumerate(told):
        data, at = one.alert.data, ms_of(one.alert.time)
        text = f"{data.status} {data.severity}: {data.reason}"
        marks.append(Mark(at, Kind(data.status.value), text))
        if data.status in {AlertStatus.OPENED, AlertStatus.ESCALATED}:
            end = ms_of(told[number + 1].alert.time) if number + 1 < len(told) else max(known_ms, at)
            spans.append(Span(at, end, data.severity.value, text))
    return Row(name, tuple(marks), tuple(spans))


def _evidence(material: Material) -> Row:
    wanted = set(material.told.alert.data.evidence)
    marks = [
        Mark(ms_of(fact.event.time), Kind.EVIDENCE, f"{fact.event.type} {fact.event.id}")
        for fact in material.facts
        if fact.event.id in wanted
    ]
    return Row("evidence", tuple(marks))


def _installments(loan: Loan, known_ms: int) -> Row:
    today = local_day(known_ms, loan.zone)
    marks = [Mark(midnight_ms(line.due, loan.zone), *_standing(line, loan, today)) for line in loan.installments]
    return Row(f"{loan.id} due", tuple(marks))


def _standing(line: Installment, loan: Loan, today: int) -> tuple[Kind, str]:
    what = f"installment {line.number} of {line.amount} {loan.currency} due {date_text(line.due)}"
    if line.cleared is not None:
        late = line.cleared - line.due
        return (Kind.LATE, f"{what}: paid {late} days late") if late > 0 else (Kind.PAID, f"{what}: paid in time")
    if line.due >= today or (loan.status != ACTIVE and line.due >= loan.ended_on):
        return Kind.AHEAD, what
    return Kind.UNPAID, f"{what}: {line.paid} of it paid" if line.paid else f"{what}: unpaid"


def _payments(loan: Loan) -> Row:
    marks = []
    for payment in loan.payments:
        at, what = midnight_ms(payment.valued, loan.zone), f"{payment.amount} {loan.currency}"
        if payment.state == RETURNED:
            marks.append(Mark(midnight_ms(payment.returned_on, loan.zone), Kind.RETURNED, f"{what} {payment.reason}"))
        else:
            marks.append(Mark(at, Kind.RECEIVED, f"{what} valued {date_text(payment.valued)}"))
    return Row(f"{loan.id} paid", tuple(marks))


def _past_due(loan: Loan, start_ms: int, end_ms: int) -> Row:
    first, last = local_day(start_ms, loan.zone), local_day(end_ms, loan.zone)
    values = tuple((midnight_ms(day, loan.zone), days_past_due(loan, day)) for day in range(first, last + 1))
    return Row(f"{loan.id} days past due", values=values if any(late for _, late in values) else ())


def _others(material: Material, known_ms: int) -> Iterator[Row]:
    episodes: dict[str, list[Told]] = {}
    for told in material.others:
        episodes.setdefault(str(told.alert.data.episode_id), []).append(told)
    by_name: dict[str, list[Row]] = {}
    for revisions in episodes.values():
        name = revisions[0].alert.data.detector
        by_name.setdefault(name, []).append(_episode(name, sorted(revisions, key=_revision), known_ms))
    for name, rows in sorted(by_name.items())[:OTHERS_MAX]:
        marks, spans = (mark for row in rows for mark in row.marks), (span for row in rows for span in row.spans)
        yield Row(name, tuple(marks), tuple(spans))


def _calm(material: Material) -> Row:
    """When nothing was to open or escalate. A later request about the same detector replaces the earlier one."""
    asked = [fact.event for fact in material.facts if isinstance(fact.event, BorrowerSnoozed)]
    spans = []
    for number, event in enumerate(asked):
        later = [ms_of(x.time) for x in asked[number + 1 :] if x.data.detector == event.data.detector]
        start, end = ms_of(event.time), min([ms_of(event.data.until), *later])
        if end > start:
            text = f"calm about {event.data.detector or 'everything'}, asked for by {event.data.by}"
            spans.append(Span(start, end, Severity.INFO.value, text))
    return Row("calm asked for", spans=tuple(spans))


def _events(material: Material) -> Iterator[Row]:
    """The borrower's other events, a row for each topic; those of the servicing stand with their loans already."""
    for topic in (Topic.TRANSACTIONS, Topic.BUREAU, Topic.CONTACTS, Topic.FEEDS):
        marks = (
            Mark(ms_of(fact.event.time), Kind.EVENT, fact.event.type)
            for fact in material.facts
            if fact.event.topic is topic
        )
        yield Row(topic.value, tuple(marks))


def _within(row: Row, start_ms: int, end_ms: int) -> Row:
    """The part of a row that lies on the axis."""
    spans = (
        span._replace(start_ms=max(span.start_ms, start_ms), end_ms=min(span.end_ms, end_ms))
        for span in row.spans
        if span.end_ms >= start_ms and span.start_ms <= end_ms
    )
    return row._replace(
        marks=tuple(mark for mark in row.marks if start_ms <= mark.at_ms <= end_ms),
        spans=tuple(spans),
        values=tuple(value for value in row.values if start_ms <= value[0] <= end_ms),
    )


def _says_something(row: Row) -> bool:
    return bool(row.marks or row.spans or row.values)


def _left_out(material: Material, loans: Sequence[Loan]) -> Iterator[str]:
    if len(loans) > LOANS_MAX:
        yield f"{len(loans) - LOANS_MAX} more loans are not drawn"
    others = {told.alert.data.detector for told in material.others}
    if len(others) > OTHERS_MAX:
        yield f"alerts of {len(others) - OTHERS_MAX} more detectors are not drawn"


def _revision(told: Told) -> int:
    return told.alert.data.revision
