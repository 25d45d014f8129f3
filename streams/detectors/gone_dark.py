from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine import contacts
from streams.engine.arrears import after_next_due, miss_over
from streams.engine.calendar import DAY_MS, HOUR_MS, iso_days, local_day
from streams.engine.detector import LOAN_EVENTS, BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.contacts import Silence
    from streams.engine.measure import Measure, Seen

DETAILS = frozenset({"device", "phone"})


class GoneDark(Detector):
    """After a miss three contacts on two channels failed or had no answer, or both device and phone were changed.

    Why: a borrower who wants to pay and cannot answers sooner or later; who cannot be reached on any way is often
    unwilling, or has moved on, and each week makes it harder to find them.
    Settings: a lower `tries_min` or `channels_min`, or fewer `answer_hours`, warns earlier and more often; a contact on
    a channel that is not one of `two_way` counts only when it could not be delivered. Being reached ends the count.
    Known false alarms: a holiday or a stay in hospital; a new telephone with a new number.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: 7 watch.
    First step: check number and address, try a channel and an hour that were not tried, then decide on a visit.
    Source: assumption.
    """

    key: ClassVar[str] = "gone_dark"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | contacts.EVENTS
    first_step: ClassVar[str] = "Check number and address, try another channel and hour, then decide on a visit."

    tries_min: int = Field(default=3, ge=1, le=20, description="Contacts in a row that came to nothing")
    channels_min: int = Field(default=2, ge=1, le=5, description="On so many channels")
    dead_high: int = Field(default=3, ge=1, le=20, description="So many undeliverable ones make it high")
    answer_hours: int = Field(default=24, ge=1, le=168, description="How long an answer may take")
    window_days: int = Field(default=120, ge=7, le=365, description="How long a contact counts")
    cooldown_days: int = Field(default=3, ge=0, le=365, description="Days of calm: a debit may come back")
    two_way: frozenset[str] = Field(
        default=frozenset({"call", "sms", "chat", "visit"}), description="Channels on which an answer is expected"
    )

    def measures(self) -> tuple[Measure, ...]:
        """The contacts of late by channel, when somebody was reached, and what has changed."""
        return self._kept

    @cached_property
    def _kept(self) -> contacts.Kept:
        return contacts.kept(self.window_days, self.two_way, DETAILS)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """What came to nothing since the miss and since somebody was reached last."""
        since_ms = contacts.missed_ms(view)
        if since_ms is None:
            return
        silent = [s for s in self._silences(view, since_ms) if s.dead or not self._may_answer(view, s.seen)]
        moved = distinct(view.store(self._kept.changed), since_ms - 1)
        dead, channels = sum(s.dead for s in silent), {s.channel for s in silent}
        has_moved, dark = len(moved) > 1, len(silent) >= self.tries_min and len(channels) >= self.channels_min
        if dark or has_moved:
            grave = has_moved or dead >= self.dead_high
            yield Finding(
                "",
                None,
                2 if grave else 1,
                Severity.HIGH if grave else Severity.WATCH,
                "Device and phone were changed after the miss."
                if has_moved
                else f"{len(silent)} contacts on {len(channels)} channels came to nothing, {dead} undeliverable.",
                (
                    self._measure("contacts_silent", len(silent), self.tries_min),
                    self._measure("channels", len(channels), self.channels_min),
                    self._measure("undeliverable", dead, self.dead_high),
                ),
                tuple(seen.event for seen in [*moved, *(s.seen for s in silent[-6:])]),
            )

    def _measure(self, name: str, value: int, threshold: int) -> alerts.Measure:
        return alerts.Measure(name=name, value=value, threshold=threshold, window=iso_days(self.window_days))

    def _silences(self, view: BorrowerView, since_ms: int) -> list[Silence]:
        return contacts.silences(view, self._kept, since_ms)

    def _may_answer(self, view: BorrowerView, seen: Seen) -> bool:
        return seen.at + self.answer_hours * HOUR_MS > view.complete_ms(seen.source)

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When an answer would have come, the next miss becomes known, or a contact leaves the window."""
        silent = self._silences(view, 0)
        waits = [s.seen for s in silent if not s.dead and self._may_answer(view, s.seen)]
        yield from (Wakeup(seen.at + self.answer_hours * HOUR_MS, seen.source) for seen in waits[:1])
        if silent:
            yield from after_next_due(view)
        if view.episode(self.key, "") is not None:
            kept = [s.seen.at for s in silent] + [seen.at for seen in view.store(self._kept.changed).seen]
            yield from (Wakeup(at + self.window_days * DAY_MS) for at in sorted(kept)[:1])

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Reached, paid, on a new schedule, never so, or long ago."""
        reached = view.store(self._kept.answered).seen
        if reached and local_day(reached[-1].at, view.zone) >= episode.onset:
            return ended(episode, "recovered", "The borrower was reached.")
        since_ms = contacts.missed_ms(view)
        if since_ms is not None and view.now_ms >= since_ms + self.window_days * DAY_MS:
            return ended(episode, "expired", "The contacts are of long ago.")
        if since_ms is None and (over := miss_over(view.loans, episode.onset)):
            return ended(episode, over, "What was missed is paid, on a new schedule, or its loan is over.")
        return ended(episode, "disproved", "Nothing was missed, or they were reached before: it came to light late.")
