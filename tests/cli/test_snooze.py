from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from schemas.codec import decode
from schemas.events import BorrowerSnoozed, Topic
from schemas.topics import partition_of
from streams import clock
from streams.casework.ladder import Ladder
from streams.cli import main
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.kafka.reading import reading
from streams.kafka.topics import create_topics
from streams.metrics import Metrics
from streams.settings import Settings, load
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.builders import World, at, day_told, engine_of, opened
from tests.consumers.builders import alert

if TYPE_CHECKING:
    from pathlib import Path

    from aiokafka import ConsumerRecord

PARTITIONS = 2
WHY = ("--reason", "in talks about a plan", "--by", "c-17")


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """Topics of this test's own."""
    own = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
    asyncio.run(create_topics(own))
    return own


def where(settings: Settings) -> list[str]:
    """The options that name the test's topics."""
    return ["--bootstrap", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]


async def _written(settings: Settings) -> list[ConsumerRecord]:
    async with reading(settings, Topic.CONTACTS) as reader:
        return [r for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]


def written(settings: Settings) -> list[BorrowerSnoozed]:
    """The events of the contacts topic, each checked to be where its borrower's events are."""
    found = []
    for record in asyncio.run(_written(settings)):
        event = decode(record.value)
        assert isinstance(event, BorrowerSnoozed)
        assert event.subject.encode() == record.key
        assert partition_of(record.key, PARTITIONS) == record.partition
        found.append(event)
    return found


def test_calm_is_asked_for_by_an_event(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`ews snooze borrower` writes what the workers read: until when, about which detector, why and by whom."""
    assert 0 == main(
        ["snooze", "borrower", "b-1", "--days", "14", "--detector", "income_missing", *WHY, *where(settings)]
    )
    assert capsys.readouterr().out.startswith("income_missing alerts of b-1 wait until ")
    (event,) = written(settings)
    assert timedelta(seconds=60) > abs(event.data.until - event.time - timedelta(days=14))
    assert ("b-1", "income_missing", "in talks about a plan", "c-17") == (
        event.subject, event.data.detector, event.data.reason, event.data.by,
    )  # fmt: skip


def test_calm_lasts_until_an_instant_and_is_ended(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`--until` is in UTC; `ews snooze end` writes an end that is not ahead."""
    end = (clock.now() + timedelta(days=20)).date()
    assert 0 == main(["snooze", "borrower", "b-1", "--until", end.isoformat(), *WHY, "--json", *where(settings)])
    assert orjson.loads(capsys.readouterr().out)["event"]["subject"] == "b-1"
    assert 0 == main(["snooze", "end", "b-1", "--by", "c-17", *where(settings)])
    assert "alerts of b-1 may open again from now on" in capsys.readouterr().out
    first, last = written(settings)
    assert datetime(end.year, end.month, end.day, tzinfo=UTC) == first.data.until
    assert last.data.until <= last.time
    assert last.data.detector is None


def test_workers_keep_the_calm_that_was_asked_for(settings: Settings) -> None:
    """The event as it was written is taken: a missed installment is told when the calm is over, and not before."""
    today = (clock.now() - at(0, 0)).days
    assert 0 == main(["snooze", "borrower", "b-1", "--days", "14", *WHY, *where(settings)])
    (event,) = written(settings)
    world = World(engine_of("missed_installment")).play(opened([today + 5], day=today - 1), event, until=today + 13)
    assert [] == world.alerts
    world.play(until=today + 17)
    assert 1 == len(world.alerts)
    assert today + 14 <= day_told(world.alerts[0])


def test_a_case_stands_for_its_borrower(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ews snooze case` takes the borrower from the database; a case that there is not is one line."""
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    monkeypatch.setenv("EWS_DATABASE_URL", url)
    case_id = _case(url)
    assert 0 == main(["snooze", "case", case_id, "--days", "7", *WHY, *where(settings)])
    assert ["b-1"] == [event.subject for event in written(settings)]
    capsys.readouterr()
    assert 1 == main(["snooze", "case", "b-1", "--days", "7", *WHY, *where(settings)])
    assert "ews: there is no case b-1: look at `ews cases list`\n" == capsys.readouterr().err


def _case(url: str) -> str:
    """A case that an alert opened."""
    with open_database(url, create=True) as database:
        store = CaseStore(database)
        CaseCreator(store, Ladder.standard(), Metrics()).take(Batch("alerts", 0, 0, 1, (alert(),)))
        (case,) = store.listed()
        return case.case_id


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["borrower", "b-1", *WHY], 2, "say how long: one of --days N, --until T"),
        (["borrower", "b-1", "--days", "1", "--until", "2030-01-01", *WHY], 2, "say how long"),
        (["borrower", "b-1", "--until", "2020-01-01", *WHY], 2, "--until 2020-01-01 00:00 UTC is not ahead"),
        (["borrower", "b-1", "--until", "2190-01-01", *WHY], 2, "until 2190-01-01 is more than 400 days ahead"),
        (
            ["borrower", "b-1", "--days", "1", "--detector", "missed_instalment", *WHY],
            2,
            "no detector is called 'missed_instalment', did you mean missed_installment?",
        ),
        (["borrower", "b 1", "--days", "1", *WHY], 2, "'b 1' is no borrower's token"),
        (["borrower", "b-1", "--days", "1", "--reason", "x", "--by", "A Name"], 2, "'A Name' is no account"),
        (["borrower", "b-1", "--days", "1", "--reason", "x" * 201, "--by", "c"], 2, "reason: must have at most"),
        (["end", "b-1", "--by", "c-17", "--bootstrap", "127.0.0.1:1"], 1, "Kafka at 127.0.0.1:1 cannot be reached"),
        (["end", "b-1", "--detector", "nonsense_of_mine", "--by", "c"], 2, "no detector is called 'nonsense_of_m"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    """Nothing is written before all of it is in order."""
    assert code == main(["snooze", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ews: {sentence}")
