"""What alerts send to borrowers: one message for each step, on its first channel. Nothing where no channel is set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas import traces
from streams.casework.contact import Channel
from streams.casework.figures import written
from streams.casework.outreach import message_key
from streams.stores.messages import BORROWER, Message, MessageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from schemas.alerts import Alert
    from streams.casework.outreach import Outreach, Plan
    from streams.consumers.loop import Batch
    from streams.stores.messages import MessageTransaction


class BorrowerMessages:
    """The steps of the ladder that need no person, as messages that wait."""

    def __init__(self, outreach: Outreach, channels: Collection[Channel], *, now: Callable[[], datetime]) -> None:
        self._outreach = outreach
        self._channels = frozenset(channels)
        self._now = now

    def take(self, transaction: MessageTransaction, batch: Batch[Alert]) -> int:
        """Take down what a batch sends, and end what it makes idle; how many messages are new."""
        if not self._channels:
            return 0
        taken = transaction.steps_taken({str(alert.data.episode_id) for alert in batch.facts})
        new: dict[str, list[Message]] = {}
        for alert in batch.facts:
            plan = self._outreach.plan(alert, self._channels)
            if not plan.replaces:
                continue
            episode = str(alert.data.episode_id)
            if alert.data.revision > 1:
                transaction.end_earlier(episode, alert.data.revision, but=plan.step)
            waiting = [message for message in new.get(episode, ()) if message.step == plan.step]
            if plan.step is not None and not waiting and (episode, plan.step) not in taken:
                waiting = [self._message(alert, plan, batch.partition)]
            new[episode] = waiting
        return transaction.take_down([message for messages in new.values() for message in messages])

    def next_of(self, message: Message) -> Message | None:
        """The same step on the channel to go on to where this one is refused for good."""
        step = str(message.step)
        channel = self._outreach.after(step, Channel(message.channel), self._channels)
        if channel is None:
            return None
        key = message_key(message.alert_id, step, channel)
        return replace(
            message,
            key=key,
            channel=channel.value,
            taken_at=self._now(),
            number=0,
            status=MessageStatus.WAITING,
            attempts=0,
            not_before=None,
            detail=None,
            sent_at=None,
        )

    def _message(self, alert: Alert, plan: Plan, partition: int) -> Message:
        assert plan.step is not None
        assert plan.channel is not None
        return Message(
            key=message_key(str(alert.id), plan.step, plan.channel),
            channel=plan.channel.value,
            audience=BORROWER,
            partition=partition,
            borrower=alert.subject,
            alert_id=str(alert.id),
            episode_id=str(alert.data.episode_id),
            revision=alert.data.revision,
            body=written(plan.figures),
            taken_at=self._now(),
            step=plan.step.value,
            loan=alert.data.loan,
            expires_at=plan.worth_until,
            traceparent=traces.of_alert(alert),
        )
