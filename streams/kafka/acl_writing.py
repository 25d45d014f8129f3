"""Makes the rights of `streams.kafka.acls` on the cluster, for one that may (ALTER on the cluster)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, CreateAclsRequest_v1, DescribeAclsRequest

from streams import clock
from streams.errors import Misconfigured, Unavailable
from streams.kafka.acls import Operation, Resource
from streams.kafka.topics import administering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka.admin import AIOKafkaAdminClient

    from streams.kafka.acls import Right
    from streams.settings import Settings

# Kafka's numbers of what it calls resource types, pattern types, operations and permissions.
_RESOURCES = {Resource.TOPIC: 2, Resource.GROUP: 3, Resource.CLUSTER: 4, Resource.TRANSACTIONAL_ID: 5}
_LITERAL, _PREFIXED = 3, 4
_OPERATIONS = {
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DESCRIBE: 8,
    Operation.DESCRIBE_CONFIGS: 10,
}
_ALLOW = 3
_ANY_HOST = "*"
_ANY = 1
APPLIED_SECONDS_MAX = 10.0
"""How long a cluster may take from taking a rule down to going by it."""
POLL_SECONDS = 0.05


class _Creations(CreateAclsRequest):  # type: ignore[misc]  # aiokafka has no types
    """Many rights in one request; aiokafka's own holds one."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        """The request as it goes out."""
        assert request_struct_class is CreateAclsRequest_v1, "brokers since 2.0 know patterns"
        return request_struct_class(self._rows)


async def allow(settings: Settings, rights_of: Iterable[tuple[str, Right]]) -> int:
    """Allow each principal its rights; how many rules there are then. What is there already stays.

    Raises Misconfigured when the cluster refuses (it has no authoriser, or we may not), or Unavailable.
    """
    rows = [
        (
            _RESOURCES[right.resource],
            right.name,
            _PREFIXED if right.prefixed else _LITERAL,
            user,
            _ANY_HOST,
            _OPERATIONS[operation],
            _ALLOW,
        )
        for user, right in rights_of
        for operation in right.operations
    ]
    async with administering(settings) as admin:
        answer = await admin._send_request(_Creations(rows))  # noqa: SLF001 - aiokafka's admin has no call for it
        for code, reason in answer.creation_responses:
            if code:
                raise Misconfigured(f"the cluster makes no access rule: {reason or for_code(code).__name__}")
        await _until_applied(admin, rows)
    return len(rows)


async def _until_applied(admin: AIOKafkaAdminClient, rows: Iterable[tuple[Any, ...]]) -> None:
    """Wait until a broker lists every rule: until then it goes by the old ones."""
    wanted, deadline = set(rows), clock.monotonic() + APPLIED_SECONDS_MAX
    every = DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)
    while clock.monotonic() < deadline:
        answer = await admin._send_request(every)  # noqa: SLF001 - aiokafka's admin has no call for it
        found = {(kind, name, pattern, *rule) for kind, name, pattern, rules in answer.resources for rule in rules}
        if wanted <= found:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(f"the access rules are not in force after {APPLIED_SECONDS_MAX:.0f} s: look at the cluster")
