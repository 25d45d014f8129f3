"""The policies of an installation: what stands in their topic, and how another one is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from schemas.codec import InvalidEvent
from schemas.policies import PolicyRecord, decode_policy
from schemas.topics import POLICIES
from streams import clock
from streams.bootstrap.policies import Change, changes, effective
from streams.bootstrap.policy import load_policy
from streams.bootstrap.policy_book import PolicyBook, load_book
from streams.errors import Misconfigured
from streams.kafka.policies import read_policies, writing
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from streams.engine.policy import Policy
    from streams.settings import Settings

DIFFERENCES_SHOWN = 3


class Applied(NamedTuple):
    """What `apply` did."""

    version: str
    before: str
    """The version that was in force."""
    changes: list[Change]
    """Setting by setting, against the one that was in force."""
    written: bool
    """Whether a record was written: not if this version is in force already."""
    again: bool
    """Whether the version was applied before."""


class Row(NamedTuple):
    """A version that stands in the topic."""

    version: str
    record: PolicyRecord | None = None
    mistake: str | None = None
    """What is wrong with it, so that workers ignore it."""

    @property
    def applied(self) -> tuple[datetime, ...]:
        """When it was applied, the latest time last."""
        return () if self.record is None else (*self.record.before, self.record.applied_at)


@dataclass(slots=True)
class PolicyTopic:
    """What stands in the topic, in the order in which it was applied last."""

    book: PolicyBook
    rows: list[Row] = field(default_factory=list)

    @property
    def in_force(self) -> Policy:
        """The policy that the workers go by."""
        policy = self.book.policy(self.book.in_force or self.book.base.version)
        assert policy is not None, "what is in force is known"
        return policy

    def row(self, version: str) -> Row | None:
        """The good record of a version, None if there is none."""
        return next((row for row in self.rows if row.version == version and row.mistake is None), None)

    def note(self, key: bytes | None, value: bytes | None) -> None:
        """Take up the next record."""
        try:
            version = self.book.learn(key, value)
        except Misconfigured as wrong:
            self.rows.append(Row((key or b"").decode(errors="replace"), _record(key, value), str(wrong)))
            return
        if (known := self.row(version)) is not None:
            self.rows.remove(known)
        self.rows.append(Row(version, _record(key, value)))


def _record(key: bytes | None, value: bytes | None) -> PolicyRecord | None:
    try:
        return decode_policy(key, value)
    except InvalidEvent:
        return None


async def read_topic(settings: Settings) -> PolicyTopic:
    """The topic as it stands. Raises Misconfigured if there is none, or Unavailable."""
    return topic_of(settings.policy_file, await read_policies(settings))


def topic_of(policy_file: Path | None, records: Iterable[ConsumerRecord]) -> PolicyTopic:
    """What records mean to a worker that starts with this policy file. Raises Misconfigured for a bad file."""
    topic = PolicyTopic(load_book(policy_file))
    for record in records:
        topic.note(record.key, record.value)
    return topic


async def apply_policy(settings: Settings, file: Path, note: str = "") -> Applied:
    """Put a policy file in force. Raises Misconfigured for a bad one or a version that was used, Unavailable, Rejected.

    A version that was applied before with the same content is put in force again: that is how a change is taken back.
    """
    policy = load_policy(file)
    await partition_counts(settings, [POLICIES])
    async with writing(settings) as write:
        topic = await read_topic(settings)  # After older writers are fenced: nobody writes between this and us.
        _refuse_reuse(topic.book, policy)
        row = topic.row(policy.version)
        done = Applied(
            version=policy.version,
            before=topic.in_force.version,
            changes=changes(topic.in_force, policy),
            written=topic.book.in_force != policy.version,
            again=row is not None,
        )
        if done.written:
            record = _next_record(policy, () if row is None else row.applied, note)
            await write(policy.version, record.model_dump_json().encode())
    return done


def _next_record(policy: Policy, before: tuple[datetime, ...], note: str) -> PolicyRecord:
    return PolicyRecord(
        version=policy.version,
        applied_at=clock.now(),
        note=note,
        before=before,
        whole=True,  # With every default, so that a later release with other defaults reads the same policy.
        document=effective(policy),
    )


def _refuse_reuse(book: PolicyBook, policy: Policy) -> None:
    known = book.policy(policy.version)
    if known is None or not (differing := changes(known, policy)):
        return
    shown = ", ".join(change.setting for change in differing[:DIFFERENCES_SHOWN])
    more = f" and {len(differing) - DIFFERENCES_SHOWN} more" if len(differing) > DIFFERENCES_SHOWN else ""
    raise Misconfigured(
        f"the version {policy.version} is taken by a policy with other content ({shown}{more} differ): alerts and the "
        "order name it, so give this one another version"
    )
