"""Sending what waits: wait -> dedup -> worth -> contact policy -> send with retry -> record.

A stage gives None to let a message pass, or a verdict that ends its way. The contact policy is asked at every try, and
gives what the channel takes. Recording comes last, so a crash repeats a message (under the same key) rather than loses
it. Staff read of one borrower on one channel in order; messages of different borrowers go out side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential_jitter,
)

from schemas.traces import trace_id
from streams import clock
from streams.consumers.channels.channel import AskedToWait, Parcel
from streams.errors import EarlyWarningError, Rejected, Unavailable
from streams.stores.messages import BORROWER, STAFF, Message, MessageStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from streams.consumers.channels.channel import Channel
    from streams.metrics import Metrics
    from streams.stores.messages import MessageStore, Then

log = structlog.get_logger(__name__)

Stage = Callable[[Message], Awaitable[Verdict | None]]
Policy = Callable[[Message], Awaitable[Verdict | Parcel | None]]
"""What may go out now; or why not; or None for a message that has come to its end meanwhile."""

PASS_MESSAGES_MAX = 200
SIDE_BY_SIDE_MAX = 16
RECORD_MESSAGES = 25
"""How many are recorded together, so how many a crash can repeat, with those on their way."""
ATTEMPTS_AT_ONCE = 3
"""Tries in quick succession; after them the message waits its turn, and others go first."""
SEND_SECONDS_MAX = 60.0
"""How long a channel may take over a message: an answer that never ends would hold up everybody else's."""
RETRY_SECONDS_FIRST = 0.1
RETRY_SECONDS_AT_ONCE_MAX = 2.0
RETRY_SECONDS_MAX = 300.0
REST_SECONDS_MAX = 60.0
"""How long a channel on which nothing gets through is left alone at most."""
PAUSE_SECONDS = 0.2
"""How long a pause may take to hold back messages that are on their way to a channel."""
IDLE_SECONDS = 1.0
"""How often a quiet notifier looks for messages whose time has come, and for the end of a pause."""

_COUNTED = {
    MessageStatus.SENT: "sent",
    MessageStatus.WAITING: "retried",
    MessageStatus.REJECTED: "failed",
    MessageStatus.REFUSED: "refused",
    MessageStatus.SUPERSEDED: "duplicate",
    MessageStatus.EXPIRED: "expired",
}


class Delivery:
    """Sends the waiting messages of the partitions that are ours, until `stop` is set."""

    def __init__(
        self,
        store: MessageStore,
        channels: Sequence[Channel],
        policy: Policy,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        partitions: Callable[[], Collection[int]],
        stop: asyncio.Event,
        then: Then | None = None,
        borrowers_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        for channel in self._channels:
            for outcome in _COUNTED.values():
                metrics.notifications.labels(channel, outcome)  # From 0 on: a rate is seen from the first one.
        self._metrics = metrics
        self._now = now
        self.partitions = partitions
        self._stop = stop
        self._news = asyncio.Event()
        self._resting: dict[str, datetime] = {}
        self._passes_failed: dict[str, int] = defaultdict(int)
        self._unrecorded: list[tuple[Message, Verdict]] = []
        self._recording = asyncio.Lock()
        # What the pass under way knows: who was overtaken when it began, and what it has sent of each episode since.
        self._overtaken: set[int] = set()
        self._gone: dict[tuple[str, str], int] = {}
        self._paused = False
        self._pause_read_at = -PAUSE_SECONDS
        self._policy = policy
        self._then = then
        self.borrowers_wait = borrowers_wait
        self._stages: tuple[Stage, ...] = (self._wait, self._dedup, self._worth, self._send)

    def wake(self) -> None:
        """There is something new to send. Must be called in the loop's thread."""
        self._news.set()

    async def run(self) -> None:
        """Send until `stop` is set."""
        for channel in self._channels.values():
            await channel.start()
        try:
            while not self._stop.is_set():
                await self._turn()
        finally:
            for channel in self._channels.values():
                await channel.stop()

    async def _turn(self) -> None:
        self._news.clear()
        try:
            moved = await self.deliver_due()
        except Unavailable as away:
            log.warning("waiting", consumer="notifier", fault=str(away))
            moved = 0
        if not moved:
            await self._idle()

    async def _idle(self) -> None:
        """Until there is news, the stop, or a while has passed."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._news, self._stop)]
        _, pending = await asyncio.wait(waits, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def deliver_due(self) -> int:
        """One pass over what may go out now. The number of messages that came to an end. Raises Unavailable."""
        await self._record()
        now = self._now()
        awake = [name for name, channel in self._channels.items() if self._may_send(channel, now)]
        if not awake or await self._is_paused():
            return 0
        due = await asyncio.to_thread(
            self._store.due, channels=awake, partitions=self.partitions(), now=now, limit=PASS_MESSAGES_MAX
        )
        self._overtaken = await asyncio.to_thread(self._store.overtaken, due)
        self._gone = {}
        lanes: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in due:
            lanes[message.channel, message.borrower].append(message)
        gate = asyncio.Semaphore(SIDE_BY_SIDE_MAX)
        verdicts = [
            v for lane in await asyncio.gather(*(self._in_order(m, gate) for m in lanes.values())) for v in lane
        ]
        await self._record()
        self._rest(verdicts)
        return sum(verdict.status is not MessageStatus.WAITING for _, verdict in verdicts)

    def _may_send(self, channel: Channel, now: datetime) -> bool:
        if channel.audience == BORROWER and self.borrowers_wait():
            return False
        return self._resting.get(channel.name, now) <= now

    async def _in_order(self, lane: list[Message], gate: asyncio.Semaphore) -> list[tuple[Message, Verdict]]:
        """Send one borrower's messages one after the other; those to staff up to the first that must wait."""
        verdicts = []
        async with gate:
            for message in lane:
                verdict = await self._through_stages(message)
                if verdict is not None:
                    verdicts.append((message, verdict))
                    await self._note(message, verdict)
                if message.audience == STAFF and (verdict is None or verdict.status is MessageStatus.WAITING):
                    break
        return verdicts

    async def _note(self, message: Message, verdict: Verdict) -> None:
        outcome = "refused" if _is_put_off(verdict) else _COUNTED[verdict.status]
        self._metrics.notifications.labels(message.channel, outcome).inc()
        self._unrecorded.append((message, verdict))
        if len(self._unrecorded) >= RECORD_MESSAGES:
            with contextlib.suppress(Unavailable):  # Kept, and recorded before anything else is sent.
                await self._record()

    async def _record(self) -> None:
        """Write down what was sent. What cannot be written now is kept, so that an absent database repeats nothing."""
        async with self._recording:
            verdicts = self._unrecorded[:]
            await asyncio.to_thread(self._store.record, verdicts, self._then)
            del self._unrecorded[: len(verdicts)]

    async def _through_stages(self, message: Message) -> Verdict | None:
        with bound_contextvars(alert_id=message.alert_id, trace_id=trace_id(message.traceparent)):
            return await self._staged(message)

    async def _staged(self, message: Message) -> Verdict | None:
        try:
            for stage in self._stages:
                verdict = await stage(message)
                if verdict is not None:
                    return verdict
        except _NotNow:
            return None
        raise AssertionError("the last stage gives a verdict")

    async def _wait(self, message: Message) -> Verdict | None:  # noqa: ARG002 - a stage
        """A pause or a stop holds back what has not gone out yet."""
        if self._stop.is_set() or await self._is_paused():
            raise _NotNow
        return None

    async def _dedup(self, message: Message) -> Verdict | None:
        """A repeat of an alert never got this far (key and channel are unique); an overtaken revision ends here."""
        gone = self._gone.get((message.channel, message.episode_id), 0)
        if message.number in self._overtaken or gone > message.revision:
            return Verdict(MessageStatus.SUPERSEDED, detail="a later revision has gone out")
        return None

    async def _worth(self, message: Message) -> Verdict | None:
        """A message whose time has passed helps nobody any more."""
        if message.expires_at is not None and message.expires_at <= self._now():
            return Verdict(MessageStatus.EXPIRED, detail="it was no longer worth sending")
        return None

    async def _send(self, message: Message) -> Verdict:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_passes_soon),
            wait=wait_exponential_jitter(
                multiplier=RETRY_SECONDS_FIRST, max=RETRY_SECONDS_AT_ONCE_MAX, jitter=RETRY_SECONDS_FIRST
            ),
            stop=stop_any(stop_after_attempt(ATTEMPTS_AT_ONCE), stop_when_event_set(self._stop)),  # type: ignore[arg-type]  # it only asks is_set()
            reraise=True,
        )
        try:
            refused: Verdict | None = await retrying(self._try, message)
        except Unavailable as away:
            return self._again(message, away, _tries(retrying))
        except Rejected as no:
            log.warning("message_rejected", channel=message.channel, key=message.key, detail=str(no))
            return Verdict(MessageStatus.REJECTED, attempts=_tries(retrying), detail=str(no))
        if refused is not None:
            return replace(refused, attempts=_tries(retrying) - 1)
        self._gone[message.channel, message.episode_id] = message.revision
        return Verdict(MessageStatus.SENT, attempts=_tries(retrying), sent_at=self._now())

    async def _try(self, message: Message) -> Verdict | None:
        """Ask the contact policy, and send what it gives; else its verdict.

        One message that meets a fault of ours waits: it must not end the process, and all others with it, at every
        start. What the fault says is left out, for it may quote an address.
        """
        try:
            return await self._asked_and_sent(message)
        except (EarlyWarningError, _NotNow):
            raise
        except TimeoutError:
            raise Unavailable(f"{message.channel} does not answer within {SEND_SECONDS_MAX:g} seconds") from None
        except Exception as fault:  # noqa: BLE001 - the last line of defence
            name = type(fault).__name__
            log.error("message_failed", channel=message.channel, key=message.key, fault=name)  # noqa: TRY400 - no text
            raise Unavailable(f"it could not be sent ({name})") from None

    async def _asked_and_sent(self, message: Message) -> Verdict | None:
        answer = await self._policy(message)
        if answer is None:
            raise _NotNow
        if isinstance(answer, Verdict):
            return answer
        async with asyncio.timeout(SEND_SECONDS_MAX):
            await self._channels[message.channel].send(replace(answer, traceparent=message.traceparent))
        return None

    def _again(self, message: Message, away: Unavailable, tries: int) -> Verdict:
        pause = min(RETRY_SECONDS_MAX, 2.0 ** min(20, (message.attempts + tries) // ATTEMPTS_AT_ONCE))
        jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
        asked = away.seconds if isinstance(away, AskedToWait) else 0.0
        not_before = self._now() + timedelta(seconds=max(asked, jittered))
        return Verdict(MessageStatus.WAITING, attempts=tries, detail=str(away), not_before=not_before)

    def _rest(self, verdicts: Sequence[tuple[Message, Verdict]]) -> None:
        """Leave a channel alone for a while if nothing at all got through, so that an outage is not hammered."""
        through: Mapping[str, list[bool]] = defaultdict(list)
        for message, verdict in verdicts:
            if _is_put_off(verdict):  # By the rules on contacts: the channel was not tried.
                continue
            through[message.channel].append(verdict.status is not MessageStatus.WAITING)
        for channel, ends in through.items():
            self._passes_failed[channel] = 0 if any(ends) else self._passes_failed[channel] + 1
            failed = self._passes_failed[channel]
            if failed:
                seconds = min(REST_SECONDS_MAX, 0.5 * 2.0 ** min(10, failed))
                self._resting[channel] = self._now() + timedelta(seconds=seconds)
                log.warning("channel_rests", channel=channel, seconds=seconds)

    async def _is_paused(self) -> bool:
        if clock.monotonic() - self._pause_read_at >= PAUSE_SECONDS:
            self._pause_read_at = clock.monotonic()
            self._paused = await asyncio.to_thread(self._store.paused_since) is not None
        return self._paused


class _NotNow(Exception):  # noqa: N818 - a signal between stages
    """The message stays as it is."""


def _passes_soon(fault: BaseException) -> bool:
    return isinstance(fault, Unavailable) and not isinstance(fault, AskedToWait)


def _is_put_off(verdict: Verdict) -> bool:
    """Whether it waits because the contact policy said so: nothing was tried."""
    return verdict.status is MessageStatus.WAITING and not verdict.attempts


def _tries(retrying: AsyncRetrying) -> int:
    return int(retrying.statistics.get("attempt_number", 1))
