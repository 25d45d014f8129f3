"""Whether a borrower may be contacted now, and if not, since which rule, and from when on.

Every rule is a function from a moment to the first one, not before it, at which the rule does not stand against the
contact (None: nothing that time alone brings). A contact is allowed when no rule moves the moment. The next permitted
moment is where moving it by all rules in turn comes to rest: no rule can be passed earlier than it says, so nothing
earlier passes all of them. Strictest wins because every rule of every pack must pass.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.casework import days_off
from streams.casework.contact import Allowed, Attempt, Channel, Kind, Refusal
from streams.casework.local_time import first_when, midnight, wall, within, zone_named
from streams.casework.packs import house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from streams.casework.contact import Address, ContactRecord, Holds, PastContact
    from streams.casework.packs.model import Pack, Rule, Weekdays

    First = Callable[[datetime], datetime | None]

HORIZON = timedelta(days=60)
"""How far ahead the next permitted moment is sought."""
_DAYS_AHEAD = HORIZON.days + 2
_PAST_THE_END = timedelta(seconds=1)
"""Both ends of a window belong to it, so it is over a second after its last moment."""
_BY_A_PERSON = frozenset({Channel.LETTER, Channel.VISIT})
"""Where a person acts, and no address of ours is needed."""


class _Standing(NamedTuple):
    """A rule as it applies to one attempt."""

    rule: str
    pack: str
    says: Callable[[], str]
    first: First


def check(  # noqa: PLR0917 - what is tried, on whom, against what, when: every caller has all six
    attempt: Attempt,
    record: ContactRecord | None,
    holds: Holds,
    past: Sequence[PastContact],
    packs: Sequence[Pack],
    now: datetime,
) -> Allowed | Refusal:
    """Whether this contact may be made now; a refusal names the rule that stands longest against it."""
    if record is None:
        return _never("no_record")
    zone = zone_named(record.zone)
    if zone is None:
        return _never("unknown_zone")
    now = now.astimezone(UTC)
    standing = [*_of_house(attempt, record, holds, packs, zone), *_of_packs(attempt, record, past, packs, zone)]
    against = [(first, rule) for rule in standing if (first := rule.first(now)) != now]
    if not against:
        address = _address(record, attempt.channel, now)
        return Allowed(address_id=None if address is None else address.address_id)
    _, longest = max(against, key=lambda one: (one[0] is None, one[0] or now))
    return Refusal(rule=longest.rule, pack=longest.pack, detail=longest.says(), next_at=_first_of_all(standing, now))


def _first_of_all(standing: Sequence[_Standing], now: datetime) -> datetime | None:
    """The first moment at which no rule stands against the contact."""
    moment, passed = now, False
    while not passed:
        passed = True
        for rule in standing:
            first = rule.first(moment)
            if first is None or first > now + HORIZON:
                return None
            passed, moment = passed and first == moment, first
    return moment


def _never(rule: str) -> Refusal:
    return Refusal(rule=rule, pack=house.NAME, detail=house.HOUSE[rule].says, next_at=None)


def _of_house(
    attempt: Attempt, record: ContactRecord, holds: Holds, packs: Sequence[Pack], zone: ZoneInfo
) -> Iterator[_Standing]:
    """What stands under every pack, what only a person can change first."""
    for rule, stands in (
        ("no_pack", not packs),
        ("unknown_pack", not {pack.name for pack in packs}.issuperset(record.packs)),
        ("deceased", holds.deceased),
    ):
        if stands:
            yield _house(rule, packs, _not_by_time)
    yield from _of_addresses(attempt, record, packs)
    if attempt.kind is Kind.COLLECTION:
        yield from _of_holds(holds, packs, zone)
    elif holds.hardship and any(pack.hardship is not None and pack.hardship.binds_service for pack in packs):
        yield _hardship(packs)
    if record.preferred is not None and attempt.channel is not Channel.LETTER:
        start, until = record.preferred
        first = _not_by_time if start == until else _local(zone, within(start, until))
        yield _house("preferred_hours", packs, first)


def _of_holds(holds: Holds, packs: Sequence[Pack], zone: ZoneInfo) -> Iterator[_Standing]:
    if holds.dispute:
        yield _house("dispute", packs, _not_by_time)
    if holds.hardship:
        yield _hardship(packs)
    if (until := holds.until) is not None:
        yield _house("hold", packs, _not_before(until.astimezone(UTC)))
    if (last := holds.promise_until) is not None:
        after = datetime.combine(last + timedelta(days=1), datetime.min.time())
        yield _house("promise", packs, _local(zone, lambda shown: max(shown, after)))


def _hardship(packs: Sequence[Pack]) -> _Standing:
    pack = next((pack for pack in packs if pack.hardship is not None), None)
    if pack is None or pack.hardship is None:
        return _house("hardship", packs, _not_by_time)
    return _pack_rule("hardship", pack, pack.hardship, _not_by_time)


def _of_addresses(attempt: Attempt, record: ContactRecord, packs: Sequence[Pack]) -> Iterator[_Standing]:
    """Opt-outs, and whether there is an own address with consent where one is needed."""
    channel = attempt.channel
    usable = _usable(record, channel)
    if record.opted_out_at is not None or channel in record.opted_out or (_opt_outs(record, channel) and not usable):
        yield _house("opted_out", packs, _not_by_time)
    asking = next(((pack, one) for pack in packs for one in pack.consents if channel in one.channels), None)
    if channel in _BY_A_PERSON and asking is None:
        return
    if usable:
        agreed = _not_before(min(consented_at for _, consented_at in usable).astimezone(UTC))
    elif not any(address.channel is channel and not address.third_party for address in record.addresses):
        there = any(address.channel is channel for address in record.addresses)
        yield _house("third_party" if there else "no_address", packs, _not_by_time)
        return
    else:
        agreed = _not_by_time
    yield _pack_rule("no_consent", *asking, agreed) if asking else _house("no_consent", packs, agreed)


def _opt_outs(record: ContactRecord, channel: Channel) -> list[datetime]:
    return [
        address.opted_out_at
        for address in record.addresses
        if address.channel is channel and not address.third_party and address.opted_out_at is not None
    ]


def _usable(record: ContactRecord, channel: Channel) -> list[tuple[Address, datetime]]:
    """The borrower's own addresses with the moment of consent, if later than every opt-out of the channel."""
    last_out = max(_opt_outs(record, channel), default=None)
    return [
        (address, agreed)
        for address in record.addresses
        if address.channel is channel
        and not address.third_party
        and address.opted_out_at is None
        and (agreed := address.consented_at) is not None
        and (last_out is None or agreed > last_out)
    ]


def _address(record: ContactRecord, channel: Channel, now: datetime) -> Address | None:
    """The first address that may be used on the channel now."""
    return next((address for address, agreed in _usable(record, channel) if agreed <= now), None)


def _of_packs(
    attempt: Attempt, record: ContactRecord, past: Sequence[PastContact], packs: Sequence[Pack], zone: ZoneInfo
) -> Iterator[_Standing]:
    for pack in packs:
        yield from _of_calendar(attempt.channel, record, pack, zone)
        if attempt.kind is Kind.COLLECTION:
            yield from _of_history(attempt, past, pack, zone)


def _of_calendar(channel: Channel, record: ContactRecord, pack: Pack, zone: ZoneInfo) -> Iterator[_Standing]:
    """Hours, weekdays and holidays: they bind service messages too."""
    if (hours := pack.hours) is not None and channel in hours.channels:
        yield _pack_rule("hours", pack, hours, _local(zone, within(hours.start, hours.until)))
    if (weekdays := pack.weekdays) is not None and channel in weekdays.channels:
        yield _pack_rule("weekday", pack, weekdays, _local(zone, _on_days(_is_weekday(weekdays))))
    if (free := pack.holidays) is not None and channel in free.channels:
        countries = _countries(record, pack)
        if countries is None:
            yield _house("unknown_holidays", (), _not_by_time)
        else:
            yield _pack_rule("holiday", pack, free, _local(zone, _on_days(_is_workday(countries))))


def _countries(record: ContactRecord, pack: Pack) -> tuple[str, ...] | None:
    """Whose holidays count: the record's country and the pack's, else that of the zone; None if one is not known."""
    named = tuple(dict.fromkeys(country.upper() for country in (record.country, pack.country) if country))
    if not named:
        country = days_off.country_of(record.zone)
        return None if country is None else (country,)
    return named if all(map(days_off.has_calendar, named)) else None


def _of_history(attempt: Attempt, past: Sequence[PastContact], pack: Pack, zone: ZoneInfo) -> Iterator[_Standing]:
    """Caps and waits: they bind collection, and count every contact, service and future ones included."""
    for cap in pack.caps:
        if attempt.channel in cap.counts:
            moments = sorted(one.at for one in _counted(past, cap.counts, cap.per, attempt))
            if len(moments) >= cap.contacts_max:
                last = moments[-cap.contacts_max].astimezone(UTC)
                yield _pack_rule(cap.name, pack, cap, _days_after(last, cap.days, cap.days, zone))
    for wait in pack.waits:
        if attempt.channel in wait.binds:
            counted = list(_counted(past, wait.after, wait.per, attempt))
            if counted:  # A call that is yet to be dialled may become a conversation.
                under_way = max(one.at for one in counted).astimezone(UTC)
                yield _pack_rule("after_conversation", pack, wait, _not_before(under_way))
            talks = [one.reached_at for one in counted if one.reached_at is not None]
            if talks:
                last = max(talks).astimezone(UTC)
                first = _days_after(last, wait.days, wait.days + (wait.first_day == "next"), zone)
                yield _pack_rule("after_conversation", pack, wait, first)


def _counted(
    past: Sequence[PastContact], channels: frozenset[Channel], per: str, attempt: Attempt
) -> Iterator[PastContact]:
    """The contacts that count for this one. One of no known loan counts for every loan, and every one for it."""
    every = per == "borrower" or attempt.loan is None
    loans = (None, attempt.loan)
    return (one for one in past if one.channel in channels and (every or one.loan in loans))


def _house(rule: str, packs: Sequence[Pack], first: First) -> _Standing:
    """A rule of the house, under the name of the first pack that has a source for it."""
    for pack in packs:
        for note in pack.notes:
            if note.topic == rule:
                return _pack_rule(rule, pack, note, first)
    return _Standing(rule, house.NAME, lambda: house.HOUSE[rule].says, first)


def _pack_rule(name: str, pack: Pack, rule: Rule, first: First) -> _Standing:
    return _Standing(name, pack.name, lambda: f"{rule.says}: {rule.source}", first)


def _not_by_time(_: datetime) -> None:
    return None


def _not_before(moment: datetime) -> First:
    return lambda now: max(now, moment)


def _local(zone: ZoneInfo, ahead: Callable[[datetime], datetime | None]) -> First:
    return lambda now: first_when(now, zone, ahead)


def _days_after(moment: datetime, days: int, calendar_days: int, zone: ZoneInfo) -> First:
    """The stricter of two readings: so many days of 24 hours each, and so many of the local calendar."""
    hours_end = moment + timedelta(days=days) + _PAST_THE_END
    day_end = midnight(wall(moment, zone), calendar_days)
    return lambda now: first_when(max(now, hours_end), zone, lambda shown: max(shown, day_end))


def _on_days(is_fit: Callable[[datetime], bool]) -> Callable[[datetime], datetime | None]:
    """The local time itself on a day that is fit, else the beginning of the next such day."""

    def ahead(shown: datetime) -> datetime | None:
        if is_fit(shown):
            return shown
        return next((day for ahead in range(1, _DAYS_AHEAD) if is_fit(day := midnight(shown, ahead))), None)

    return ahead


def _is_weekday(weekdays: Weekdays) -> Callable[[datetime], bool]:
    return lambda shown: shown.weekday() in weekdays.numbers


def _is_workday(countries: tuple[str, ...]) -> Callable[[datetime], bool]:
    return lambda shown: not days_off.is_off(shown.date(), countries)
