"""How far each source is complete, so that a dead feed is not taken for silence.

A source that sends heartbeats is complete through what its last one says. One that sends none counts as complete up to
the tick, unless nothing at all came from it for longer than the quiet limit. Completeness never goes back.

We ourselves are no feed: what our own processes write (`ews/cases`, `ews/notifier`, `ews/snooze`) says nothing of what
is missing, and a day on which nobody made a promise is no fault. Sources of ours are not kept and never stale.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from schemas.alerts import Alert, AlertData, AlertStatus, Measure, Mode, Severity, alert_id, episode_id
from streams.engine.calendar import DAY_MS, HOUR_MS, moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine import policy

DETECTOR = "feed_stale"
FIRST_STEP = "Look at the source's delivery; silence alarms of its borrowers are held until it is complete again."
STALE, RECOVERED = "The source is not complete: silence alarms are held.", "The source is complete again."
OURS = "ews/"
"""What the sources of our own processes begin with."""
FOREVER = 1 << 62


class Feed(msgspec.Struct, array_like=True, gc=False):
    """One source: whether it sends heartbeats, how far it is complete, when an event of it was last seen."""

    beats: bool = False
    complete_ms: int = 0
    seen_ms: int = 0
    revision: int = 0
    stale_since_ms: int = 0
    stale_day: int = 0


class Feeds:
    """The sources of a lane, judged by the rules of a policy.

    `from_file` means that the clock is that of a whole file: what does not come was never sent, so that a source
    without heartbeats is always complete.
    """

    def __init__(self, known: dict[str, Feed], rules: policy.Feeds, *, from_file: bool) -> None:
        self.known = known
        self._policy = rules
        self._from_file = from_file

    def through(self, source: str) -> int:
        """The instant through which a source is complete; a source never heard of is complete as far as time goes."""
        feed = self.known.get(source)
        if feed is None or source.startswith(OURS) or (self._from_file and not self._beats(source, feed)):
            return FOREVER
        return feed.complete_ms

    def saw(self, source: str, timestamp: int) -> None:
        """An event of a source came."""
        if source.startswith(OURS):
            return
        feed = self.known.get(source)
        if feed is None:
            feed = self.known[source] = Feed()
            feed.complete_ms = 0 if self._beats(source, feed) else timestamp
        feed.seen_ms = max(feed.seen_ms, timestamp)

    def beat(self, source: str, complete_ms: int) -> None:
        """A source says how far it is complete."""
        if source.startswith(OURS):
            return
        feed = self.known.setdefault(source, Feed())
        feed.beats = True
        if self._beats(source, feed):
            feed.complete_ms = max(feed.complete_ms, complete_ms)

    def advance(self, now_ms: int) -> None:
        """Time has come to a tick: sources without heartbeats that are not quiet are complete up to it."""
        for source, feed in self.known.items():
            if not self._beats(source, feed) and not self._is_quiet(source, feed, now_ms):
                feed.complete_ms = max(feed.complete_ms, now_ms)

    def next_change_ms(self, sources: list[str], now_ms: int) -> int | None:
        """When the first of the sources becomes stale if nothing more comes; now where one is stale no longer."""
        if any(self._is_back(source, feed, now_ms) for source, feed in self.known.items()):
            return now_ms
        changes = (self._change_ms(source, self.known[source], now_ms) for source in sources)
        return min((at for at in changes if at is not None), default=None)

    def _is_back(self, source: str, feed: Feed, now_ms: int) -> bool:
        """Whether a source that was quiet has sent something since the last tick: the next makes it complete."""
        waits = not self._from_file and not self._beats(source, feed) and feed.complete_ms < now_ms
        return waits and not self._is_quiet(source, feed, now_ms)

    def _change_ms(self, source: str, feed: Feed, now_ms: int) -> int | None:
        if not feed.stale_since_ms:
            return self._stale_from_ms(source, feed)
        return None if self._is_stale(source, feed, now_ms) else now_ms

    def _stale_from_ms(self, source: str, feed: Feed) -> int | None:
        if source.startswith(OURS):  # Kept by an earlier release.
            return None
        if self._beats(source, feed):
            return (feed.complete_ms or feed.seen_ms) + self._stale_ms(source) + 1
        return None if self._from_file else feed.seen_ms + self._quiet_ms(source) + 1

    def _beats(self, source: str, feed: Feed) -> bool:
        """Whether heartbeats are to be waited for: as the policy says, else from the first one on."""
        expected = self._policy.sources.get(source)
        return feed.beats if expected is None or expected.heartbeats is None else expected.heartbeats

    def _stale_ms(self, source: str) -> int:
        own = self._policy.sources.get(source)
        return (self._policy.stale_minutes if own is None or own.stale_minutes is None else own.stale_minutes) * 60_000

    def _quiet_ms(self, source: str) -> int:
        own = self._policy.sources.get(source)
        return (self._policy.quiet_hours if own is None or own.quiet_hours is None else own.quiet_hours) * HOUR_MS

    def _is_quiet(self, source: str, feed: Feed, now_ms: int) -> bool:
        return not self._from_file and now_ms - feed.seen_ms > self._quiet_ms(source)

    def _is_stale(self, source: str, feed: Feed, now_ms: int) -> bool:
        if source.startswith(OURS):
            return False
        if not self._beats(source, feed):
            return self._is_quiet(source, feed, now_ms)
        # Before its first heartbeat a source that owes them is as old as its first event.
        return now_ms - (feed.complete_ms or feed.seen_ms) > self._stale_ms(source)

    def alerts(self, sources: list[str], now_ms: int, policy_version: str, mode: Mode) -> Iterator[Alert]:
        """An operator alert for each of the sources that has become stale, or is no longer."""
        told = partial(self._alert, now_ms=now_ms, policy_version=policy_version, mode=mode)
        for source in sources:
            feed = self.known[source]
            stale = self._is_stale(source, feed, now_ms)
            if stale and not feed.stale_since_ms:
                feed.stale_since_ms = feed.complete_ms or feed.seen_ms
                if feed.stale_since_ms // DAY_MS != feed.stale_day:
                    feed.stale_day, feed.revision = feed.stale_since_ms // DAY_MS, 0
                yield told(source, feed, AlertStatus.OPENED)
            elif feed.stale_since_ms and not stale:
                yield told(source, feed, AlertStatus.RESOLVED)
                feed.stale_since_ms = 0

    def _alert(
        self, source: str, feed: Feed, status: AlertStatus, *, now_ms: int, policy_version: str, mode: Mode
    ) -> Alert:
        feed.revision += 1
        onset = date(1970, 1, 1) + timedelta(days=feed.stale_day)
        episode = episode_id(DETECTOR, source, None, onset)
        identity = alert_id(episode, feed.revision, status, 1)
        behind = max(0, now_ms - feed.complete_ms) // 60_000
        resolved = status is AlertStatus.RESOLVED
        data = AlertData(
            alert_id=identity, episode_id=episode, revision=feed.revision, status=status, step=1,
            severity=Severity.HIGH, mode=mode, detector=DETECTOR, detector_version=1, policy_version=policy_version,
            scope="source", borrower=source, onset=onset, first_step=FIRST_STEP,
            resolution="recovered" if resolved else None,
            reason=RECOVERED if resolved else STALE,
            measures=(Measure(name="minutes_behind", value=behind, threshold=self._stale_ms(source) // 60_000),),
        )  # fmt: skip
        return Alert(
            id=identity, type=f"ews.alert.{status.value}.v1", subject=source, time=moment_of(now_ms), data=data
        )
