"""Every role against every topic on a broker that refuses what is not allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from schemas.topics import LAYOUTS
from streams.agents.app import group_id
from streams.agents.stage import BORROWERS, PORTFOLIO
from streams.bootstrap.cases import TOPICS as OF_CASES
from streams.consumers.relay import PUBLISHED
from streams.errors import Misconfigured
from streams.kafka.acls import ROLES, Resource, Role, commands, principal, rights, table
from streams.kafka.connection import connection
from streams.kafka.topics import create_topics
from streams.kafka.writing import write
from streams.settings import Settings, load
from tests.security.conftest import PARTITIONS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.security.secured import SecuredBroker

BY_NAME = {role.name: role for role in ROLES}
WAIT_MS = 20_000


def signed_in(secured: SecuredBroker, role: Role) -> Settings:
    """The settings of a process of that role."""
    names = {
        name.removeprefix("EWS_").lower(): value for name, value in secured.environment(f"{PREFIX}{role.name}").items()
    }
    return load(partitions=PARTITIONS, **names)


async def refused(attempt: Awaitable[object]) -> bool:
    """Whether the broker says no."""
    try:
        await attempt
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
        return True
    return False


async def written(producer: AIOKafkaProducer, topic: str) -> bool:
    """Whether a record could be written; the policies and states of the other tests must not see it."""
    return not await refused(producer.send_and_wait(topic, b"probe", key=b"probe", partition=0))


async def read(settings: Settings, topic: str) -> bool:
    """Whether a record could be read."""
    consumer = AIOKafkaConsumer(**connection(settings), auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])

    async def fetch() -> None:
        await consumer.start()
        await consumer.seek_to_beginning()
        assert await consumer.getmany(timeout_ms=WAIT_MS)

    try:
        return not await refused(fetch())
    finally:
        await consumer.stop()


async def could(settings: Settings) -> tuple[set[str], set[str]]:
    """The topics that this user could read, and those that it could write."""
    async with AIOKafkaProducer(**connection(settings)) as producer:
        wrote = await asyncio.gather(*(written(producer, name) for name in LAYOUTS))
    reads = await asyncio.gather(*(read(settings, name) for name in LAYOUTS))
    return (
        {name for name, able in zip(LAYOUTS, reads, strict=True) if able},
        {name for name, able in zip(LAYOUTS, wrote, strict=True) if able},
    )


@pytest.fixture(scope="module")
def probed(secured: SecuredBroker) -> SecuredBroker:
    """A record in every topic, so that reading waits for nothing."""

    async def fill() -> None:
        async with AIOKafkaProducer(bootstrap_servers=secured.broker.bootstrap_servers) as producer:
            await asyncio.gather(*(written(producer, name) for name in LAYOUTS))

    asyncio.run(fill())
    return secured


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
async def test_a_role_reads_and_writes_its_topics_and_no_other(probed: SecuredBroker, role: Role) -> None:
    """Of all topics a role can read and write those of the table; the broker refuses every other."""
    reads, writes = await could(signed_in(probed, role))
    assert set(role.reads) == reads
    assert set(role.writes) == writes


def test_the_table_has_what_the_processes_say_that_they_use() -> None:
    """The roles of the long-running processes cover the topics that those check at their start."""
    for stage in (BORROWERS, PORTFOLIO):
        role = BY_NAME["worker" if stage is BORROWERS else "portfolio"]
        assert set(stage.written) == set(role.writes)
        assert set(stage.used) <= {*role.reads, *role.writes}
    assert set(OF_CASES) <= {*BY_NAME["cases"].reads, *BY_NAME["cases"].writes}
    assert set(PUBLISHED) <= set(BY_NAME["cases"].writes)
    assert set(PUBLISHED) <= set(BY_NAME["borrower-notifier"].writes)


@pytest.mark.parametrize("prefix", ["", "bank-"])
def test_groups_and_transactions_are_called_as_the_worker_calls_them(prefix: str) -> None:
    """The names in the rules are those that the processes use, with a topic prefix and without."""
    settings = Settings(topic_prefix=prefix)
    for stage, role in ((BORROWERS, BY_NAME["worker"]), (PORTFOLIO, BY_NAME["portfolio"])):
        group = group_id(settings, stage)
        named = {(r.resource, r.name, r.prefixed) for r in rights(role, settings) if r.resource is not Resource.TOPIC}
        assert {(Resource.GROUP, group, False), (Resource.TRANSACTIONAL_ID, f"{group}-lanes-", True)} == named


async def test_a_group_of_somebody_else_is_refused(probed: SecuredBroker) -> None:
    """A subscriber may not read in the worker's group, whose partitions it would take away."""
    settings = signed_in(probed, BY_NAME["subscriber"])
    consumer = AIOKafkaConsumer("alerts", **connection(settings), group_id="ews", enable_auto_commit=False)

    async def join() -> None:
        await consumer.start()
        await consumer.getmany(timeout_ms=WAIT_MS)

    try:
        assert await refused(join())
    finally:
        await consumer.stop()


async def test_a_transactional_id_of_somebody_else_is_refused(probed: SecuredBroker) -> None:
    """A producer of payments may not take over a lane of the worker."""
    producer = AIOKafkaProducer(
        **connection(signed_in(probed, BY_NAME["payments"])), transactional_id=f"{group_id(Settings())}-lanes-0"
    )
    try:
        assert await refused(producer.start())
    finally:
        await producer.stop()


async def test_a_command_without_the_right_says_so_in_one_line(probed: SecuredBroker) -> None:
    """A command whose user may not write is told which command prints the rules, and exits with 2."""
    with pytest.raises(Misconfigured, match=r"refuses this to our user.*`ews topics acls`"):
        await write(signed_in(probed, BY_NAME["subscriber"]), "alerts", [("k", b"{}")])
    with pytest.raises(Misconfigured, match=r"the cluster refuses to make the topic|is missing|refuses this"):
        await create_topics(signed_in(probed, BY_NAME["worker"]).model_copy(update={"topic_prefix": "other-"}))


def test_rules_are_printed_as_arguments_of_kafkas_own_tool() -> None:
    """A rule is one line for kafka-acls.sh, with the installation's names in it."""
    lines = list(commands(BY_NAME["subscriber"], principal(BY_NAME["subscriber"], "ews-"), Settings(topic_prefix="a.")))
    topic = "--topic a.alerts --resource-pattern-type literal --operation Read --operation DescribeConfigs"
    group = "--group ews-a-subscriber- --resource-pattern-type prefixed --operation Read"
    assert [f"--add --allow-principal User:ews-subscriber {one}" for one in (topic, group)] == lines


def test_the_table_of_the_docs_is_the_table_of_the_code() -> None:
    """What docs/security.md says of each role is what `ews topics acls` prints."""
    assert table() in (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
