"""The shapes of a timeline, with coordinates, and what turns days into places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from streams.api.console.words import day

if TYPE_CHECKING:
    from datetime import date

WIDTH = 1120
LEFT, RIGHT, TOP = 178, 44, 40


class Mark(NamedTuple):
    """A sign at a day."""

    x: float
    y: float
    kind: str
    text: str


class Bar(NamedTuple):
    """Something that lasted."""

    x: float
    y: float
    width: float
    kind: str
    text: str


class Curve(NamedTuple):
    """Values by day: the outline, the filled area's points, and labels at its right end."""

    kind: str
    line: str
    area: str
    labels: tuple[tuple[float, str], ...]
    zero: float | None = None


@dataclass(slots=True)
class Row:
    """One line of the drawing."""

    name: str
    y: float
    height: float
    marks: list[Mark] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    curve: Curve | None = None
    more: str = ""


class Said(NamedTuple):
    """A line of the table: when, of what, what happened."""

    day: str
    of: str
    text: str


class Month(NamedTuple):
    """A month on the axis."""

    x: float
    width: float
    name: str
    shaded: bool


@dataclass(slots=True)
class Drawing:
    """All shapes, and the table."""

    rows: list[Row]
    months: list[Month]
    today: float
    height: float
    kinds: set[str]
    table: list[Said]
    left_out: list[str]
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP


class Pen:
    """Turns days into places, and gathers what is said in words."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last
        self._scale = (WIDTH - LEFT - RIGHT) / max(1, (last - first).days)
        self.table: list[Said] = []

    def x(self, at: date) -> float:
        """The place of a day, kept on the axis."""
        days = min(max((at - self.first).days, 0), (self.last - self.first).days)
        return round(LEFT + days * self._scale, 1)

    def seen(self, at: date) -> bool:
        """Whether the day is on the axis."""
        return self.first <= at <= self.last

    def say(self, at: date, of: str, text: str) -> str:
        """Put a sentence into the table; the same with its day, for the shape."""
        self.table.append(Said(at.isoformat(), of, text))
        return f"{day(at)}: {text}"
