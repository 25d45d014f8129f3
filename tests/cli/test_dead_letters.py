from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.codec import InvalidEvent, Reason
from schemas.deadletters import DeadLetterHeaders
from schemas.topics import DEAD_LETTERS, partition_of
from streams import clock
from streams.cli import main
from streams.errors import Rejected
from streams.kafka import requeue as requeueing
from streams.kafka.letters import Choice, Letter, Place
from streams.kafka.reading import reading
from streams.kafka.requeue import requeue
from streams.kafka.topics import create_topics
from streams.settings import Settings, load

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

PARTITIONS = 2
LONG_AGO_MS = 1_700_000_000_000


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """Topics of this test's own."""
    own = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
    asyncio.run(create_topics(own))
    return own


async def written(settings: Settings, *letters: tuple[DeadLetterHeaders, bytes | None, bytes | None]) -> None:
    """Dead letters as a worker writes them."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, max_request_size=2_000_000)
    await producer.start()
    try:
        for headers, key, value in letters:
            name = settings.topic_prefix + DEAD_LETTERS
            await producer.partitions_for(name)
            batch = producer.create_batch()
            batch.append(timestamp=clock.now_ms(), key=key, value=value, headers=headers.to_kafka())
            await (await producer.send_batch(batch, name, partition=headers.partition))
    finally:
        await producer.stop()


def headers(
    offset: int, reason: Reason = Reason.NOT_JSON, topic: str = "repayments", timestamp: int = LONG_AGO_MS
) -> DeadLetterHeaders:
    """The headers of a letter of partition 1."""
    return DeadLetterHeaders.of(
        InvalidEvent(reason, "unexpected character"), topic=topic, partition=1, offset=offset, timestamp=timestamp
    )


async def read(settings: Settings, bare: str, count: int) -> list[ConsumerRecord]:
    """All that is committed in a topic, once there is so much: a commit is readable a moment after it is done."""
    deadline = clock.monotonic() + 10
    async with reading(settings, bare) as reader:
        while True:
            found = [r for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]
            if len(found) >= count or clock.monotonic() > deadline:
                return found
            await asyncio.sleep(0.05)


def where(settings: Settings) -> list[str]:
    """The options that lead a command to the topics."""
    return ["--bootstrap", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command answered in JSON."""
    return orjson.loads(capsys.readouterr().out)


def test_letters_are_listed_without_their_bytes(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each letter says when, where, why and how large it is; what it says only with --bytes."""
    asyncio.run(written(settings, (headers(17), b"b-1", b"{Jane Doe"), (headers(18), None, b"\xff")))
    assert 0 == main(["dead-letters", "list", *where(settings)])
    out = capsys.readouterr().out
    assert "\trepayments/1/17\tnot_json\tunexpected character\t12\t0\n" in out
    assert "Jane" not in out
    assert 0 == main(["dead-letters", "list", "--bytes", *where(settings)])
    out = capsys.readouterr().out
    assert "\tb-1\t{Jane Doe\n" in out
    assert "\tNone\tbase64:/w==\n" in out


def test_the_list_is_filtered_and_cut(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """--topic and --reason choose, --limit keeps the latest, and the total is told."""
    letters = [(headers(n, topic="bureau" if n % 2 else "repayments"), b"k", b"v") for n in range(10)]
    asyncio.run(written(settings, *letters, (headers(99, Reason.EMPTY), b"k", None)))
    assert 0 == main(["dead-letters", "list", "--topic", "bureau", "--limit", "2", "--json", *where(settings)])
    found = answer(capsys)
    assert 5 == found["total"]
    assert ["bureau/1/7", "bureau/1/9"] == [letter["place"] for letter in found["letters"]]
    assert 0 == main(["dead-letters", "list", "--reason", "empty", "--json", *where(settings)])
    assert ["repayments/1/99"] == [letter["place"] for letter in answer(capsys)["letters"]]


def test_letters_go_back_as_they_came(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, bytes and timestamp are the original ones, the partition is the key's, the headers say where it was."""
    asyncio.run(written(settings, (headers(17), b"b-1", b"\xff{"), (headers(18), None, None)))
    assert 0 == main(["dead-letters", "requeue", "--all", "--yes", *where(settings)])
    assert "sent 2 back" in capsys.readouterr().out
    back = {record.value: record for record in asyncio.run(read(settings, "repayments", 2))}
    assert {b"\xff{", None} == back.keys()
    keyed = back[b"\xff{"]
    assert (b"b-1", LONG_AGO_MS, partition_of(b"b-1", 2)) == (keyed.key, keyed.timestamp, keyed.partition)
    assert (("requeued", b"repayments/1/17"), ("requeued-count", b"1")) == keyed.headers
    assert (None, 1) == (back[None].key, back[None].partition)


def test_a_letter_goes_back_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A second requeue leaves it alone and says so; --again sends it again and counts; the list tells how often."""
    asyncio.run(written(settings, (headers(17), b"b-1", b"v"), (headers(17), b"b-1", b"v")))
    command = ["dead-letters", "requeue", "--at", "repayments/1/17", "--yes", "--json", *where(settings)]
    for extra, sent in (([], 1), ([], 0), (["--again"], 1)):
        assert 0 == main([*command, *extra])
        assert sent == answer(capsys)["sent"]
    counts = [dict(record.headers)["requeued-count"] for record in asyncio.run(read(settings, "repayments", 2))]
    assert [b"1", b"2"] == counts
    assert 0 == main(["dead-letters", "list", "--json", *where(settings)])
    assert [2, 2] == [letter["sent_back"] for letter in answer(capsys)["letters"]]


def test_a_dry_run_sends_nothing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run says what would be sent, and without --yes nothing is sent where nobody can be asked."""
    asyncio.run(written(settings, (headers(17), b"b-1", b"v")))
    assert 0 == main(["dead-letters", "requeue", "--reason", "not_json", "--dry-run", *where(settings)])
    assert "would send repayments/1/17 (not_json) to repayments/" in capsys.readouterr().out
    assert 2 == main(["dead-letters", "requeue", "--all", *where(settings)])
    assert "ews: nobody is there to be asked: look with --dry-run, then add --yes\n" == capsys.readouterr().err
    assert [] == asyncio.run(read(settings, "repayments", 0))


def test_what_lies_ahead_gets_the_present(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A broker refuses timestamps that lie ahead: such a record gets the present, and that is told."""
    ahead = clock.now_ms() + 10 * 86_400_000
    asyncio.run(
        written(settings, (headers(17, timestamp=ahead), b"b-1", b"v"), (headers(18, timestamp=-1), b"b", b"v"))
    )
    before = clock.now_ms()
    assert 0 == main(["dead-letters", "requeue", "--all", "--yes", "--json", *where(settings)])
    assert 2 == answer(capsys)["restamped"]
    assert all(before <= r.timestamp <= clock.now_ms() for r in asyncio.run(read(settings, "repayments", 2)))


def test_alerts_are_not_sent_back(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """An alert that a consumer could not read is listed, and stays: it is in `alerts` for all others."""
    asyncio.run(written(settings, (headers(3, topic="alerts"), b"b-1", b"v")))
    assert 0 == main(["dead-letters", "requeue", "--all", "--yes", "--json", *where(settings)])
    assert (0, 1) == ((found := answer(capsys))["sent"], found["not_returnable"])


def test_the_largest_letter_goes_back(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A letter close to the broker's limit comes back whole."""
    asyncio.run(written(settings, (headers(17, Reason.TOO_LARGE), b"b-1", b"x" * 1_048_300)))
    assert 0 == main(["dead-letters", "requeue", "--all", "--yes", *where(settings)])
    assert [1_048_300] == [len(record.value) for record in asyncio.run(read(settings, "repayments", 1))]
    capsys.readouterr()


def test_what_a_killed_requeue_left_is_done_by_the_next(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and marks are one transaction: whatever ended a requeue, the next one sends the rest, and all once."""
    asyncio.run(written(settings, *((headers(n), b"b-1", b"%d" % n) for n in range(5))))
    monkeypatch.setattr(requeueing, "TOGETHER_MAX", 2)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(requeue(settings, Choice(), on_return=lambda one: 1 // (2 - one.letter.source.offset)))
    asyncio.run(requeue(settings, Choice()))
    assert [b"%d" % n for n in range(5)] == [record.value for record in asyncio.run(read(settings, "repayments", 5))]


async def test_the_later_of_two_requeues_goes_on(broker: str, prefix: str) -> None:
    """Two at once do not send a letter twice: the one that was started first is told that it has ended."""
    settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
    await create_topics(settings)
    async with requeueing._sender(settings) as first, requeueing._sender(settings):
        letter = Letter(headers(17), Place(DEAD_LETTERS, 1, 0), clock.now(), b"b-1", b"v")
        with pytest.raises(Rejected, match="another requeue was started meanwhile"):
            await first.send([requeueing.Return(letter, 0, 1)])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["list", "--reason", "ugly"], 2, "no dead letter has the reason 'ugly'; there are empty, too_large, "),
        (["list", "--topic", "repayment"], 2, "there is no topic 'repayment'; letters come from repayments, "),
        (["requeue"], 2, "say which letters: one of --all, --reason REASON, --at TOPIC/PARTITION/OFFSET"),
        (["requeue", "--all", "--at", "repayments/1/2"], 2, "say which letters: "),
        (["requeue", "--at", "repayments/1"], 2, "'repayments/1' is no place of a record: write TOPIC/PARTITION/"),
        (["requeue", "--at", "nix/1/2"], 2, "'nix/1/2' is no place of a record"),
        (["list", "--bootstrap", "127.0.0.1:1"], 1, "Kafka at 127.0.0.1:1 cannot be reached: "),
        (["requeue", "--all", "--bootstrap", "127.0.0.1:1"], 1, "Kafka at 127.0.0.1:1 cannot be reached: "),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    """An unknown reason, topic or place, and a broker that is not there, are a sentence and an exit code."""
    assert code == main(["dead-letters", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ews: {sentence}")


def test_a_letter_that_is_not_there_is_one_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A place of which there is no letter is said to have none; topics that are not there are named."""
    assert 1 == main(["dead-letters", "requeue", "--at", "repayments/1/2", "--yes", *where(settings)])
    assert (
        "ews: there is no dead letter of repayments/1/2: look at `ews dead-letters list`\n" == capsys.readouterr().err
    )
    assert 2 == main(["dead-letters", "list", "--bootstrap", settings.bootstrap_servers, "--topic-prefix", "nix-"])
    assert capsys.readouterr().err.startswith("ews: there is no topic nix-dead-letters on ")
