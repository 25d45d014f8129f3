"""The Faust app of the worker: one topic set, one table, one agent, and nothing of Faust's that is not asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faust.app.base import App, BootStrategy
from faust.topics import Topic

from schemas.events import Topic as EventTopic
from schemas.topics import POLICIES
from streams.agents.checkpointing import Checkpointing
from streams.agents.checkpoints import CheckpointFiles
from streams.agents.clients import AIOKAFKA
from streams.agents.exits import leave_on
from streams.agents.feeds import Feeds, NoFeeds
from streams.agents.gauges import Gauges
from streams.agents.lanes import Lanes, source_names
from streams.agents.policies import Policies
from streams.agents.recovery import ChangelogReader, Ends, LaneTables
from streams.agents.stage import BORROWERS
from streams.agents.transactions import LaneProducer
from streams.agents.transport import Transport
from streams.kafka.connection import connection, topic_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faust.types import EventT, Message, StreamT
    from mode import ServiceT

    from streams.agents.clients import Clients
    from streams.agents.lanes import LaneFactory
    from streams.agents.owned import OwnedLane
    from streams.agents.policies import Book
    from streams.agents.stage import Stage
    from streams.metrics import Metrics
    from streams.settings import Settings

AGENT = "lanes"
NEVER_SECONDS = 10 * 365 * 86_400.0


class Boot(BootStrategy):
    """Starts the consumer, the agent, the conductor and the table: no producer, web server, leader topic or replies."""

    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False

    def kafka_consumer(self) -> Iterable[ServiceT]:
        """The consumer alone."""
        return [self.app.consumer]


class LaneTopic(Topic):
    """A topic whose messages hold a lane: there is nothing to decode."""

    def _compile_decode(self) -> None:
        self.decode = self._decode  # type: ignore[method-assign]

    async def _decode(self, message: Message, *, propagate: bool = False) -> EventT[Any]:  # noqa: ARG002
        return self._create_event(message.key, message.value, message.headers, message)

    async def maybe_declare(self) -> None:
        """Makes no topic: `ews topics create` does."""


class WorkerApp(App):
    """The app of one stage. It ends the process where Faust would restart a part of it."""

    BootStrategy = Boot

    def __init__(
        self,
        settings: Settings,
        factory: LaneFactory,
        metrics: Metrics,
        book: Book | None = None,
        stage: Stage = BORROWERS,
        *,
        clients: Clients = AIOKAFKA,
    ) -> None:
        group = group_id(settings, stage)
        super().__init__(
            group,
            broker=f"kafka://{settings.bootstrap_servers.replace(',', ';')}",
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_partitions=settings.partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_buffer_maxsize=2 * settings.partitions,
            stream_wait_empty=False,
            # Standbys are assigned like lanes, without their sources.
            table_standby_replicas=0,
            # Nothing is committed by Faust: its commit and livelock tasks sleep.
            broker_commit_interval=NEVER_SECONDS,
            consumer_group_instance_id=settings.instance_id,
            TableManager=LaneTables,
            Topic=LaneTopic,
        )
        self.connection = connection(settings)
        self.instance_id = settings.instance_id
        self.clients = clients
        self.lanes = Assembly(settings, stage, metrics, self.connection, clients).lanes(factory, book)
        self.transport = Transport(self.conf.broker_consumer, self)
        self._declare(settings, stage)

    def _declare(self, settings: Settings, stage: Stage) -> None:
        changelog = self.topic(topic_name(settings, stage.state), internal=False, partitions=settings.partitions)
        self.Table(stage.state, partitions=settings.partitions, changelog_topic=changelog)
        sources = self.topic(*self.lanes.sources.values(), key_type=None, value_type=None)
        self.agent(sources, name=AGENT, concurrency=1)(self._drains)

    async def _drains(self, stream: StreamT[OwnedLane]) -> None:
        # Nothing may leave this body: Faust would acknowledge the event, restart the agent and never bring it back.
        # Without Faust's acknowledgements: its compiled stream keeps the offsets of all events until a commit.
        async for lane in stream.noack():  # type: ignore[attr-defined]  # StreamT leaves it out
            try:
                self.lanes.drain(lane)
            except Exception as error:  # noqa: BLE001 - see above
                leave_on(error)
            # The queue's `get` does not yield while there are events: the commits must go on between the drains.
            await asyncio.sleep(0)

    def stalled_since(self) -> float | None:
        """Since when nothing has moved although something waits; None if all is well."""
        return self.lanes.stalled_since()

    @property
    def ready(self) -> bool:
        """Whether the worker has joined the group and its lanes are recovered and close behind their sources."""
        return not self.rebalancing and self.lanes.ready

    async def on_first_start(self) -> None:
        """Makes no directories: nothing is kept on disk."""

    def _crash(self, reason: BaseException) -> None:
        # Any service that crashes comes here. Faust would go down slowly, and acknowledge on its way.
        leave_on(reason)


def group_id(settings: Settings, stage: Stage = BORROWERS) -> str:
    """The consumer group, and what transactional ids begin with. Systems with prefixes of their own are apart."""
    prefix = settings.topic_prefix.strip("._-")
    return (f"{settings.app}-{prefix}" if prefix else settings.app) + stage.suffix


class Assembly:
    """Puts the lanes of a stage together with what they read by themselves."""

    def __init__(
        self, settings: Settings, stage: Stage, metrics: Metrics, options: dict[str, Any], clients: Clients = AIOKAFKA
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._stage = stage
        self._metrics = metrics
        self._options = options
        self._sources = source_names(self._topic, stage.sources)
        self._ends = Ends(
            options, [*self._sources.values(), *map(self._topic, (stage.state, EventTopic.FEEDS, POLICIES))], clients
        )

    def _topic(self, name: str) -> str:
        return topic_name(self._settings, name)

    def lanes(self, factory: LaneFactory, book: Book | None) -> Lanes:
        """The lanes, with nothing read and nobody assigned."""
        settings, wall = self._settings, self._settings.clock == "wall"
        lanes = Lanes(
            sources=self._sources,
            ends=self._ends,
            factory=factory,
            new_producer=self._producer,
            changelog=ChangelogReader(
                self._options,
                self._topic(self._stage.state),
                self._ends,
                lambda records, left: lanes.recovering(records, left),  # noqa: PLW0108 - it is bound below
                self._clients,
                checkpointing=self._checkpointing(),
            ),
            feeds=self._feeds(lambda: lanes.offer_all()),  # noqa: PLW0108 - it is bound below
            policies=self._policies(book, lambda: lanes.offer_all()),  # noqa: PLW0108 - it is bound below
            gauges=Gauges(self._metrics, wall=wall),
            until_ms=int(settings.clock_until.timestamp() * 1000) if settings.clock_until else None,
            wall=wall,
        )
        return lanes

    def _checkpointing(self) -> Checkpointing | None:
        if self._settings.checkpoint_dir is None:
            return None
        files = CheckpointFiles(self._settings.checkpoint_dir, group_id(self._settings, self._stage))
        return Checkpointing(files, self._topic(self._stage.state), self._settings.checkpoint_seconds)

    def _producer(self, partition: int) -> LaneProducer:
        return LaneProducer(
            self._options,
            group=group_id(self._settings, self._stage),
            partition=partition,
            topic=self._topic,
            agent=AGENT,
            stage=self._stage,
            clients=self._clients,
        )

    def _feeds(self, on_news: Callable[[], None]) -> Feeds | NoFeeds:
        if not self._stage.heartbeats:
            return NoFeeds()
        return Feeds(self._options, self._topic(EventTopic.FEEDS), self._ends, on_news, self._clients)

    def _policies(self, book: Book | None, on_news: Callable[[], None]) -> Policies | None:
        if book is None:
            return None
        topic, on_ignored = self._topic(POLICIES), self._metrics.policies_ignored.inc
        return Policies(
            self._options, topic, self._ends, book, on_news=on_news, on_ignored=on_ignored, clients=self._clients
        )
