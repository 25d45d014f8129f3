"""Some weeks of asking the contact rules: nothing is made against them, and every fault planted in them is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import pytest

from streams.casework.packs import load_packs
from streams.stores.contacts import ContactStore
from tests.contact_year.asking import Asked, AskingYear
from tests.contact_year.dialler import LogOnPaper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from streams.casework.packs import Pack
    from streams.stores.contact import ContactRecord, PastContact
    from tests.contact_year.dialler import Log

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def asked(
    directory: Path,
    names: str,
    change: Callable[[Pack], Pack] = lambda pack: pack,
    *,
    store: type[ContactStore] = ContactStore,
    log: Log | None = None,
    tells_of_holds: bool = True,
    seed: int = 5,
) -> Asked:
    """What came of asking, where the product has a fault."""
    packs = tuple(change(pack) for pack in load_packs(names.split("+")))
    year = AskingYear(
        directory, names.split("+"), borrowers=12, days=50, seed=seed,
        packs=packs, store=store, log=log, tells_of_holds=tells_of_holds,
    )  # fmt: skip
    return year.run(bursts=0.25)


def rules(of: Asked) -> set[str]:
    """The rules that were broken by every reading."""
    return {violation.rule for violation in of.certain}


@pytest.mark.parametrize("names", ["id", "default", "cn+us"])
def test_nothing_is_made_outside_the_rules(tmp_path: Path, names: str) -> None:
    """Much is asked for, some is made, and nobody who was told a moment is sent away then with nothing changed."""
    told = asked(tmp_path, names)
    assert [] == told.certain
    assert 0 == told.promised_too_early
    assert told.made > 50
    assert told.refused.total() > 50
    assert len(told.waited) > 20


def _until(clock: time) -> Callable[[Pack], Pack]:
    return lambda p: p.model_copy(update={"hours": p.hours.model_copy(update={"until": clock}) if p.hours else None})


def _since(clock: time) -> Callable[[Pack], Pack]:
    return lambda p: p.model_copy(update={"hours": p.hours.model_copy(update={"start": clock}) if p.hours else None})


def _without(**fields: object) -> Callable[[Pack], Pack]:
    return lambda pack: pack.model_copy(update=fields)


def _one_more(pack: Pack) -> Pack:
    """Every cap is one too high."""
    caps = tuple(cap.model_copy(update={"contacts_max": cap.contacts_max + 1}) for cap in pack.caps)
    return pack.model_copy(update={"caps": caps})


def _two_days_less(pack: Pack) -> Pack:
    """The wait after a conversation is two days too short: one is a matter of reading."""
    return pack.model_copy(update={"waits": tuple(w.model_copy(update={"days": w.days - 2}) for w in pack.waits)})


@pytest.mark.parametrize(
    ("names", "change", "rule"),
    [
        pytest.param("cn", _until(time(23)), "hours", id="cn-hours-late"),
        pytest.param("us", _since(time(7)), "hours", id="us-hours-early"),
        pytest.param("in", _until(time(20)), "hours", id="in-hours-late"),
        pytest.param("id", _until(time(21)), "hours", id="id-hours-late"),
        pytest.param("default", _without(weekdays=None), "sunday", id="default-sunday-none"),
        pytest.param("default", _without(holidays=None), "holiday", id="default-holiday-none"),
        pytest.param("cn", _one_more, "calls_a_day", id="cn-calls_a_day-one_more"),
        pytest.param("default", _one_more, "calls_a_day", id="default-calls_a_day-one_more"),
        pytest.param("us", _without(caps=(), waits=()), "calls_in_7_days", id="us-calls_in_7_days-none"),
        pytest.param("us", _two_days_less, "conversation", id="us-conversation-short"),
        pytest.param("cn+us", _without(waits=()), "conversation", id="cn+us-conversation-none"),
        pytest.param("cn+us", _until(time(22)), "hours", id="cn+us-hours-late"),
    ],
)
def test_a_fault_in_a_pack_is_found(tmp_path: Path, names: str, change: Callable[[Pack], Pack], rule: str) -> None:
    """Hours an hour too long, a cap one too high, a wait too short, a rule left out."""
    assert rule in rules(asked(tmp_path, names, change))


class Faulty(ContactStore):
    """Knows something wrong of everybody, however it is asked."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record with what is wrong."""
        raise NotImplementedError

    def record(self, borrower: str) -> ContactRecord | None:
        """One of them."""
        record = super().record(borrower)
        return None if record is None else self.spoil(record)

    def records(self, borrowers: Iterable[str]) -> dict[str, ContactRecord]:
        """Several of them."""
        return {borrower: self.spoil(record) for borrower, record in super().records(borrowers).items()}


class FirstZone(Faulty):
    """Goes by the zone that it saw first."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record in its first zone."""
        seen: dict[str, ContactRecord] = self.__dict__.setdefault("seen", {})
        first = seen.setdefault(record.borrower, record)
        return replace(record, zone=first.zone, country=first.country)


class NoOptOut(Faulty):
    """Forgets that somebody opted out."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record without opt-outs."""
        addresses = tuple(replace(address, opted_out_at=None) for address in record.addresses)
        return replace(record, opted_out_at=None, opted_out=(), addresses=addresses)


class AllConsent(Faulty):
    """Takes it that everybody has agreed to everything."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record with consents."""
        return replace(record, addresses=tuple(replace(a, consented_at=LONG_AGO) for a in record.addresses))


class NobodyElse(Faulty):
    """Takes it that every address is the borrower's own."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record with own addresses alone."""
        return replace(record, addresses=tuple(replace(a, third_party=False) for a in record.addresses))


class NoHours(Faulty):
    """Forgets the hours that somebody asked for."""

    def spoil(self, record: ContactRecord) -> ContactRecord:
        """The record without them."""
        return replace(record, preferred=None)


@pytest.mark.parametrize(
    ("store", "rule", "seed"),
    [
        (FirstZone, "hours", 7),
        (NoOptOut, "opt_out", 5),
        (AllConsent, "consent", 5),
        (NobodyElse, "third_party", 5),
        (NoHours, "preferred", 5),
    ],
)
def test_a_fault_in_what_is_known_is_found(tmp_path: Path, store: type[ContactStore], rule: str, seed: int) -> None:
    """A zone that is out of date, an opt-out that was not taken up, somebody else's number."""
    assert rule in rules(asked(tmp_path, "us", store=store, seed=seed))


def test_holds_that_nobody_is_told_of_are_found(tmp_path: Path) -> None:
    """Each kind of them."""
    broken = rules(asked(tmp_path, "us", tells_of_holds=False))
    assert {"hardship", "dispute", "promise", "hold"} <= broken


class Forgetful(LogOnPaper):
    """Keeps no conversation."""

    def note(self, contact: PastContact, who: str) -> None:
        """The contact as if nobody had answered."""
        super().note(replace(contact, reached_at=None), who)


def test_a_log_that_forgets_conversations_is_found(tmp_path: Path) -> None:
    """The wait after them is not kept then."""
    assert "conversation" in rules(asked(tmp_path, "us", log=Forgetful()))
