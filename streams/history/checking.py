"""Checking a file of events for its producer: which lines would become dead letters, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.codec import InvalidEvent, Reason, decode
from streams.history.files import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from schemas.events import Event

MISTAKES_KEPT_MAX = 1_000


class Mistake(NamedTuple):
    """A bad line. `detail` names fields and rules, never a value."""

    file: str
    line: int
    reason: Reason
    detail: str

    def __str__(self) -> str:
        """As a compiler would say it."""
        return f"{self.file}:{self.line}: {self.reason}: {self.detail}"


@dataclass(slots=True)
class Verdict:
    """What came of checking a file. The first mistakes are kept, all are counted."""

    types: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def good(self) -> int:
        """Events without a mistake."""
        return sum(self.types.values())

    @property
    def bad(self) -> int:
        """Lines that would become dead letters."""
        return sum(self.reasons.values())

    def sentence(self, file: str) -> str:
        """The verdict in one line."""
        why = ", ".join(f"{n:,} {reason}" for reason, n in self.reasons.most_common())
        return f"{file}: {self.good:,} good, {self.bad:,} bad" + (f" ({why})" if why else "")

    def as_dict(self) -> dict[str, Any]:
        """The verdict for machines."""
        return {
            "good": self.good,
            "bad": self.bad,
            "types": dict(sorted(self.types.items())),
            "reasons": {str(reason): n for reason, n in sorted(self.reasons.items())},
            "mistakes": [mistake._asdict() for mistake in self.mistakes],
            "mistakes_left_out": self.bad - len(self.mistakes),
        }


def check(file: Path | str, report: Callable[[Mistake], None] | None = None) -> Verdict:
    """Check each line for itself; `report` hears of each mistake at once. Raises Misconfigured for the file."""
    verdict = Verdict()
    for number, value in read_lines(file):
        try:
            event = decode(value)
            _check_key(event)
        except InvalidEvent as fault:
            mistake = Mistake(str(file), number, fault.reason, fault.detail)
            verdict.reasons[fault.reason] += 1
            if len(verdict.mistakes) < MISTAKES_KEPT_MAX:
                verdict.mistakes.append(mistake)
            if report:
                report(mistake)
        else:
            verdict.types[event.type] += 1
    return verdict


def _check_key(event: Event) -> None:
    if event.partitionkey is not None and event.partitionkey != event.subject:
        raise InvalidEvent(Reason.WRONG_KEY, "partitionkey is not the subject")
