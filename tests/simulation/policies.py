"""The policies that a run begins with and changes to, and their engines, made once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from schemas.policies import PolicyRecord
from streams.bootstrap.policy import detector_keys, policy_of
from streams.bootstrap.policy_book import PolicyBook
from tests.builders import at

if TYPE_CHECKING:
    from streams.engine.engine import Engine

KEPT = ("missed_installment", "returned_payment", "partial_payment", "inquiry_velocity", "income_missing",
        "broken_promise")  # fmt: skip
"""A few detectors of every kind: what a run is about is the shell."""


def _document(**changes: Any) -> dict[str, Any]:
    off = {key: {"enabled": False} for key in detector_keys() if key not in KEPT}
    return {"detectors": off | {key: {"enabled": False} for key, on in changes.items() if not on}}


VERSIONS: dict[str, dict[str, bool]] = {
    "sim-0": {},
    "sim-1": {"inquiry_velocity": False},
    "sim-2": {"partial_payment": False, "income_missing": False},
}


@cache
def records() -> tuple[tuple[bytes, bytes], ...]:
    """What `ews policies apply` would write for each version."""
    return tuple(
        (
            version.encode(),
            PolicyRecord(version=version, applied_at=at(0), document=_document(**changes)).model_dump_json().encode(),
        )
        for version, changes in VERSIONS.items()
    )


@cache
def _base() -> Any:
    return policy_of({"version": "sim-0"} | _document(), "the simulation's policy")


@cache
def _engine(version: str) -> Engine:
    book = PolicyBook(_base())
    for key, value in records():
        book.learn(key, value)
    engine = book.engine(version)
    assert engine is not None
    return engine


class Book(PolicyBook):
    """The product's book, whose engines are shared by all processes of all runs: they hold nothing of a run."""

    def __init__(self) -> None:
        super().__init__(_base())

    def engine(self, version: str, live_from_ms: int | None = None) -> Engine | None:  # noqa: ARG002 - there is none
        """The engine of a version that this process has learnt."""
        return _engine(version) if version in self else None


_template: list[Book] = []


def new_book() -> Book:
    """A book that has read nothing yet."""
    if not _template:
        _template.append(Book())
    book = object.__new__(Book)
    book.__dict__ = _template[0].__dict__ | {"_policies": dict(_template[0]._policies), "_engines": {}}
    return book


@cache
def all_known() -> Book:
    """The book of whoever has read the whole topic."""
    book = Book()
    for key, value in records():
        book.learn(key, value)
    return book
