"""Which contacts were made against the rules? Written from the rule text alone, and from none of the product's code.

The text is the table of contact rules in the domain paper (section 4), row by row:

    cn       no collection 22:00-08:00; at most 3 calls a day; debt never disclosed to contacts (GB/T 45251-2025)
    us       08:00-21:00; presumption of violation at > 7 calls in 7 days per debt, or a call within 7 days after a
             conversation; opt-out honoured per channel (12 CFR 1006.6(b), 1006.14(b)(2))
    in       08:00-19:00 (RBI, 12 August 2022)
    id       Monday-Saturday, not on holidays, 08:00-20:00 (POJK 22/2023 art. 62)
    uk       forbearance and support also for customers approaching arrears (FCA PS24/2, CONC 7)
    default  Monday-Saturday, not on holidays, 08:00-19:00; 3 calls a day, 7 in 7 days, none in the 7 days after a
             conversation (strictest of the above)
    all      always the debtor's own stored time zone; a pre-due reminder is a service message: hours and consent apply
             to it, collection caps do not

and from outside the table: a returned debit MD07 (deceased) stops all contact; a promise is kept or broken "by promise
date + 1"; hardship, dispute, an open promise and a hold stop collecting; where several packs hold, the strictest wins.

Every contact is judged by itself from the whole log, slowly. Where the text leaves doubt the STRICTER reading is a
violation too, but one that carries in `doubt` the looser reading which is also defensible. A violation without `doubt`
is wrong however the text is read.

Readings taken without doubt:
 1. Hours are [from, until) on the debtor's wall clock, in the zone stored at that instant; they bind every channel that
    reaches a person at once, and service messages ("hours and consent apply to it").
 2. Caps speak of calls: only calls are bound by them. "Per debt" is said for us alone; cn and default count
    per borrower.
 3. A day is a calendar day of the debtor's. "At most 3" refuses the fourth, "> 7" refuses the eighth.
 4. Opt-out binds all packs and kinds: consent is asked for all, and an opt-out takes it back. No consent, no record,
    no zone: no contact.
 5. A hold binds from the instant it was set, up to and without its end. A promise binds through its local day.

Readings where a looser one is defensible too (name of the doubt: strict reading | looser reading):
 closing_minute      until 21:00 is over at 21:00:00 | 12 CFR 1006.6(b)(1)(i) says "after 9 p.m.": 21:00:00 is allowed
 letter_hours        a letter or visit keeps hours | a letter has no hour at which it arrives
 service_day         "hours apply" to a service message takes in Sundays and holidays | only the hours of the clock
 minor_holiday       government and bank holidays count | only public ones
 unknown_holiday     an unknown country may have a holiday today: no contact where a pack has holidays | none is known
 pack_country        id means Indonesia's holidays beside the debtor's own | only those of the debtor's country
 silent_hours        where no pack in force names hours (uk), those of default hold | no hours hold
 what_counts         every call counts: service calls, failed ones, those of no or of another named debt | only
                     collection calls of the debt itself bind it
 rolling_window      7 days is 168 hours or 7 calendar days, whichever is more | whichever is less (the commentary on
                     1006.14(b) counts by the calendar)
 first_day           the 7 days after a conversation begin on the next day | its own day is the first (that commentary)
 rolling_day         a day is also any 24 hours | a calendar day
 zone_then           past calls count on their day then as well as on their day in today's zone | one of the two
 any_conversation    a conversation on any channel, about any debt | by telephone, about this debt
 later_consent       an opt-out of everything outlasts a later consent to a channel | the later word counts
 other_address       an opt-out at one address is one of its channel | of that address
 by_hand             a person who calls, visits or writes by hand needs consent | consent is for stored addresses
 third_party         nothing at all is sent to somebody else's number | what says nothing of a debt may be
 support_first       uk: a borrower in hardship is not reminded of what is due either | a reminder is support
 promise_next_day    nobody is dunned on the day after the promised one | the promise is judged that day
 same_instant        a hold or opt-out of the same instant came first | came second
 due_day             on the due day itself a reminder is no longer "pre-due" | it is until the day is over
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from tests.contact_year.evidence import Contact, Hold, Record, Version, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

HOURS = {
    "cn": (time(8), time(22)),
    "us": (time(8), time(21)),
    "in": (time(8), time(19)),
    "id": (time(8), time(20)),
    "default": (time(8), time(19)),
}
NOT_ON_SUNDAYS_AND_HOLIDAYS = ("id", "default")
THREE_CALLS_A_DAY = ("cn", "default")
SEVEN_CALLS_IN_SEVEN_DAYS = ("us", "default")
REST_AFTER_A_CONVERSATION = ("us", "default")
PER_DEBT = ("us",)
PACKS = ("cn", "us", "in", "id", "uk", "default")

SUNDAY = 6
SEVEN_DAYS = timedelta(days=7)
POSTED = ("letter", "visit")
UNCERTAIN_CATEGORIES = ("government", "bank")


def violations(
    contacts: Iterable[Contact], records: Iterable[Record], holds: Iterable[Hold], packs: Sequence[str]
) -> list[Violation]:
    """All that is wrong with these contacts under these packs, contact by contact in the order of time."""
    unknown = set(packs) - set(PACKS)
    assert not unknown, f"no rule text for {unknown}"
    assert packs, "no pack was named: there would be nothing to check"
    known = {r.borrower: r for r in records}
    standing = list(holds)
    logs: dict[str, list[Contact]] = {}
    for contact in sorted(contacts, key=lambda c: (c.at, c.contact_id)):
        logs.setdefault(contact.borrower, []).append(contact)
    found: list[Violation] = []
    for borrower, log in logs.items():
        theirs = [h for h in standing if h.borrower == borrower]
        for place, contact in enumerate(log):
            found += _wrong(contact, log[:place], known.get(borrower), theirs, packs)
    return found


def _wrong(
    contact: Contact, before: list[Contact], record: Record | None, holds: list[Hold], packs: Sequence[str]
) -> Iterator[Violation]:
    version = _version(record, contact.at)
    if record is None or version is None:
        yield _say(contact, "record", "all", "nothing is known of this borrower at that time")
        return
    try:
        zone = ZoneInfo(version.zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield _say(contact, "zone", "all", "the debtor's zone is not one")
        return
    local = contact.at.astimezone(zone)
    in_force = sorted({*packs, *version.packs})
    yield from _hours(contact, local, in_force)
    yield from _days(contact, local, version, in_force)
    yield from _preferred(contact, local, version)
    yield from _consent(contact, record)
    yield from _opt_out(contact, record)
    yield from _third_party(contact, record)
    yield from _holds(contact, local, holds, in_force)
    yield from _label(contact)
    if contact.channel == "call" and contact.kind == "collection":
        yield from _calls_a_day(contact, before, record, zone, in_force)
        yield from _calls_in_seven_days(contact, before, zone, in_force)
        yield from _conversation(contact, before, zone, in_force)


def _say(contact: Contact, rule: str, pack: str, detail: str, doubt: str = "") -> Violation:
    return Violation(contact_id=contact.contact_id, rule=rule, pack=pack, detail=detail, doubt=doubt)


def _version(record: Record | None, at: datetime) -> Version | None:
    """The version of the record that was in force at that instant."""
    current = None
    for version in sorted(record.versions if record else (), key=lambda v: v.since):
        if version.since <= at:
            current = version
    return current


# Hours and days


def _hours(contact: Contact, local: datetime, packs: Sequence[str]) -> Iterator[Violation]:
    """Local hours of each pack; those of default where none of the packs names any."""
    named = [p for p in packs if p in HOURS]
    for pack in named or ["default"]:
        opens, closes = HOURS[pack]
        clock = local.time()
        if opens <= clock < closes:
            continue
        doubt = ""
        if not named:
            doubt = "silent_hours"
        elif contact.channel in POSTED:
            doubt = "letter_hours"
        elif clock == closes and pack != "cn":
            doubt = "closing_minute"
        yield _say(
            contact, "hours", pack, f"{local:%a %Y-%m-%d %H:%M:%S %z} is outside {opens:%H:%M}-{closes:%H:%M}", doubt
        )


def _days(contact: Contact, local: datetime, version: Version, packs: Sequence[str]) -> Iterator[Violation]:
    """Sundays and holidays, for the packs that name them."""
    for pack in packs:
        if pack not in NOT_ON_SUNDAYS_AND_HOLIDAYS:
            continue
        softened = "letter_hours" if contact.channel in POSTED else "service_day" if contact.kind == "service" else ""
        if local.weekday() == SUNDAY:
            yield _say(contact, "sunday", pack, f"{local:%Y-%m-%d} is a Sunday there", softened)
        if version.country is None:
            yield _say(contact, "holiday", pack, "the country is not known, so its holidays are not", "unknown_holiday")
        elif (day := _holiday(version.country, local.date(), certain=True)) is not None:
            yield _say(contact, "holiday", pack, f"{local:%Y-%m-%d} is {day}", softened)
        elif (day := _holiday(version.country, local.date(), certain=False)) is not None:
            yield _say(contact, "holiday", pack, f"{local:%Y-%m-%d} is {day}", "minor_holiday")
        if pack == "id" and (version.country or "")[:2] != "ID":
            day = _holiday("ID", local.date(), certain=True)
            if day is not None:
                yield _say(contact, "holiday", pack, f"{local:%Y-%m-%d} is {day} in Indonesia", "pack_country")


@lru_cache(maxsize=4096)
def _calendar(country: str, year: int, *, certain: bool) -> dict[date, str]:
    """Days off of a country or (`US-CA`) of one of its parts; an unknown part has those of the country."""
    nation, _, part = country.partition("-")
    supported = holidays.list_supported_countries(include_aliases=True)
    if nation not in supported:
        return {}
    subdivision = part if part in supported[nation] else None
    if certain:
        return dict(holidays.country_holidays(nation, subdiv=subdivision, years=year))
    offered = holidays.country_holidays(nation).supported_categories
    uncertain = tuple(c for c in UNCERTAIN_CATEGORIES if c in offered)
    if not uncertain:
        return {}
    return dict(holidays.country_holidays(nation, subdiv=subdivision, years=year, categories=uncertain))


def _holiday(country: str, day: date, *, certain: bool) -> str | None:
    return _calendar(country, day.year, certain=certain).get(day)


def _preferred(contact: Contact, local: datetime, version: Version) -> Iterator[Violation]:
    """The hours the borrower asked for, which may reach over midnight."""
    if version.preferred is None:
        return
    opens, closes = version.preferred
    clock = local.time()
    inside = opens <= clock < closes if opens < closes else clock >= opens or clock < closes
    if not inside:
        doubt = "letter_hours" if contact.channel in POSTED else "closing_minute" if clock == closes else ""
        detail = f"{local:%Y-%m-%d %H:%M:%S} is outside {opens:%H:%M}-{closes:%H:%M}, which the borrower asked for"
        yield _say(contact, "preferred", "all", detail, doubt)


# Consent, opt-out, other people


def _consents(contact: Contact, record: Record) -> list[datetime]:
    """When this channel was agreed to at this address; a contact by hand needs it for any address of the channel."""
    return [
        c.at
        for c in record.consents
        if c.channel == contact.channel
        and c.at <= contact.at
        and (c.address is None or contact.address is None or c.address == contact.address)
    ]


def _consent(contact: Contact, record: Record) -> Iterator[Violation]:
    if not _consents(contact, record):
        doubt = "by_hand" if contact.address is None else ""
        yield _say(contact, "consent", "all", f"no consent to {contact.channel} at that time", doubt)


def _opt_out(contact: Contact, record: Record) -> Iterator[Violation]:
    """An opt-out of the channel or of everything, unless the channel was agreed to again afterwards."""
    for out in record.opt_outs:
        if out.at > contact.at or out.channel not in {None, contact.channel}:
            continue
        again = any(at > out.at for at in _consents(contact, record))
        if again and out.channel is not None:
            continue
        doubt = ""
        if again:
            doubt = "later_consent"
        elif None not in {out.address, contact.address} and out.address != contact.address:
            doubt = "other_address"
        elif out.at == contact.at:
            doubt = "same_instant"
        yield _say(
            contact, "opt_out", "all", f"opted out of {out.channel or 'everything'} at {out.at:%Y-%m-%d %H:%M}", doubt
        )


def _third_party(contact: Contact, record: Record) -> Iterator[Violation]:
    """Debt is never disclosed to somebody else: no collecting there at all, and no word of the debt in a message."""
    if contact.address is None or contact.address not in record.third_parties:
        return
    told = [s for s in record.secrets if contact.text is not None and s in contact.text]
    if contact.kind == "collection":
        yield _say(contact, "third_party", "all", "collecting at somebody else's address")
    elif told:
        yield _say(contact, "third_party", "all", "a debt's details were sent to somebody else's address")
    else:
        yield _say(contact, "third_party", "all", "somebody else's address was used", "third_party")


# Holds


def _holds(contact: Contact, local: datetime, holds: list[Hold], packs: Sequence[str]) -> Iterator[Violation]:
    for hold in holds:
        if hold.since > contact.at or (hold.until is not None and contact.at >= hold.until):
            continue
        instant = "same_instant" if hold.since == contact.at else ""
        if hold.kind == "deceased":
            yield _say(contact, "deceased", "all", "the borrower is dead: all contact stops", instant)
        elif contact.kind != "collection":
            if hold.kind == "hardship" and "uk" in packs:
                yield _say(contact, "hardship", "uk", "reminded while in hardship", "support_first")
        elif hold.kind == "promise":
            yield from _promise(contact, local, hold, instant)
        else:
            yield _say(
                contact, hold.kind, "all", f"collecting during a {hold.kind} since {hold.since:%Y-%m-%d %H:%M}", instant
            )


def _promise(contact: Contact, local: datetime, hold: Hold, instant: str) -> Iterator[Violation]:
    """Nobody is dunned for what they have promised to pay, before the promised day is over."""
    assert hold.promised_on is not None, "a promise has a day"
    days_after = (local.date() - hold.promised_on).days
    if days_after <= 0:
        yield _say(contact, "promise", "all", f"dunned before {hold.promised_on} was over", instant)
    elif days_after == 1:
        yield _say(contact, "promise", "all", f"dunned on the day after {hold.promised_on}", "promise_next_day")


def _label(contact: Contact) -> Iterator[Violation]:
    """Only a reminder from before the due day is a service message: a dun by that name is still one."""
    if contact.kind == "service" and contact.days_past_due is not None and contact.days_past_due >= 0:
        doubt = "due_day" if contact.days_past_due == 0 else ""
        yield _say(contact, "label", "all", f"a service message at {contact.days_past_due} days past due", doubt)


# Calls


def _calls_a_day(
    contact: Contact, before: list[Contact], record: Record, zone: ZoneInfo, packs: Sequence[str]
) -> Iterator[Violation]:
    """At most three calls on a day of the debtor's."""
    for pack in packs:
        if pack not in THREE_CALLS_A_DAY:
            continue
        certain, counted, then, rolling = 1, 1, 1, 1
        today = contact.at.astimezone(zone).date()
        for past in before:
            if past.channel != "call":
                continue
            version = _version(record, past.at)
            day_now = past.at.astimezone(zone).date()
            day_then = past.at.astimezone(ZoneInfo(version.zone)).date() if version else day_now
            certain += past.kind == "collection" and day_now == today and day_then == today
            counted += day_now == today and day_then == today
            then += today in {day_now, day_then}
            rolling += contact.at - past.at < timedelta(hours=24)
        detail = f"call {certain} of {today} ({counted} with service calls, {then} by any zone, {rolling} in 24 hours)"
        if certain > 3:
            yield _say(contact, "calls_a_day", pack, detail)
        elif counted > 3:
            yield _say(contact, "calls_a_day", pack, detail, "what_counts")
        elif then > 3:
            yield _say(contact, "calls_a_day", pack, detail, "zone_then")
        elif rolling > 3:
            yield _say(contact, "calls_a_day", pack, detail, "rolling_day")


def _same_debt(contact: Contact, past: Contact) -> bool:
    return contact.loan == past.loan


def _maybe_same_debt(contact: Contact, past: Contact) -> bool:
    return contact.loan == past.loan or contact.loan is None or past.loan is None


def _calls_in_seven_days(
    contact: Contact, before: list[Contact], zone: ZoneInfo, packs: Sequence[str]
) -> Iterator[Violation]:
    """At most seven calls in seven days."""
    for pack in packs:
        if pack not in SEVEN_CALLS_IN_SEVEN_DAYS:
            continue
        certain, counted, windows = 1, 1, 1
        today = contact.at.astimezone(zone).date()
        for past in before:
            if past.channel != "call":
                continue
            days = (today - past.at.astimezone(zone).date()).days
            hours = contact.at - past.at < SEVEN_DAYS
            both, either = hours and days < 7, hours or days < 7
            same = pack not in PER_DEBT or _same_debt(contact, past)
            maybe = pack not in PER_DEBT or _maybe_same_debt(contact, past)
            certain += both and same and past.kind == "collection"
            counted += both and maybe
            windows += either and maybe
        detail = f"call {certain} in 7 days ({counted} with all that may count, {windows} by the longer window)"
        if certain > 7:
            yield _say(contact, "calls_in_7_days", pack, detail)
        elif counted > 7:
            yield _say(contact, "calls_in_7_days", pack, detail, "what_counts")
        elif windows > 7:
            yield _say(contact, "calls_in_7_days", pack, detail, "rolling_window")


def _conversation(contact: Contact, before: list[Contact], zone: ZoneInfo, packs: Sequence[str]) -> Iterator[Violation]:
    """No call in the seven days after a conversation. Every conversation that stands against it is a violation."""
    for pack in packs:
        if pack not in REST_AFTER_A_CONVERSATION:
            continue
        today = contact.at.astimezone(zone).date()
        for past in before:
            spoken = past.conversation_at
            if spoken is None or spoken > contact.at:
                continue
            days = (today - spoken.astimezone(zone).date()).days
            if contact.at - spoken > SEVEN_DAYS and days > 7:
                continue
            doubt = ""
            if past.channel != "call" or (pack in PER_DEBT and not _same_debt(contact, past)):
                doubt = "any_conversation"
            elif past.kind != "collection":
                doubt = "what_counts"
            elif contact.at - spoken >= SEVEN_DAYS or days > 6:
                doubt = "rolling_window" if contact.at - spoken <= SEVEN_DAYS or days < 7 else "first_day"
            detail = f"a call {contact.at - spoken} after the conversation of {past.contact_id}"
            yield _say(contact, "conversation", pack, detail, doubt)
