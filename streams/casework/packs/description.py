"""Packs as rows of a table: what each rule says, from where, how it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.casework.packs import house

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.casework.packs.model import Pack, Rule

_HOUSE_SOURCE = "the house, under every pack"
_COLLECTION_ONLY = "service messages are exempt"


class PackRow(NamedTuple):
    """A rule, as `ews contacts packs` prints it."""

    pack: str
    rule: str
    says: str
    source: str
    reading: str
    unverified: bool = False


def describe(packs: Iterable[Pack]) -> list[PackRow]:
    """A row for each rule of the house, then of each pack in turn."""
    rows = [
        PackRow(house.NAME, name, rule.says, _HOUSE_SOURCE, "" if rule.binds_service else _COLLECTION_ONLY)
        for name, rule in house.HOUSE.items()
    ]
    rows += [
        PackRow(pack.name, name, rule.says, rule.source, rule.reading, rule.unverified)
        for pack in packs
        for name, rule in rules_of(pack)
    ]
    return rows


def rules_of(pack: Pack) -> Iterator[tuple[str, Rule]]:
    """The rules of a pack with the names that refusals give them."""
    for name, rule in (("hours", pack.hours), ("weekday", pack.weekdays), ("holiday", pack.holidays)):
        if rule is not None:
            yield name, rule
    for cap in pack.caps:
        yield cap.name, cap
    for wait in pack.waits:
        yield "after_conversation", wait
    for consent in pack.consents:
        yield "no_consent", consent
    if pack.hardship is not None:
        yield "hardship", pack.hardship
    if pack.support is not None:
        yield "support", pack.support
    for note in pack.notes:
        yield note.topic, note
