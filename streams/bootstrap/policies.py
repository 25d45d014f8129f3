"""A policy as a document: whole, with all defaults, and told apart from another one setting by setting."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import tomli_w
from pydantic import BaseModel

from streams.bootstrap.policy import load_detectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.policy import Policy

HEADER = """\
# A policy: every setting that decides an alert, with its value. Written by `ews policies show`; leave out what you do
# not change. `ews detectors NAME` says what a setting means, `ews policies check FILE` what is wrong with a file.

"""


class Change(NamedTuple):
    """One setting that two policies have with different values; None where one of them has none."""

    setting: str
    before: Any
    after: Any


def effective(policy: Policy) -> dict[str, Any]:
    """All settings of a policy, those of every detector included, as plain values. Raises Misconfigured."""
    whole: dict[str, Any] = plain(policy)
    return whole | {"detectors": {detector.key: plain(detector) for detector in load_detectors(policy)}}


def as_toml(policy: Policy) -> str:
    """The whole policy as a file that loads to the same engine. Raises Misconfigured."""
    return HEADER + tomli_w.dumps(effective(policy), indent=2)


def plain(value: Any) -> Any:
    """Settings as TOML and JSON have them: sets in order, since theirs changes from run to run, and without None."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, frozenset | set):
        return sorted(map(plain, value))
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every setting in which two policies differ, in the order of the document. Raises Misconfigured."""
    old, new = dict(_settings(effective(before))), dict(_settings(effective(after)))
    paths = [*new, *(path for path in old if path not in new)]
    return [
        Change(path, old.get(path), new.get(path))
        for path in paths
        if path != "version" and (path in old, old.get(path)) != (path in new, new.get(path))
    ]


def _settings(document: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _settings(value, here)
        else:
            yield here, value
