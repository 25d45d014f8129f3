"""The notifier's intake: alerts in, messages that wait to be sent out. `delivery` sends them.

A live alert from severity `watch` (or as set) becomes one message on each channel; so does the end of an episode that
staff were told of, and every alert about a source that has fallen silent. Shadow and history say nothing. What goes to
borrowers is `borrower_messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from schemas import traces
from schemas.alerts import Mode, Severity
from streams.casework.alerts import Outcome, is_of_source
from streams.stores.case import ENDED
from streams.stores.messages import CONSUMER, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from schemas.alerts import Alert
    from streams.consumers.borrower_messages import BorrowerMessages
    from streams.consumers.channels.channel import Channel
    from streams.consumers.loop import Batch
    from streams.metrics import Metrics
    from streams.stores.messages import MessageStore


class Notifier:
    """A subscriber of alerts (`streams.consumers.loop`) that takes down what is to be sent."""

    name = CONSUMER

    def __init__(
        self,
        store: MessageStore,
        channels: Sequence[Channel],
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        notify_from: Severity = Severity.WATCH,
        borrowers: BorrowerMessages | None = None,
        taken_down: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._metrics = metrics
        self._now = now
        self._notify_from = notify_from
        self._borrowers = borrowers
        self._taken_down = taken_down

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition. Raises Unavailable."""
        return self._store.positions(topic)

    def take(self, batch: Batch[Alert]) -> None:
        """Take down the messages and move the offset in one transaction. Raises Unavailable or OffsetMovedError."""
        with self._store.begin() as transaction:
            transaction.advance(batch.topic, batch.partition, start=batch.start, end=batch.end)
            told = transaction.told({str(alert.data.episode_id) for alert in batch.facts})
            wanted = self._wanted(batch.facts, told)
            messages = [self._message(alert, channel, batch) for alert in wanted for channel in self._channels]
            new = transaction.take_down(messages)
            to_borrowers = self._borrowers.take(transaction, batch) if self._borrowers else 0
        duplicates = (len(messages) - new) // max(1, len(self._channels))
        self._count(handled=len(wanted) - duplicates, duplicates=duplicates, ignored=len(batch.facts) - len(wanted))
        if new or to_borrowers:
            self._taken_down()

    def _wanted(self, alerts: Sequence[Alert], told: set[str]) -> list[Alert]:
        wanted = []
        for alert in alerts:
            if self._is_wanted(alert, told):
                told.add(str(alert.data.episode_id))
                wanted.append(alert)
        return wanted

    def _is_wanted(self, alert: Alert, told: set[str]) -> bool:
        data = alert.data
        if data.mode is not Mode.LIVE:
            return False
        loud = data.severity.rank >= self._notify_from.rank or is_of_source(data)
        return loud or (data.status in ENDED and str(data.episode_id) in told)

    def _message(self, alert: Alert, channel: Channel, batch: Batch[Alert]) -> Message:
        return Message(
            key=idempotency_key(alert, channel.audience),
            channel=channel.name,
            audience=channel.audience,
            partition=batch.partition,
            borrower=alert.subject,
            alert_id=str(alert.id),
            episode_id=str(alert.data.episode_id),
            revision=alert.data.revision,
            body=body_of(alert),
            taken_at=self._now(),
            traceparent=traces.of_alert(alert),
        )

    def _count(self, *, handled: int, duplicates: int, ignored: int) -> None:
        outcomes = {Outcome.HANDLED: handled, Outcome.DUPLICATE: duplicates, Outcome.IGNORED: ignored}
        for outcome, number in outcomes.items():
            self._metrics.consumer_alerts.labels(self.name, outcome).inc(number)


def idempotency_key(alert: Alert, audience: str) -> str:
    """The same for the same alert and audience, for ever: a repeat can be told from news."""
    return f"{audience}-{alert.id}"


def body_of(alert: Alert) -> str:
    """What is sent, in the form that Standard Webhooks asks for: type, timestamp, data. And a sentence for a person."""
    payload = {
        "type": alert.type,
        "timestamp": alert.time.isoformat(),
        "text": f"{alert.data.severity.upper()} {alert.data.status}: {alert.data.reason} Next: {alert.data.first_step}",
        "data": alert.data.model_dump(mode="json", exclude_none=True),
    }
    return orjson.dumps(payload).decode()
