"""`ews policies` on a real broker: applied, taken back, refused, broken by others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import POLICIES
from streams.bootstrap.policy_topic import apply_policy, read_topic
from streams.cli import main
from streams.errors import Misconfigured, Rejected
from streams.kafka.policies import writing
from streams.kafka.topics import create_topics
from streams.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

MINE = 'version = "mine-2"\n[detectors.missed_installment]\ngrace_days = 3\n'
NEXT = 'version = "mine-3"\n[detectors.missed_installment]\ngrace_days = 4\nenabled = false\n'


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """A system with topics."""
    own = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=1)
    asyncio.run(create_topics(own))
    return own


@pytest.fixture
def where(settings: Settings) -> list[str]:
    """How commands find it."""
    return ["--bootstrap", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Policy files by their versions."""
    for name, text in (("mine-2", MINE), ("mine-3", NEXT)):
        (tmp_path / f"{name}.toml").write_text(text)
    return {name: tmp_path / f"{name}.toml" for name in ("mine-2", "mine-3")}


def test_apply_says_what_changes_and_keeps_a_history(
    where: list[str], files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Setting by setting against what was in force; again is nothing; the version before is taken back to."""
    assert 0 == main(["policies", "history", *where])
    assert "none was applied: default-1 is in force\n" == capsys.readouterr().err
    assert 0 == main(["policies", "apply", str(files["mine-2"]), "--note", "by the committee", *where])
    said = capsys.readouterr().out.splitlines()
    assert [
        "mine-2 is in force now, in place of default-1",
        "  detectors.missed_installment.grace_days: 0 -> 3",
    ] == said
    assert 0 == main(["policies", "apply", str(files["mine-2"]), *where])
    assert "mine-2 is in force already, with the same content: nothing was written\n" == capsys.readouterr().out
    assert 0 == main(["policies", "apply", str(files["mine-3"]), "--json", *where])
    told = orjson.loads(capsys.readouterr().out)
    assert ("mine-3", "mine-2", True, False) == tuple(told[x] for x in ("version", "before", "written", "again"))
    assert ["enabled", "grace_days"] == sorted(change["setting"].rpartition(".")[2] for change in told["changes"])
    assert 0 == main(["policies", "apply", str(files["mine-2"]), "--note", "taken back", *where])
    assert capsys.readouterr().out.startswith("mine-2, which was applied before with the same content, is in force now")
    assert 0 == main(["policies", "history", "--json", *where])
    told = orjson.loads(capsys.readouterr().out)
    assert "mine-2" == told["in_force"]
    assert [("mine-3", 1, False), ("mine-2", 2, True)] == [
        (row["version"], len(row["applied"]), row["in_force"]) for row in told["versions"]
    ]
    assert "taken back" == told["versions"][1]["note"]
    assert 0 == main(["policies", "history", *where])
    assert "in force\ttaken back" in capsys.readouterr().out.splitlines()[-1]


def test_policies_are_shown_from_the_topic(
    where: list[str], files: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`show` gives any version that was applied, or the one in force, as a file that can be applied again."""
    for file in files.values():
        assert 0 == main(["policies", "apply", str(file), *where])
    capsys.readouterr()
    assert 0 == main(["policies", "show", "--version", "mine-2", "--json", *where])
    assert 3 == orjson.loads(capsys.readouterr().out)["detectors"]["missed_installment"]["grace_days"]
    assert 0 == main(["policies", "show", "--in-force", *where])
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out)
    assert 0 == main(["policies", "apply", str(again), *where])
    assert capsys.readouterr().out.startswith("mine-3 is in force already")
    assert 2 == main(["policies", "show", "--version", "mine-9", *where])
    assert capsys.readouterr().err.startswith("ews: there is no policy mine-9: `ews policies history`")
    assert 2 == main(["policies", "show", "--version", "mine-2", "--in-force", *where])


def test_a_version_is_never_used_for_two_contents(
    where: list[str], files: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Neither one of the topic nor the built-in one; nothing is written then."""
    assert 0 == main(["policies", "apply", str(files["mine-2"]), *where])
    for version in ("mine-2", "default-1"):
        other = tmp_path / "other.toml"
        other.write_text(f'version = "{version}"\n[limits]\nhorizon_days = 300\n')
        capsys.readouterr()
        assert 2 == main(["policies", "apply", str(other), *where])
        error = capsys.readouterr().err
        assert error.startswith(f"ews: the version {version} is taken by a policy with other content (")
        assert 1 == len(error.splitlines())
    capsys.readouterr()
    assert 0 == main(["policies", "history", "--json", *where])
    assert ["mine-2"] == [row["version"] for row in orjson.loads(capsys.readouterr().out)["versions"]]


async def test_of_two_at_once_one_is_refused(settings: Settings, files: dict[str, Path]) -> None:
    """Whoever began first does not write on what is no longer the last word."""

    async def two() -> None:
        async with writing(settings) as write:
            await apply_policy(settings, files["mine-2"])
            await write("mine-3", b"{}")

    with pytest.raises(Rejected, match="was started meanwhile"):
        await two()
    assert ["mine-2"] == [row.version for row in (await read_topic(settings)).rows]


async def test_what_is_no_policy_is_ignored_and_named(settings: Settings, files: dict[str, Path]) -> None:
    """Broken records of others change nothing: the last good one is in force, and the history says what is wrong."""
    await apply_policy(settings, files["mine-2"])
    at = "2026-01-01T00:00:00Z"
    broken = [
        (b"x-1", b"{"),
        (b"x-2", None),
        (b"x-3", orjson.dumps({"version": "x-4", "applied_at": at, "document": {}})),
        (b"x-5", orjson.dumps({"version": "x-5", "applied_at": at, "document": {"limits": {"horizon": 3}}})),
        (b"mine-2", orjson.dumps({"version": "mine-2", "applied_at": at, "document": {}})),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    for key, value in broken:
        await producer.send_and_wait(settings.topic_prefix + POLICIES, value, key=key)
    await producer.stop()
    topic = await read_topic(settings)
    assert "mine-2" == topic.in_force.version
    assert 3 == topic.in_force.detectors["missed_installment"]["grace_days"]
    mistakes = [row.mistake for row in topic.rows if row.mistake]
    assert len(broken) == len(mistakes)
    assert "did you mean horizon_days?" in mistakes[3]
    assert "other content than it had before" in mistakes[4]


async def test_without_the_topic_the_settings_are_named(broker: str, prefix: str, files: dict[str, Path]) -> None:
    """Applying to topics that are not there says how to make them."""
    with pytest.raises(Misconfigured, match="there is no topic"):
        await apply_policy(load(bootstrap_servers=broker, topic_prefix=prefix), files["mine-2"])
