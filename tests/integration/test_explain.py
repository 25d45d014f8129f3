"""Explaining alerts of a real worker from its topics, and judging them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from schemas.alerts import Alert
from schemas.topics import ALERTS, SOURCES
from streams.bootstrap.explain import Question, explain_from_topics
from streams.bootstrap.outcomes import record_outcome
from streams.cli import main
from streams.errors import Misconfigured, Rejected, Unavailable
from streams.history.outcomes import from_topics
from streams.kafka.topics import create_topics
from streams.settings import load
from tests.integration.test_order_repeat import PARTITIONS, System, drained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.history.explain.story import Story
    from streams.settings import Settings


@pytest.fixture
def system(broker: str, prefix: str, tmp_path: Path) -> Iterator[System]:
    """A system with a simulated portfolio; its workers are ended."""
    own = System(broker, prefix, tmp_path)
    try:
        yield own
    finally:
        own.end()


async def told(system: System) -> list[Alert]:
    """The alerts of the topic."""
    return [Alert.model_validate_json(record.value) for record in await system.read(ALERTS)]


async def explained(settings: Settings, identity: object, *, check: bool | None = True) -> Story:
    """The explanation from the topics."""
    return await explain_from_topics(settings, Question(id=str(identity), check=check), lambda _topic, _count: None)


def test_alerts_of_a_worker_are_explained_and_judged(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of each detector comes out of the order again byte for byte, with its evidence; what is deleted is said."""
    asyncio.run(drained(system))
    alerts = asyncio.run(told(system))
    asyncio.run(_all_explained(system, alerts))
    _commands(system, alerts[0], tmp_path / "alert.html", capsys)
    alert = next(
        alert for alert in alerts if alert.data.episode_id != alerts[0].data.episode_id and alert.data.evidence
    )
    asyncio.run(_judge(system, alert))
    asyncio.run(_without_sources(system.settings, alert))


async def _all_explained(system: System, alerts: list[Alert]) -> None:
    for alert in {alert.data.detector: alert for alert in alerts}.values():
        story = await explained(system.settings, alert.id)
        assert story.alert == alert
        assert story.rebuilt.equal, story.rebuilt.said
        assert all(piece.found for piece in story.evidence)
        own = [str(other.id) for other in alerts if other.data.episode_id == alert.data.episode_id]
        assert own == [revision.alert_id for revision in story.episode]


async def _without_sources(settings: Settings, alert: Alert) -> None:
    """Where the events were deleted, what they were is gone, and the alert cannot be made again."""
    await _delete_sources(settings)
    story = await explained(settings, alert.id, check=None)
    assert not any(piece.found for piece in story.evidence)
    assert "retention has deleted the oldest records of repayments/" in story.evidence_note
    assert story.rebuilt.equal is None
    assert "could not be made again from the log: " in story.rebuilt.said
    with pytest.raises(Unavailable, match="retention deleted them"):
        await explained(settings, alert.id)


async def _judge(system: System, alert: Alert) -> None:
    """The outcome of an alert is found by the detector's precision; of two of one episode the later one counts."""
    detector, settings = alert.data.detector, system.settings
    before = await from_topics(detector, settings)
    await record_outcome(settings, str(alert.id), "false_positive", by="c-17")
    outcome, place = await record_outcome(settings, str(alert.data.episode_id), "confirmed_risk", by="c-18", note="why")
    assert place.startswith("alert-outcomes/")
    assert alert.data.borrower == outcome.subject
    story = await explained(settings, alert.id, check=False)
    assert any("judged: confirmed risk by c-18 on " in note and "the last of 2" in note for note in story.notes)
    after = await from_topics(detector, settings)
    assert (before.judged + 1, before.true + 1, before.episodes) == (after.judged, after.true, after.episodes)


async def _delete_sources(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        names = [settings.topic_prefix + topic for topic in SOURCES]
        parts = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
        await admin.delete_records({part: RecordsToDelete(-1) for part in parts})
    finally:
        await admin.close()


def _commands(system: System, alert: Alert, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ews explain`, `ews outcomes` and `ews detectors`, for people, machines and browsers."""
    where = ["--bootstrap", system.settings.bootstrap_servers, "--topic-prefix", system.settings.topic_prefix]
    capsys.readouterr()
    assert 0 == main(["explain", str(alert.id), "--html", str(page), *where])
    assert "byte for byte" in capsys.readouterr().out
    assert "<svg" in page.read_text("utf-8")
    assert 0 == main(["outcomes", "record", str(alert.id)[:13], "valuable_alert", "--by", "c-17", *where])
    assert f"{alert.data.detector} alert {alert.id} of {alert.data.borrower}: valuable_alert" in capsys.readouterr().out
    assert 0 == main(["outcomes", "list", "--json", *where])
    assert [str(alert.id)] == [one["data"]["alert_id"] for one in orjson.loads(capsys.readouterr().out)]
    assert 0 == main(["detectors", alert.data.detector, *where])
    assert "Live precision: 1 of 1 judged, 100% [21, 100] (1 valuable alert), of " in capsys.readouterr().out
    assert 1 == main(["explain", "00000000", *where])
    assert capsys.readouterr().err.startswith("ews: there is no alert or episode 00000000 in the topic ")
    assert 1 == main(["outcomes", "record", "00000000", "valuable_alert", "--by", "c-17", *where])
    assert 2 == main(["outcomes", "record", str(alert.id), "valuable_alert", "--by", "A Name", *where])


async def test_topics_that_are_not_there_or_empty_are_named(broker: str, prefix: str) -> None:
    """A wrong prefix is a mistake of whoever asks; without alerts there is nothing to explain."""
    settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
    with pytest.raises(Misconfigured, match="there is no topic"):
        await explained(settings, "01234567")
    await create_topics(settings)
    with pytest.raises(Rejected, match="there is no alert or episode 01234567"):
        await explained(settings, "01234567")


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "01234567"],
        ["outcomes", "record", "01234567", "false_positive", "--by", "c-17"],
        ["outcomes", "list"],
    ],
)
def test_a_broker_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """Nothing but what to do about it."""
    assert 1 == main([*command, "--bootstrap", "127.0.0.1:1"])
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith("ews: Kafka at 127.0.0.1:1 cannot be reached")
    assert 1 == captured.err.count("\n")
