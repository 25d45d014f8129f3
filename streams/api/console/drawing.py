"""A borrower's timeline as shapes with coordinates, which the template draws as SVG, and the same as lines of a table.

From top to bottom: the months; for each loan its installments, payments and days past due; the balance; inquiries;
alerts as bars; contacts, refusals and promises. Every shape carries its sentence, and every sentence stands in the
table too, for who cannot see the drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from streams.api.console.shapes import LEFT, RIGHT, TOP, WIDTH, Bar, Curve, Drawing, Mark, Month, Pen, Row
from streams.api.console.words import SPOKEN_STANDING, day, money, spoken
from streams.casework.timeline import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from streams.casework.contact import PastContact
    from streams.casework.timeline import Balance, DueInstallment, LoanPast, TimelineView
    from streams.stores.case import Episode
    from streams.stores.work import Promise

DAY = timedelta(days=1)
LANE = 24
TALL = 58
"""The height of a row with a curve."""
GAP = 3
LOANS_MAX = 4
LANES_MAX = 14
"""Detectors whose alerts are drawn, the ones with the most severe first."""
MARGIN_DAYS = 5
SPAN_DAYS_MIN = 45
MONTH_PIXELS_MIN = 62
"""Months narrower than this are named every second, third ... time."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the database knows of a borrower, as far as it is drawn."""

    episodes: Sequence[Episode] = ()
    promises: Sequence[Promise] = ()
    contacts: Sequence[PastContact] = ()
    refusals: Sequence[tuple[datetime, str, str]] = ()
    """When, on which channel, by which rule."""


def drawing_of(view: TimelineView | None, past: Past, now: datetime) -> Drawing | None:
    """The drawing; None where there is nothing to draw."""
    reach = _reach(view, past, now)
    if reach is None:
        return None
    pen = Pen(*reach)
    rows: list[Row] = []
    left_out: list[str] = []
    if view is not None:
        for loan in view.loans[:LOANS_MAX]:
            rows += _loan_rows(loan, pen)
        if len(view.loans) > LOANS_MAX:
            left_out.append(f"{len(view.loans) - LOANS_MAX} more loans are not drawn")
        rows += [_balance_row(balance, pen) for balance in view.balances if len(balance.days) > 1]
        rows += _inquiry_rows(view, pen)
    rows += _alert_rows(past.episodes, pen, now, left_out)
    rows += [*_contact_rows(past, pen), *_promise_rows(past.promises, pen)]
    height = _placed(rows)
    kinds = {mark.kind for row in rows for mark in row.marks} | {bar.kind for row in rows for bar in row.bars}
    kinds |= {row.curve.kind for row in rows if row.curve}
    table = sorted(pen.table, key=lambda said: (said.day, said.of), reverse=True)
    return Drawing(rows, list(_months(pen)), pen.x(now.date()), height, kinds, table, left_out)


def _reach(view: TimelineView | None, past: Past, now: datetime) -> tuple[date, date] | None:
    first = [episode.opened_at.date() for episode in past.episodes] + [x.at.date() for x in past.contacts]
    last = [promise.promised_on for promise in past.promises] + [now.date()]
    if view is not None:
        first, last = [*first, view.first], [*last, min(view.last, now.date())]
    if not first:
        return None
    end = max(last) + timedelta(days=MARGIN_DAYS)
    return min(min(first) - timedelta(days=MARGIN_DAYS), end - timedelta(days=SPAN_DAYS_MIN)), end


def _placed(rows: Iterable[Row]) -> float:
    """Move the rows, made as if each stood at 0, below one another. The height of all."""
    y = float(TOP)
    for row in rows:
        row.y = y
        row.marks = [mark._replace(y=round(mark.y + y, 1)) for mark in row.marks]
        row.bars = [bar._replace(y=round(bar.y + y, 1)) for bar in row.bars]
        y += row.height + GAP
    return y + 6


def _months(pen: Pen) -> Iterator[Month]:
    start = pen.first.replace(day=1)
    months = [start]
    while (following := (months[-1] + timedelta(days=32)).replace(day=1)) <= pen.last:
        months.append(following)
    every = 1
    while len(months) / every * MONTH_PIXELS_MIN > WIDTH - LEFT - RIGHT:
        every += 1
    for number, month in enumerate(months):
        x = pen.x(month)
        end = pen.x((month + timedelta(days=32)).replace(day=1))
        name = f"{month:%b %Y}" if number % every == 0 and end - x > MONTH_PIXELS_MIN / 2 else ""
        yield Month(x, round(end - x, 1), name, shaded=bool(number % 2))


# -- loans ----------------------------------------------------------------------------------------------------------


def _loan_rows(loan: LoanPast, pen: Pen) -> Iterator[Row]:
    due = Row(f"{loan.loan} due", 0, LANE, more=loan.currency)
    for line in loan.installments:
        if pen.seen(line.due_on):
            due.marks.append(Mark(pen.x(line.due_on), LANE / 2, line.standing, _of_installment(line, loan, pen)))
    paid = Row(f"{loan.loan} paid", 0, LANE)
    for one in loan.received:
        kind, text = "received", f"{money(one.amount_minor, loan.currency)} paid"
        if one.returned_on is not None:
            kind, text = "returned", f"{text}, sent back {day(one.returned_on)} {one.reason}".rstrip()
        if pen.seen(one.on):
            paid.marks.append(Mark(pen.x(one.on), LANE / 2, kind, pen.say(one.on, loan.loan, text)))
    yield from (row for row in (due, paid) if row.marks)
    if loan.days_past_due:
        yield _past_due(loan, pen)


def _of_installment(line: DueInstallment, loan: LoanPast, pen: Pen) -> str:
    late = f" {line.days_late} days late" if line.days_late else ""
    part = line.standing is Standing.UNPAID and line.paid_minor
    of_it = f", {money(line.paid_minor, loan.currency)} of it paid" if part else ""
    text = f"installment {line.number} of {money(line.amount_minor, loan.currency)}: "
    return pen.say(line.due_on, loan.loan, f"{text}{SPOKEN_STANDING[line.standing]}{late}{of_it}")


def _past_due(loan: LoanPast, pen: Pen) -> Row:
    """Days past due as an area: each run of days its own, up to the most days of all."""
    peak_on, peak = max(loan.days_past_due, key=lambda one: one[1])
    base, room = TALL - 2, TALL - 14
    shapes = []
    for run in _runs([one for one in loan.days_past_due if pen.seen(one[0])]):
        steps = (f"V{round(base - number / peak * room, 1)}H{pen.x(at + DAY)}" for at, number in run)
        shapes.append(f"M{pen.x(run[0][0])} {base}{''.join(steps)}V{base}")
    pen.say(peak_on, loan.loan, f"{peak} days past due, the most")
    outline = " ".join(shapes)
    curve = Curve("dpd", outline, outline, ((base - room + 4, f"{peak} d"),))
    return Row("days past due", 0, TALL, curve=curve)


def _runs(days: Iterable[tuple[date, int]]) -> list[list[tuple[date, int]]]:
    """Values of days that follow one another, together."""
    runs: list[list[tuple[date, int]]] = []
    for at, number in days:
        if not runs or runs[-1][-1][0] + DAY != at:
            runs.append([])
        runs[-1].append((at, number))
    return runs


# -- balance, inquiries ---------------------------------------------------------------------------------------------


def _balance_row(balance: Balance, pen: Pen) -> Row:
    low, high = min(0, *(v for _, v in balance.days)), max(0, *(v for _, v in balance.days))
    room, span = TALL - 12, (high - low) or 1

    def y(value: int) -> float:
        return round(TALL - 4 - (value - low) / span * room, 1)

    days = [one for one in balance.days if pen.seen(one[0])] or list(balance.days[-1:])
    points = [f"M{pen.x(days[0][0])} {y(days[0][1])}"]
    points += [f"H{pen.x(at)}V{y(value)}" for at, value in days[1:]]
    labels = [(y(high) + 4, _short(high, balance.currency))]
    if low < 0:
        labels.append((y(low) + 4, _short(low, balance.currency)))
    for at, value in _turns(balance):
        pen.say(at, "accounts", f"balance {money(value, balance.currency)}")
    curve = Curve("balance", " ".join(points), "", tuple(labels), y(0) if low < 0 else None)
    return Row("balance", 0, TALL, curve=curve, more=balance.currency)


def _turns(balance: Balance) -> Iterator[tuple[date, int]]:
    """The last balance of each month: what the table says of the line."""
    last: dict[tuple[int, int], tuple[date, int]] = {(at.year, at.month): (at, value) for at, value in balance.days}
    return iter(last.values())


def _short(minor: int, currency: str) -> str:
    """An amount that fits beside the axis."""
    major = float(money(minor, currency, plain=True))
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if abs(major) >= size:
            return f"{major / size:.3g}{unit}"
    return f"{major:.3g}"


def _inquiry_rows(view: TimelineView, pen: Pen) -> Iterator[Row]:
    row = Row("inquiries", 0, LANE)
    for one in view.inquiries:
        text = f"{'hard' if one.hard else 'soft'} inquiry by {one.lender}"
        if pen.seen(one.on):
            kind = "hard" if one.hard else "soft"
            row.marks.append(Mark(pen.x(one.on), LANE / 2, kind, pen.say(one.on, "bureau", text)))
    if row.marks:
        row.more = str(len(row.marks))
        yield row


# -- what the database knows ----------------------------------------------------------------------------------------


def _alert_rows(episodes: Iterable[Episode], pen: Pen, now: datetime, left_out: list[str]) -> Iterator[Row]:
    by_detector: dict[str, list[Episode]] = {}
    for episode in {e.episode_id: e for e in episodes}.values():
        by_detector.setdefault(episode.detector, []).append(episode)
    ordered = sorted(by_detector.items(), key=lambda item: (-max(e.severity.rank for e in item[1]), item[0]))
    if len(ordered) > LANES_MAX:
        left_out.append(f"alerts of {len(ordered) - LANES_MAX} more detectors are not drawn")
    for detector, held in ordered[:LANES_MAX]:
        row = Row(spoken(detector), 0, LANE)
        for episode in sorted(held, key=lambda e: e.opened_at):
            row.bars.append(_alert_bar(episode, pen, now))
        yield row


def _alert_bar(episode: Episode, pen: Pen, now: datetime) -> Bar:
    start = episode.opened_at.astimezone(UTC).date()
    end = max(start, (now if episode.is_open else episode.changed_at).astimezone(UTC).date())
    how = f"{episode.severity} alert, {'still open' if episode.is_open else f'{episode.status} {day(end)}'}"
    text = pen.say(start, spoken(episode.detector), f"{how}: {episode.reason}")
    x = pen.x(start)
    return Bar(x, LANE / 2 - 5, max(4.0, round(pen.x(end) - x, 1)), _bar_kind(episode), text)


def _bar_kind(episode: Episode) -> str:
    return f"{episode.severity}{'' if episode.is_open else ' over'}"


def _contact_rows(past: Past, pen: Pen) -> Iterator[Row]:
    row = Row("contacts", 0, LANE)
    for one in past.contacts:
        at = one.at.astimezone(UTC).date()
        kind, how = "tried", "not reached"
        if one.reached_at is not None:
            kind, how = "talked", "reached"
        elif one.undeliverable_at is not None:
            kind, how = "lost", "undeliverable"
        row.marks.append(Mark(pen.x(at), LANE / 2, kind, pen.say(at, "contact", f"{one.channel}, {how}")))
    for moment, channel, rule in past.refusals:
        at = moment.astimezone(UTC).date()
        text = pen.say(at, "contact", f"{channel} refused by the rule {spoken(rule)}")
        row.marks.append(Mark(pen.x(at), LANE / 2, "refused", text))
    if row.marks:
        yield row


def _promise_rows(promises: Sequence[Promise], pen: Pen) -> Iterator[Row]:
    row = Row("promises", 0, LANE)
    for one in promises:
        made = one.made_at.astimezone(UTC).date()
        text = f"{money(one.amount_minor, one.currency)} promised for {day(one.promised_on)}: {one.state}"
        x = pen.x(made)
        width = max(4.0, round(pen.x(one.promised_on) - x, 1))
        row.bars.append(Bar(x, LANE / 2 - 3, width, f"promise {one.state}", pen.say(made, "promise", text)))
        row.marks.append(Mark(pen.x(one.promised_on), LANE / 2, f"promise-{one.state}", text))
    if row.bars:
        yield row
