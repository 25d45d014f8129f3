"""All policies that are known, by version: the one that a process starts with, the built-in one, those of the topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.codec import InvalidEvent
from schemas.policies import decode_policy
from streams.bootstrap.policies import effective
from streams.bootstrap.policy import detector_keys, engine_of, load_detectors, load_policy, policy_of
from streams.engine.policy import Policy
from streams.engine.portfolio.judging import Rules, rules_of
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from schemas.policies import PolicyRecord
    from streams.engine.engine import Engine


class PolicyBook:
    """Policies and their engines. The first policy of a version stays: no version has two contents.

    `in_force` is the version of the topic's last good record, None while the topic has none: then it is that of `base`.
    Only the built-in policy gives way to one of the topic, as long as it is not used: it came with another release.
    """

    def __init__(self, base: Policy) -> None:
        builtin = Policy()
        self.base = base
        self.in_force: str | None = None
        self._policies: dict[str, Policy] = {builtin.version: builtin} | {base.version: base}
        self._builtin = builtin.version if base == builtin or base.version != builtin.version else None
        self._engines: dict[tuple[str, int | None], Engine] = {}

    def __contains__(self, version: str) -> bool:
        return version in self._policies

    def policy(self, version: str) -> Policy | None:
        """The policy of a version, None if it is not known."""
        return self._policies.get(version)

    def engine(self, version: str, live_from_ms: int | None = None) -> Engine | None:
        """The engine of a version, None if it is not known. Each is made once."""
        policy = self._policies.get(version)
        if policy is None:
            return None
        if (version, live_from_ms) not in self._engines:
            self._engines[version, live_from_ms] = engine_of(policy, live_from_ms)
        return self._engines[version, live_from_ms]

    def learn(self, key: bytes | None, value: bytes | None) -> str:
        """Take up a record of the topic: its version is in force from now on. Raises Misconfigured if it is no good."""
        try:
            record = decode_policy(key, value)
        except InvalidEvent as invalid:
            raise Misconfigured(f"a record of the topic policies is not one: {invalid}") from None
        self._note(record.version, policy_in(record))
        self.in_force = record.version
        return record.version

    def _note(self, version: str, policy: Policy) -> None:
        known = self._policies.get(version)
        if known is not None and known != policy and effective(known) != effective(policy):
            if version != self._builtin or any(made == version for made, _ in self._engines):
                raise Misconfigured(f"the policy {version} of the topic has other content than it had before")
            self._policies[version] = policy
        self._policies.setdefault(version, policy)
        if version == self._builtin:
            self._builtin = None


def policy_in(record: PolicyRecord) -> Policy:
    """The policy of a record. Raises Misconfigured, naming every mistake."""
    raw: dict[str, Any] = {"version": record.version} | record.document
    detectors = raw.get("detectors", {})
    if record.whole and isinstance(detectors, dict):
        # A detector that did not exist when the policy was applied is no part of it.
        raw["detectors"] = {key: {"enabled": False} for key in detector_keys()} | detectors
    return policy_of(raw, f"the policy {record.version} of the topic")


def load_book(file: Path | None) -> PolicyBook:
    """The book that begins with a policy file, or with the built-in policy. Raises Misconfigured."""
    return PolicyBook(load_policy(file))


def rules_in(book: PolicyBook) -> Callable[[str], Rules | None]:
    """The rules of the second hop by the version of a policy, None for one that is not known."""

    def rules_by(version: str) -> Rules | None:
        policy = book.policy(version)
        return None if policy is None else rules_of(version, load_detectors(policy))

    return rules_by
