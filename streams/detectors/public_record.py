from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import Kind, Measure, Seen, distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode

RECORD = "ews.public_record.filed.v1"


class PublicRecord(Detector):
    """A judgment, bankruptcy, enforcement listing or lien against the borrower was filed.

    Why: somebody else has already gone to court, and an enforcement listing stops new credit, so that nothing can be
    refinanced any more.
    Settings: `kinds` are those that count; those of `critical_kinds` are critical and the others high; `window_days`
    is how long one is held against the borrower.
    Known false alarms: a namesake; a lien that belongs to a car or home loan; a record that was paid and not struck
    off.
    On 1,000 simulated healthy borrowers: 0 high episodes a year; with a harmless trouble: none.
    First step: read the record, and have a senior collector compare own claims and ranks before any other step.
    Source: none for a number, because any record counts; enforcement listings are those of the Supreme People's Court
    of China and their like.
    """

    key: ClassVar[str] = "public_record"
    listens: ClassVar[frozenset[str]] = frozenset({RECORD})
    first_step: ClassVar[str] = (
        "Read the record; have a senior collector compare own claims and ranks before any other step."
    )

    kinds: frozenset[str] = frozenset({"judgment", "bankruptcy", "enforcement", "lien", "other"})
    critical_kinds: frozenset[str] = frozenset({"bankruptcy", "enforcement"})
    window_days: int = Field(default=365, ge=1, le=365)

    def measures(self) -> tuple[Measure, ...]:
        """The records by kind."""
        return (self._records,)

    @cached_property
    def _records(self) -> Measure:
        where = (("kind", self.kinds),)
        return Measure("public_records", RECORD, Kind.DISTINCT, self.window_days, where, field="reference", per="kind")

    def _seen(self, view: BorrowerView) -> list[tuple[Seen, str]]:
        since = view.now_ms - self.window_days * DAY_MS
        found = [(entry, kind) for kind, store in view.stores(self._records) for entry in distinct(store, since)]
        return sorted(found, key=lambda pair: (pair[0].at, pair[1], pair[0].what))

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """All records of the window."""
        seen = self._seen(view)
        if not seen:
            return
        critical = any(kind in self.critical_kinds for _, kind in seen)
        kinds = ", ".join(sorted({kind for _, kind in seen}))
        yield Finding(
            "",
            None,
            2 if critical else 1,
            Severity.CRITICAL if critical else Severity.HIGH,
            f"Public records were filed against the borrower: {kinds}.",
            (alerts.Measure(name="public_records", value=len(seen), threshold=1, window=iso_days(self.window_days)),),
            tuple(entry.event for entry, _ in seen[-12:]),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When the last record leaves the window."""
        seen = self._seen(view)
        if seen:
            yield Wakeup(seen[-1][0].at + self.window_days * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:  # noqa: ARG002 - it only grows old
        """It is of long ago."""
        return ended(episode, "expired", f"No public record is known of the last {self.window_days} days.")
