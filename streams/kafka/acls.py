"""What each process may do on the cluster, and no more: the one table that `ews topics acls` and the docs come from.

A role is a process or a person with a Kafka user of its own. Everything is allowed by name, or by the prefix of a name
where the rest is a number; nothing is allowed to everybody. Kafka derives: reading or writing a topic includes
describing it, and an idempotent producer needs no right of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from schemas import topics
from schemas.events import Topic
from streams.kafka.connection import topic_name
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


EVERYTHING = tuple(topics.LAYOUTS)


class Resource(StrEnum):
    """What a right is about, as Kafka's own tools call it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """What may be done with it."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


class Right(NamedTuple):
    """One thing that a role may do."""

    resource: Resource
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False
    """Whether `name` is the beginning of names."""


@dataclass(frozen=True, slots=True)
class Role:
    """A process, or what a person or another system does, and the topics that it needs."""

    name: str
    does: str
    """What it is, for the docs."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    """Topics whose layout it looks at without reading them."""
    groups: tuple[str, ...] = ()
    """Consumer groups, as `named` makes their names."""
    transactions: tuple[str, ...] = ()
    """Transactional ids, the same; those that end with `-` are the beginnings of many."""
    creates: bool = False


def _reader(name: str, does: str, *reads: str) -> Role:
    return Role(name, does, reads=reads)


def _producer(name: str, does: str, topic: str) -> Role:
    return Role(name, does, writes=(topic, Topic.FEEDS))


_CASE_GROUPS = ("{consumer}case_creator", "{consumer}promise_keeper", "{consumer}outcome_keeper")
_RELAYED = (Topic.REPAYMENTS, Topic.CONTACTS, topics.ALERT_OUTCOMES)

ROLES = (
    Role(
        "worker",
        "`ews worker`",
        reads=(*topics.SOURCES, Topic.FEEDS, topics.POLICIES, topics.STATE),
        writes=(topics.STATE, topics.ORDER, topics.ALERTS, topics.DEAD_LETTERS, topics.COHORTS, topics.LINKS),
        groups=("{group}",),
        transactions=("{group}-lanes-",),
    ),
    Role(
        "portfolio",
        "`ews worker --stage portfolio`",
        reads=(topics.COHORTS, topics.LINKS, topics.POLICIES, topics.PORTFOLIO_STATE),
        writes=(topics.PORTFOLIO_STATE, topics.PORTFOLIO_ORDER, topics.ALERTS, topics.DEAD_LETTERS),
        groups=("{group}-portfolio",),
        transactions=("{group}-portfolio-lanes-",),
    ),
    Role(
        "cases",
        "`ews cases serve`: case creator, promise and outcome keeper, the outbox's relay",
        reads=(topics.ALERTS, Topic.REPAYMENTS, topics.ALERT_OUTCOMES),
        writes=(*_RELAYED, topics.DEAD_LETTERS),
        groups=_CASE_GROUPS,
    ),
    Role(
        "notifier",
        "`ews notifier` that tells staff only",
        reads=(topics.ALERTS, Topic.CONTACTS),
        writes=(topics.DEAD_LETTERS,),
        groups=("{consumer}notifier", "{consumer}contact_log"),
    ),
    Role(
        "borrower-notifier",
        "`ews notifier` with `EWS_BORROWER_CHANNELS`: it may hold the lease of the outbox's relay",
        reads=(topics.ALERTS, Topic.CONTACTS),
        writes=(*_RELAYED, topics.DEAD_LETTERS),
        groups=("{consumer}notifier", "{consumer}contact_log"),
    ),
    _producer("payments", "a producer of servicing facts", Topic.REPAYMENTS),
    _producer("banking", "a producer of account transactions", Topic.TRANSACTIONS),
    _producer("bureau", "a bureau gateway", Topic.BUREAU),
    _producer("dialler", "a system that contacts borrowers", Topic.CONTACTS),
    Role(
        "subscriber",
        "a system that reads alerts; its groups' names begin as shown",
        reads=(topics.ALERTS,),
        groups=("{subscriber}-",),
    ),
    Role(
        "outcomes",
        "`ews outcomes record`, or a case system of another maker",
        reads=(topics.ALERTS, topics.ALERT_OUTCOMES),
        writes=(topics.ALERT_OUTCOMES,),
    ),
    Role("supervisor", "`ews snooze`: what is asked for a borrower by hand", writes=(Topic.CONTACTS,)),
    Role("eraser", "`ews erase`: reads all, to say what stays", reads=EVERYTHING, writes=(Topic.CONTACTS,)),
    Role(
        "policies",
        "`ews policies`",
        reads=(topics.POLICIES,),
        writes=(topics.POLICIES,),
        transactions=("{group}-policies",),
    ),
    Role(
        "dead-letters",
        "`ews dead-letters`: it sees raw bytes, which hold persons",
        reads=(topics.DEAD_LETTERS,),
        writes=(topics.DEAD_LETTERS, *topics.SOURCES, Topic.FEEDS),
        transactions=("{group}-requeue",),
    ),
    _reader(
        "analyst",
        "`ews explain`, `ews state`: reads all but the dead letters",
        *(name for name in EVERYTHING if name != topics.DEAD_LETTERS),
    ),
    _reader("auditor", "`ews replay --order`: reads all, to make every alert and dead letter again", *EVERYTHING),
    Role(
        "operator",
        "`ews topics create`, `ews topics check`: makes topics, reads and writes none",
        describes=EVERYTHING,
        creates=True,
    ),
)
"""Every role of an installation."""


def rights(role: Role, settings: Settings) -> list[Right]:
    """All that a role may do, in the names of an installation."""
    return [*_topics(role, settings), *_groups(role, settings), *_cluster(role)]


def principal(role: Role, prefix: str) -> str:
    """The Kafka user that a role signs in as."""
    return f"User:{prefix}{role.name}"


def commands(role: Role, user: str, settings: Settings) -> Iterator[str]:
    """The arguments of Kafka's own `kafka-acls.sh` that allow what a role may do, a line for each right."""
    for right in rights(role, settings):
        allowed = " ".join(f"--operation {operation}" for operation in right.operations)
        if right.resource is Resource.CLUSTER:
            yield f"--add --allow-principal {user} --cluster {allowed}"
            continue
        pattern = "prefixed" if right.prefixed else "literal"
        resource = f"--{right.resource} {right.name} --resource-pattern-type {pattern}"
        yield f"--add --allow-principal {user} {resource} {allowed}"


def _topics(role: Role, settings: Settings) -> Iterator[Right]:
    for name in EVERYTHING:
        allowed = []
        if name in role.reads:
            allowed.append(Operation.READ)
        if name in role.writes:
            allowed.append(Operation.WRITE)
        if name in role.describes:
            allowed.append(Operation.DESCRIBE)
        if role.creates:
            allowed.append(Operation.CREATE)
        if allowed:
            allowed.append(Operation.DESCRIBE_CONFIGS)  # A process compares the layout with what it needs at its start.
            yield Right(Resource.TOPIC, topic_name(settings, name), tuple(allowed))


def _groups(role: Role, settings: Settings) -> Iterator[Right]:
    for name in _named(role.groups, settings):
        yield Right(Resource.GROUP, name, (Operation.READ,), prefixed=name.endswith("-"))
    for name in _named(role.transactions, settings):
        operations = (Operation.WRITE, Operation.DESCRIBE)
        yield Right(Resource.TRANSACTIONAL_ID, name, operations, prefixed=name.endswith("-"))


def _cluster(role: Role) -> Iterator[Right]:
    if role.creates:
        yield Right(Resource.CLUSTER, "kafka-cluster", (Operation.DESCRIBE,))


def _named(patterns: Iterable[str], settings: Settings) -> Iterator[str]:
    prefix = settings.topic_prefix.strip("._-")
    group = f"{settings.app}-{prefix}" if prefix else settings.app
    for pattern in patterns:
        yield pattern.format(
            group=group, consumer=f"{settings.app}-{settings.topic_prefix}", subscriber=f"{group}-subscriber"
        )


def table() -> str:
    """The roles as a table of Markdown, for the docs."""
    lines = ["| role | is | reads | writes | groups | transactional ids |", "| --- | --- | --- | --- | --- | --- |"]
    for role in ROLES:
        groups, transactions = (
            ", ".join(f"`{name}{'*' if name.endswith('-') else ''}`" for name in _named(patterns, Settings()))
            for patterns in (role.groups, role.transactions)
        )
        reads, writes = (_listed(names) for names in (role.reads, role.writes))
        lines.append(f"| `{role.name}` | {role.does} | {reads} | {writes} | {groups} | {transactions} |")
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    named = sorted(map(str, names))
    if len(named) < len(EVERYTHING) - 1:
        return ", ".join(named)
    missing = sorted(set(EVERYTHING) - set(named))
    return f"all but {missing[0]}" if missing else "all"
