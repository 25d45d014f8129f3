"""Random borrowers, clocks, packs and pasts: the next moment is the first one, and a slow second reading agrees."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.casework.contact import Allowed, Attempt, Channel, ContactRecord, Holds, Kind, PastContact
from streams.casework.contact_rules import HORIZON, check
from streams.casework.days_off import days_off
from streams.casework.packs import known_packs
from tests.casework.contacting import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.casework.packs import Pack

ZONES = {
    "America/New_York": "US",
    "Europe/London": "GB",
    "Australia/Lord_Howe": "AU",
    "Asia/Kolkata": "IN",
    "Asia/Kathmandu": "NP",
    "Pacific/Apia": "WS",
    "Pacific/Auckland": "NZ",
    "America/Havana": "CU",
    "America/St_Johns": "CA",
    "Africa/Casablanca": "MA",
    "Asia/Jakarta": "ID",
    "America/Sao_Paulo": "BR",
    "Asia/Beirut": "LB",
}
JUMPS = [
    datetime(2011, 12, 29, 12, tzinfo=UTC),  # Apia leaves out a day.
    datetime(2026, 3, 8, 6, tzinfo=UTC),
    datetime(2026, 10, 31, 12, tzinfo=UTC),
    datetime(2026, 4, 4, 12, tzinfo=UTC),
    datetime(2028, 2, 28, 12, tzinfo=UTC),
    datetime(2018, 11, 3, 12, tzinfo=UTC),  # In Sao Paulo midnight is left out.
    datetime(2026, 12, 30, 12, tzinfo=UTC),
]
STEP = timedelta(minutes=15)
PACKS = known_packs()


class Situation(NamedTuple):
    """Something that is to be tried, with everything that may stand against it for a while."""

    attempt: Attempt
    record: ContactRecord
    holds: Holds
    past: list[PastContact]
    packs: tuple[Pack, ...]
    now: datetime

    def at(self, moment: datetime) -> bool:
        """Whether it is allowed at another moment."""
        return isinstance(check(*self[:-1], moment), Allowed)


quarters = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))
moments = st.one_of(
    st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside
    st.builds(
        lambda jump, minutes: jump + timedelta(minutes=minutes), st.sampled_from(JUMPS), st.integers(-2_880, 2_880)
    ),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Something that is to be tried, with everything that may stand against it for a while."""
    now = draw(moments)
    zone = draw(st.sampled_from(sorted(ZONES)))
    record = ContactRecord(
        borrower="b-1",
        zone=zone,
        language="en",
        country=draw(st.sampled_from([None, ZONES[zone], "US-CA", "GB-ENG"])),
        preferred=draw(st.none() | st.tuples(quarters, quarters)),
        addresses=ADDRESSES,
    )
    holds = Holds(
        until=draw(st.none() | st.integers(-10_000, 20_000).map(lambda m: now + timedelta(minutes=m))),
        promise_until=draw(st.none() | st.integers(-3, 31).map(lambda d: now.date() + timedelta(days=d))),
    )
    loans = st.sampled_from([None, "l-1", "l-2"])
    channels = st.sampled_from([Channel.CALL, Channel.CALL, Channel.VISIT, Channel.SMS, Channel.CHAT])
    past = [
        PastContact(
            contact_id=str(number),
            borrower="b-1",
            loan=draw(loans),
            channel=draw(channels),
            kind=draw(st.sampled_from([Kind.COLLECTION, Kind.COLLECTION, Kind.SERVICE])),
            at=(at := now - timedelta(minutes=draw(st.integers(-300, 14_400)))),
            reached_at=at + timedelta(minutes=3) if draw(st.integers(0, 9)) == 0 else None,
        )
        for number in range(draw(st.integers(0, 14)))
    ]
    attempt = Attempt(borrower="b-1", loan=draw(loans), channel=draw(channels), kind=draw(st.sampled_from(list(Kind))))
    names = draw(st.lists(st.sampled_from(sorted(PACKS)), min_size=1, max_size=3, unique=True))
    return Situation(attempt, record, holds, past, tuple(PACKS[name] for name in names), now)


@settings(max_examples=60, deadline=None)
@given(situations())
def test_the_next_moment_is_the_first_at_which_everything_passes(situation: Situation) -> None:
    """`check` allows it there, not a microsecond earlier, and at no quarter of an hour before."""
    outcome = check(*situation)
    if isinstance(outcome, Allowed):
        return
    end = outcome.next_at or situation.now + HORIZON
    assert situation.now < end <= situation.now + HORIZON
    if outcome.next_at is not None:
        assert situation.at(end)
        assert not situation.at(end - timedelta(microseconds=1))
    assert not [moment for moment in _quarters(situation.now, end) if situation.at(moment)]


@settings(max_examples=200, deadline=None)
@given(situations())
def test_a_slow_second_reading_of_the_packs_agrees(situation: Situation) -> None:
    """Asking every rule about the moment itself, with nothing sought ahead, gives the same answer."""
    assert _may(situation) == situation.at(situation.now)


def _quarters(now: datetime, end: datetime) -> list[datetime]:
    """Sharp quarters of an hour in between: two days at each end, and every sixth of what lies between."""
    first = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + STEP
    every = [first + n * STEP for n in range(max(0, -(-(end - first) // STEP)))]
    return every[:192] + every[192:-192:6] + every[192:][-192:]


def _may(situation: Situation) -> bool:
    attempt, record, holds, _, packs, now = situation
    shown = now.astimezone(ZoneInfo(record.zone))
    if record.preferred and not _between(shown.time(), *record.preferred):
        return False
    if attempt.kind is Kind.COLLECTION:
        if holds.until and now < holds.until:
            return False
        if holds.promise_until and shown.date() <= holds.promise_until:
            return False
    return all(_pack_allows(pack, situation, shown) for pack in packs)


def _pack_allows(pack: Pack, situation: Situation, shown: datetime) -> bool:
    attempt, record, _, past, _, now = situation
    if pack.hours and not _between(shown.time(), pack.hours.start, pack.hours.until):
        return False
    if (
        pack.weekdays
        and ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[shown.weekday()] not in pack.weekdays.allowed
    ):
        return False
    countries = [c for c in (record.country, pack.country) if c] or [ZONES[record.zone]]
    if pack.holidays and any(shown.date() in days_off(country, shown.year) for country in countries):
        return False
    if attempt.kind is Kind.SERVICE:
        return True
    return all(_cap_allows(cap, attempt, past, now, shown) for cap in pack.caps) and all(
        _wait_allows(wait, attempt, past, now, shown) for wait in pack.waits
    )


def _between(at: time, start: time, until: time) -> bool:
    return start <= at < until if start < until else start != until and (at >= start or at < until)


def _same(one: PastContact, attempt: Attempt, per: str) -> bool:
    return per == "borrower" or None in {one.loan, attempt.loan} or one.loan == attempt.loan


def _recent(at: datetime, days: int, now: datetime, shown: datetime, more: int = 0) -> bool:
    """Within so many days by the clock or by the calendar."""
    first_day: date = shown.date() - timedelta(days=days + more - 1)
    return now - at < timedelta(days=days, seconds=1) or at.astimezone(shown.tzinfo).date() >= first_day


def _cap_allows(cap: object, attempt: Attempt, past: Sequence[PastContact], now: datetime, shown: datetime) -> bool:
    counts, most, days, per = (getattr(cap, name) for name in ("counts", "contacts_max", "days", "per"))
    counted = [p for p in past if p.channel in counts and _same(p, attempt, per) and _recent(p.at, days, now, shown)]
    return attempt.channel not in counts or len(counted) < most


def _wait_allows(wait: object, attempt: Attempt, past: Sequence[PastContact], now: datetime, shown: datetime) -> bool:
    binds, after, days, per = (getattr(wait, name) for name in ("binds", "after", "days", "per"))
    counted = [p for p in past if p.channel in after and _same(p, attempt, per)]
    talks = [p.reached_at for p in counted if p.reached_at]
    more = getattr(wait, "first_day", "") == "next"
    rests = any(p.at > now for p in counted) or any(_recent(talk, days, now, shown, more) for talk in talks)
    return attempt.channel not in binds or not rests
