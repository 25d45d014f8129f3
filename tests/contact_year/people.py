"""Borrowers around the world, each with what is told of them in the course of a year, drawn from a seed.

What is told goes two ways that do not touch: into the product's contact store, as `Told`, and into the checker's
`Record`, which is written down here beside it.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from streams.casework.contact import Channel
from streams.stores.contact import IncomingRecord, NewAddress
from tests.contact_year.evidence import Consent, OptOut, Record, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.stores.contacts import ContactStore

    Telling = tuple[datetime, Callable[[ContactStore], object]]

PLACES = (
    ("America/New_York", "US-NY"),
    ("America/Los_Angeles", "US-CA"),
    ("Pacific/Honolulu", "US"),  # No summer time.
    ("America/St_Johns", "CA-NL"),  # Half an hour, with summer time.
    ("America/Sao_Paulo", "BR"),
    ("America/Santiago", "CL"),  # Summer time of the south.
    ("Europe/London", "GB"),
    ("Europe/Berlin", "DE"),
    ("Africa/Casablanca", "MA"),  # Summer time that ends for Ramadan.
    ("Africa/Cairo", "EG"),
    ("Asia/Kolkata", "IN"),
    ("Asia/Kathmandu", "NP"),  # Three quarters of an hour.
    ("Asia/Shanghai", "CN"),
    ("Asia/Jakarta", "ID"),
    ("Asia/Jayapura", "ID"),
    ("Asia/Tokyo", "JP"),
    ("Australia/Adelaide", "AU-SA"),
    ("Australia/Lord_Howe", "AU-NSW"),  # Half an hour of summer time.
    ("Pacific/Chatham", "NZ"),
    ("Pacific/Kiritimati", None),  # The first of the day, and a country that is not known.
    ("Europe/Paris", None),
)
CHANNELS = (Channel.SMS, Channel.PUSH, Channel.EMAIL, Channel.CALL)
LANGUAGES = ("en", "zh", "es", "id", "hi", "de")
SOURCE = "core"
HOURS = ((time(9), time(12)), (time(17), time(20, 30)), (time(18), time(10)), (time(7), time(23)))
"""That borrowers ask for; one of them over midnight."""


@dataclass
class Person:
    """A borrower: what is told of them when, and what the checker knows."""

    record: Record | None
    """None of whom nothing is known."""
    told: list[Telling] = field(default_factory=list)


def people(borrowers: Iterable[str], begin: datetime, end: datetime, seed: int) -> dict[str, Person]:
    """A person for each borrower, the same for the same seed."""
    return {borrower: _Life(borrower, begin, end, seed).person() for borrower in borrowers}


class _Life:
    """One borrower's year, being drawn: what happens is drawn first, and then takes place in the order of time."""

    def __init__(self, borrower: str, begin: datetime, end: datetime, seed: int) -> None:
        self._borrower = borrower
        self._begin, self._end = begin, end
        self._draw = random.Random(f"{seed} {borrower}")  # noqa: S311 - the same for the same seed
        self._language = self._draw.choice(LANGUAGES)
        self._addresses: dict[str, NewAddress] = {}
        self._versions: list[Version] = []
        self._consents: list[Consent] = []
        self._opt_outs: list[OptOut] = []
        self._told: list[Telling] = []
        self._erased = False

    def person(self) -> Person:
        """The borrower of whom all is drawn. Of three in a hundred nothing is ever told."""
        if self._chance(0.03):
            return Person(record=None)
        self._be_taken_on(self._begin - timedelta(days=self._draw.randrange(1, 400)))
        happenings = [
            (self._some_time(), happens)
            for likelihood, happens in (
                (0.20, self._move), (0.10, self._move), (0.15, self._opt_out), (0.10, self._opt_out),
                (0.10, self._opt_in), (0.10, self._opt_in), (0.04, self._opt_out_of_all), (0.15, self._agree_to_all),
                (0.10, self._ask_for_hours), (0.02, self._be_erased),
            )
            if self._chance(likelihood)
        ]  # fmt: skip
        for at, happens in sorted(happenings, key=lambda one: one[0]):
            if not self._erased:
                happens(at)
        others = frozenset(a.address for a in self._addresses.values() if a.third_party)
        record = Record(
            borrower=self._borrower,
            versions=tuple(self._versions),
            consents=tuple(self._consents),
            opt_outs=tuple(self._opt_outs),
            third_parties=others,
        )
        return Person(record=record, told=self._told)

    def _chance(self, likelihood: float) -> bool:
        return self._draw.random() < likelihood

    def _some_time(self) -> datetime:
        """A moment of the year, to the second; also in the middle of the night."""
        return self._begin + timedelta(seconds=self._draw.randrange(int((self._end - self._begin).total_seconds())))

    def _hours(self) -> tuple[time, time]:
        return self._draw.choice(HOURS)

    # What happens

    def _be_taken_on(self, at: datetime) -> None:
        """Known before the year begins, with own and other people's addresses, some of them without consent."""
        for channel in CHANNELS:
            if self._chance(0.10):
                self._give(channel, "relative", at, third_party=True)
            if self._chance(0.90):
                self._give(channel, "own", None if self._chance(0.15) else at)
        zone, country = self._draw.choice(PLACES)
        preferred = self._hours() if self._chance(0.12) else None
        packs = ("in",) if self._chance(0.05) else ()
        self._say(Version(since=at, zone=zone, country=country, preferred=preferred, packs=packs))

    def _move(self, at: datetime) -> None:
        zone, country = self._draw.choice(PLACES)
        self._say(replace(self._version, since=at, zone=zone, country=country))

    def _ask_for_hours(self, at: datetime) -> None:
        self._say(replace(self._version, since=at, preferred=self._hours()))

    def _agree_to_all(self, at: datetime) -> None:
        """A new form: every own address with a consent of today."""
        for channel in CHANNELS:
            self._give(channel, "own", at)
        self._say(replace(self._version, since=at))

    def _opt_out(self, at: datetime) -> None:
        self._out(self._draw.choice(CHANNELS), at)

    def _opt_out_of_all(self, at: datetime) -> None:
        self._out(None, at)

    def _out(self, channel: Channel | None, at: datetime) -> None:
        self._opt_outs.append(OptOut(channel=channel.value if channel else None, at=at))
        self._told.append((at, lambda store: store.opt_out(self._borrower, channel, at, source=SOURCE)))

    def _opt_in(self, at: datetime) -> None:
        """Agree again to a channel that was given up; else to any."""
        given_up = [o.channel for o in self._opt_outs if o.channel is not None]
        channel = Channel(given_up[-1]) if given_up else self._draw.choice(CHANNELS)
        for address in self._addresses.values():
            if address.channel is channel and not address.third_party:
                self._addresses[address.address] = replace(address, consented_at=at)
                self._consents.append(Consent(channel=channel.value, at=at, address=address.address))
        self._told.append((at, lambda store: store.consent(self._borrower, channel, at, source=SOURCE)))

    def _be_erased(self, at: datetime) -> None:
        """From then on nothing is known, so nothing may be sent; to the checker it is an opt-out of everything."""
        self._erased = True
        self._opt_outs.append(OptOut(channel=None, at=at))
        self._told.append((at, lambda store: store.erase(self._borrower, at)))

    # What is told of it

    @property
    def _version(self) -> Version:
        return self._versions[-1]

    def _give(self, channel: Channel, whose: str, agreed: datetime | None, *, third_party: bool = False) -> None:
        address = _address(self._borrower, channel, whose)
        self._addresses[address] = NewAddress(
            channel=channel, address=address, consented_at=agreed, consent_source="app", third_party=third_party
        )
        if agreed is not None:
            self._consents.append(Consent(channel=channel.value, at=agreed, address=address))

    def _say(self, version: Version) -> None:
        """The whole record as it is from now on."""
        self._versions.append(version)
        record = IncomingRecord(
            borrower=self._borrower, zone=version.zone, language=self._language, source=SOURCE, packs=version.packs,
            country=version.country, preferred=version.preferred, addresses=tuple(self._addresses.values()),
        )  # fmt: skip
        self._told.append((version.since, lambda store: store.put(record, version.since)))


def _address(borrower: str, channel: Channel, whose: str) -> str:
    """An address as one looks, from which nobody but the checker tells whose it is."""
    digits = int.from_bytes(hashlib.sha256(f"{borrower} {whose} {channel}".encode()).digest()[:6]) % 10**9
    if channel is Channel.EMAIL:
        return f"a{digits}@example.org"
    return f"device-{digits}" if channel is Channel.PUSH else f"+1{digits:010}"
