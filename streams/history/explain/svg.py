"""The timeline as shapes with coordinates: what the page's template draws."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import DAY_MS, moment_of, ms_of
from streams.history.explain.timeline import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.history.explain.timeline import Row, Span, Timeline

WIDTH = 1100
NAMES = 190
RIGHT = 30
TOP = 34
ROW = 24
TALL = 44
"""The height of a row of values."""
TICKS_MAX = 10
TICK_DAYS = (7, 14, 30, 60, 90, 120)
RADIUS = 4.5


class Dot(NamedTuple):
    """A mark."""

    x: float
    y: float
    kind: str
    text: str


class Beam(NamedTuple):
    """A span."""

    x: float
    y: float
    width: float
    severity: str
    text: str


class Curve(NamedTuple):
    """Values by day, as the points of an area, and the highest of them."""

    points: str
    peak: int
    peak_y: float


class Line(NamedTuple):
    """A row of the drawing."""

    name: str
    y: float
    own: bool
    beams: tuple[Beam, ...]
    dots: tuple[Dot, ...]
    curve: Curve | None


class Drawing(NamedTuple):
    """All shapes."""

    width: int
    height: float
    left: int
    right: int
    top: int
    alert_x: float
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


def drawing_of(timeline: Timeline) -> Drawing:
    """The shapes of a timeline."""
    lines, y = [], float(TOP)
    for row in timeline.rows:
        height = TALL if row.values else ROW
        lines.append(_line(row, timeline, y, height))
        y += height
    alert_x = _x(timeline, timeline.alert_ms)
    return Drawing(WIDTH, y + 26, NAMES, WIDTH - RIGHT, TOP, alert_x, tuple(_ticks(timeline)), tuple(lines))


def _x(timeline: Timeline, at_ms: int) -> float:
    share = (at_ms - timeline.start_ms) / (timeline.end_ms - timeline.start_ms)
    return round(NAMES + share * (WIDTH - NAMES - RIGHT), 1)


def _line(row: Row, timeline: Timeline, top: float, height: float) -> Line:
    y = top + height / 2
    ordered = sorted(row.marks, key=lambda mark: -list(Kind).index(mark.kind))
    dots = (Dot(_x(timeline, mark.at_ms), y, mark.kind.value, f"{_day(mark.at_ms)} {mark.text}") for mark in ordered)
    beams = (_beam(span, timeline, y) for span in row.spans)
    return Line(row.name, y, row.own, tuple(beams), tuple(dots), _curve(row, timeline, top, height))


def _beam(span: Span, timeline: Timeline, y: float) -> Beam:
    start, end = _x(timeline, span.start_ms), _x(timeline, span.end_ms)
    return Beam(start, y - 4, max(1.0, round(end - start, 1)), span.severity, f"{_day(span.start_ms)} {span.text}")


def _curve(row: Row, timeline: Timeline, top: float, height: float) -> Curve | None:
    peak = max((value for _, value in row.values), default=0)
    if not peak:
        return None
    base, room = top + height - 4, height - 12
    points = [f"{_x(timeline, row.values[0][0])},{base}"]
    for at, value in row.values:
        y = round(base - value / peak * room, 1)
        points += [f"{_x(timeline, at)},{y}", f"{_x(timeline, min(at + DAY_MS, timeline.end_ms))},{y}"]
    points.append(f"{_x(timeline, min(row.values[-1][0] + DAY_MS, timeline.end_ms))},{base}")
    return Curve(" ".join(points), peak, base - room)


def _ticks(timeline: Timeline) -> Iterator[tuple[float, str]]:
    days = (timeline.end_ms - timeline.start_ms) / DAY_MS
    step = next((step for step in TICK_DAYS if days / step <= TICKS_MAX), TICK_DAYS[-1])
    first = moment_of(timeline.start_ms).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for number in range(int(days // step) + 1):
        at = ms_of(first + timedelta(days=number * step))
        if at <= timeline.end_ms:
            yield _x(timeline, at), _day(at)


def _day(at_ms: int) -> str:
    return f"{moment_of(at_ms):%Y-%m-%d}"
