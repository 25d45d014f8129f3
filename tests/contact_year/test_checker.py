"""The checker itself: each rule has a log that breaks it, and the nearest one that does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.contact_year.checker import PACKS, violations
from tests.contact_year.evidence import Consent, Contact, Hold, OptOut, Record, Version

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HOME = "America/New_York"
CHANNELS = ("call", "sms", "email", "push")


def at(text: str, zone: str = HOME) -> datetime:
    """A moment on the wall clock of a place: a Tuesday in March, where the day does not matter, is `2026-03-10`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def contact(moment: datetime, ident: str = "c", **more: object) -> Contact:
    """A collection call about loan l-1, unless told otherwise."""
    given = {"borrower": "b", "loan": "l-1", "channel": "call", "kind": "collection", "address": "a-call"} | more
    return Contact(contact_id=ident, at=moment, **given)  # type: ignore[arg-type]


def record(**more: object) -> Record:
    """A borrower in New York who agreed to everything long ago, unless told otherwise."""
    zone, country = str(more.pop("zone", HOME)), more.pop("country", "US")
    version = Version(since=LONG_AGO, zone=zone, country=country, preferred=more.pop("preferred", None))  # type: ignore[arg-type]
    given = {"versions": (version,), "consents": tuple(Consent(channel=c, at=LONG_AGO) for c in CHANNELS)} | more
    return Record(borrower="b", **given)  # type: ignore[arg-type]


def found(pack: str, *log: Contact, of: Record | None = None, holds: tuple[Hold, ...] = ()) -> list[tuple[str, str]]:
    """Rule and doubt of everything found wrong, in order."""
    told = violations(log, [of or record()], holds, pack.split("+"))
    return [(v.rule, v.doubt) for v in told]


def calls(*moments: datetime, **more: object) -> list[Contact]:
    """Collection calls, one at each moment."""
    return [contact(m, f"c{i:02}", **more) for i, m in enumerate(moments)]


@pytest.mark.parametrize(
    ("pack", "inside", "outside"),
    [
        ("cn", "08:00:00 21:59:59", "07:59:59 22:00:00 23:30:00 00:00:00 03:00:00"),
        ("us", "08:00:00 20:59:59", "07:59:59 21:00:01 23:30:00"),
        ("in", "08:00:00 18:59:59", "07:59:59 19:00:01 23:30:00"),
        ("id", "08:00:00 19:59:59", "07:59:59 20:00:01 23:30:00"),
        ("default", "08:00:00 18:59:59", "07:59:59 19:00:01 23:30:00"),
        ("cn+us", "08:00:00 20:59:59", "07:59:59 21:00:01"),
    ],
)
@pytest.mark.parametrize("kind", ["collection", "service"])
def test_hours_of_each_pack(pack: str, inside: str, outside: str, kind: str) -> None:
    """They hold to the second, for collecting and for service messages."""
    for clock in inside.split():
        assert [] == found(pack, contact(at(f"2026-03-10T{clock}"), kind=kind, channel="sms"))
    for clock in outside.split():
        assert ("hours", "") in found(pack, contact(at(f"2026-03-10T{clock}"), kind=kind, channel="sms"))


def test_the_closing_second_is_told_with_its_doubt() -> None:
    """21:00:00 is wrong by one reading, except in China, where the night begins at 22:00:00."""
    assert [("hours", "closing_minute")] == found("us", contact(at("2026-03-10T21:00:00")))
    assert [("hours", "")] == found("cn", contact(at("2026-03-10T22:00:00")))


def test_a_pack_without_hours_borrows_those_of_default_with_doubt() -> None:
    """The United Kingdom's pack names none: at night that is a question, by day it is none."""
    assert [("hours", "silent_hours")] == found("uk", contact(at("2026-03-10T03:00:00")))
    assert [] == found("uk", contact(at("2026-03-10T09:00:00")))


@pytest.mark.parametrize(
    ("zone", "utc", "wrong"),
    [
        ("America/New_York", "2026-03-07T12:59:59", True),  # winter: 07:59:59
        ("America/New_York", "2026-03-07T13:00:00", False),
        ("America/New_York", "2026-03-09T11:59:59", True),  # summer time since the 8th: 07:59:59
        ("America/New_York", "2026-03-09T12:00:00", False),
        ("Asia/Kolkata", "2026-03-10T02:29:59", True),  # +05:30
        ("Asia/Kolkata", "2026-03-10T02:30:00", False),
        ("Asia/Kathmandu", "2026-03-10T02:14:59", True),  # +05:45
        ("Asia/Kathmandu", "2026-03-10T02:15:00", False),
        ("Australia/Lord_Howe", "2026-04-06T21:29:59", True),  # half an hour of summer time: +10:30 since the 5th
        ("Australia/Lord_Howe", "2026-04-06T21:30:00", False),
        ("Pacific/Kiritimati", "2026-03-09T17:59:59", True),  # +14
        ("Pacific/Kiritimati", "2026-03-09T18:00:00", False),
    ],
)
def test_hours_are_those_of_the_debtors_wall_clock(zone: str, utc: str, wrong: bool) -> None:  # noqa: FBT001
    """With summer time on its day, and zones of half and quarter hours."""
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert ([("hours", "")] if wrong else []) == found("us", contact(moment), of=record(zone=zone))


def test_a_change_of_zone_counts_from_its_moment() -> None:
    """The same hour of New York is allowed before the move to Honolulu and not after it."""
    moved = at("2026-03-10T10:00:00")
    versions = (Version(since=LONG_AGO, zone=HOME), Version(since=moved, zone="Pacific/Honolulu"))
    of = record(versions=versions)
    assert [] == found("us", contact(moved - timedelta(seconds=1)), of=of)
    assert [("hours", "")] == found("us", contact(moved), of=of)
    assert [] == found("us", contact(at("2026-03-10T08:00:00", "Pacific/Honolulu")), of=of)


@pytest.mark.parametrize("pack", ["id", "default"])
def test_no_contact_on_a_sunday(pack: str) -> None:
    """Sunday is the debtor's: late Saturday and early Monday there are allowed whatever day it is elsewhere."""
    of = record(zone="Asia/Jakarta", country="ID")
    assert [] == found(pack, contact(at("2026-03-14T18:59:59", "Asia/Jakarta")), of=of)
    assert [("sunday", "")] == found(pack, contact(at("2026-03-15T08:00:00", "Asia/Jakarta")), of=of)
    assert [("sunday", "")] == found(pack, contact(at("2026-03-15T18:59:59", "Asia/Jakarta")), of=of)
    assert [] == found(pack, contact(at("2026-03-16T08:00:00", "Asia/Jakarta")), of=of)
    assert [("sunday", "service_day")] == found(
        pack, contact(at("2026-03-15T09:00:00", "Asia/Jakarta"), kind="service"), of=of
    )


@pytest.mark.parametrize("pack", ["cn", "us", "in", "uk"])
def test_sundays_are_for_the_packs_that_name_them(pack: str) -> None:
    """The others allow them, and holidays too."""
    assert [] == found(pack, contact(at("2026-03-15T09:00:00")), contact(at("2026-12-25T09:00:00")))


def test_no_contact_on_a_holiday_of_the_debtors_country() -> None:
    """Also on one that only a part of it has; an unknown country is told with its doubt."""
    noon = "T12:00:00"
    assert [("holiday", "")] == found("default", contact(at("2026-12-25" + noon)))
    assert [] == found("default", contact(at("2026-12-26" + noon)))
    chavez = contact(at("2026-03-31" + noon))
    assert [] == found("default", chavez, of=record(country="US-NY"))
    assert [("holiday", "")] == found("default", chavez, of=record(country="US-CA"))
    assert [("holiday", "unknown_holiday")] == found("default", chavez, of=record(country=None))
    assert [] == found("us", contact(at("2026-12-25" + noon)))


def test_holidays_of_indonesia() -> None:
    """Of its own for a debtor there, and with doubt for one elsewhere; joint leave is a lesser one."""
    jakarta = record(zone="Asia/Jakarta", country="ID")
    assert [("holiday", "")] == found("id", contact(at("2026-08-17T12:00:00", "Asia/Jakarta")), of=jakarta)
    assert [("holiday", "minor_holiday")] == found("id", contact(at("2026-12-24T12:00:00", "Asia/Jakarta")), of=jakarta)
    assert [] == found("id", contact(at("2026-12-23T12:00:00", "Asia/Jakarta")), of=jakarta)
    assert [("holiday", "pack_country")] == found("id", contact(at("2026-08-17T12:00:00")))


def test_preferred_hours_also_over_midnight() -> None:
    """They bind beside those of the pack."""
    evening = record(preferred=(time(18), time(20)))
    assert [("preferred", "")] == found("us", contact(at("2026-03-10T17:59:59")), of=evening)
    assert [] == found("us", contact(at("2026-03-10T18:00:00")), of=evening)
    assert [("preferred", "")] == found("us", contact(at("2026-03-10T20:00:01")), of=evening)
    night = record(preferred=(time(20), time(9)))
    assert [] == found("us", contact(at("2026-03-10T08:30:00")), contact(at("2026-03-11T20:30:00")), of=night)
    assert [("preferred", "")] == found("us", contact(at("2026-03-10T09:30:00")), of=night)


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", ["collection", "service"])
def test_consent_is_asked_for_each_channel(pack: str, kind: str) -> None:
    """One given later, or for another channel or address, is none."""
    given = at("2026-03-10T10:00:00")
    of = record(consents=(Consent(channel="sms", at=given, address="a-1"),))
    sms = {"channel": "sms", "kind": kind, "address": "a-1"}
    assert [] == found(pack, contact(given, **sms), of=of)
    assert [("consent", "")] == found(pack, contact(given - timedelta(seconds=1), **sms), of=of)
    assert [("consent", "")] == found(pack, contact(given, **(sms | {"address": "a-2"})), of=of)
    assert [("consent", "")] == found(pack, contact(given, **(sms | {"channel": "email"})), of=of)
    assert [("consent", "by_hand")] == found(pack, contact(given, kind=kind, address=None), of=of)


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", ["collection", "service"])
def test_an_opt_out_is_honoured_from_its_moment(pack: str, kind: str) -> None:
    """On its channel, or on all, until the channel is agreed to again."""
    out = at("2026-03-10T10:00:00")
    of = record(opt_outs=(OptOut(channel="sms", at=out),))
    sms = {"channel": "sms", "kind": kind}
    assert [] == found(pack, contact(out - timedelta(seconds=1), **sms), of=of)
    assert [("opt_out", "same_instant")] == found(pack, contact(out, **sms), of=of)
    assert [("opt_out", "")] == found(pack, contact(out + timedelta(seconds=1), **sms), of=of)
    assert [] == found(pack, contact(out + timedelta(seconds=1), **(sms | {"channel": "push"})), of=of)
    of = record(opt_outs=(OptOut(channel=None, at=out),))
    assert [("opt_out", "")] == found(pack, contact(out + timedelta(seconds=1), kind=kind, channel="push"), of=of)


def test_an_opt_out_that_was_taken_back() -> None:
    """A later consent ends one of its channel, and with doubt one of everything; some were of another address."""
    out, again = at("2026-03-10T10:00:00"), at("2026-03-11T10:00:00")
    consents = tuple(Consent(channel="sms", at=t) for t in (LONG_AGO, again))
    sms = contact(again, channel="sms")
    assert [] == found("us", sms, of=record(consents=consents, opt_outs=(OptOut(channel="sms", at=out),)))
    assert [("opt_out", "later_consent")] == found(
        "us", sms, of=record(consents=consents, opt_outs=(OptOut(channel=None, at=out),))
    )
    elsewhere = record(opt_outs=(OptOut(channel="sms", at=out, address="a-old"),))
    assert [("opt_out", "other_address")] == found("us", contact(again, channel="sms", address="a-new"), of=elsewhere)


def test_nothing_without_a_record_or_a_zone() -> None:
    """Who is not known is not contacted; nor before they were known."""
    call = contact(at("2026-03-10T12:00:00"))
    assert ["record"] == [v.rule for v in violations([call], [], [], ["us"])]
    later = record(versions=(Version(since=call.at + timedelta(seconds=1), zone=HOME),))
    assert [("record", "")] == found("us", call, of=later)
    assert [("zone", "")] == found("us", call, of=record(zone="Mars/Olympus"))


def test_nothing_of_a_debt_to_somebody_else() -> None:
    """Collecting there is wrong, a reminder that says the amount is too, and one that says nothing is a question."""
    of = record(third_parties=frozenset({"a-call"}), secrets=("l-1", "1,234.50"))
    noon = at("2026-03-10T12:00:00")
    assert [("third_party", "")] == found("cn", contact(noon), of=of)
    assert [("third_party", "")] == found("cn", contact(noon, kind="service", text="1,234.50 due on l-1"), of=of)
    assert [("third_party", "third_party")] == found("cn", contact(noon, kind="service", text="Please call."), of=of)
    assert [] == found("cn", contact(noon, address="a-own"), of=of)


@pytest.mark.parametrize("pack", ["cn", "default"])
def test_at_most_three_calls_a_day(pack: str) -> None:
    """The fourth is one too many, whatever the loan; on the next day of the debtor's there are three again."""
    day = [at(f"2026-03-10T{h:02}:00:00") for h in (14, 15, 16, 17)]
    assert [] == found(pack, *calls(*day[:3]))
    assert [("calls_a_day", "")] == found(pack, *calls(*day))
    assert [("calls_a_day", "")] == found(pack, *calls(*day[:3]), contact(day[3], "z", loan="l-2"))
    assert [("calls_a_day", "what_counts")] == found(pack, *calls(*day[:3], kind="service"), contact(day[3], "z"))
    assert [] == found(pack, *calls(*day[:3]), contact(day[3], "z", kind="service"))
    assert [] == found(pack, *calls(*day[:3]), contact(day[3], "z", channel="sms"))
    assert [] == found(pack, *calls(*day[:3], at("2026-03-11T17:00:00")))
    assert [("calls_a_day", "rolling_day")] == found(pack, *calls(*day[:3], at("2026-03-11T08:00:00")))


@pytest.mark.parametrize("pack", ["us", "in", "id", "uk"])
def test_other_packs_name_no_calls_a_day(pack: str) -> None:
    """Four are allowed there."""
    assert [] == found(pack, *calls(*[at(f"2026-03-10T{h:02}:00:00") for h in (14, 15, 16, 17)]))


def test_the_day_of_a_call_is_the_debtors() -> None:
    """Four calls around midnight UTC are on one day in Honolulu: the fourth is wrong. In Tokyo they are two days."""
    around = [datetime(2026, 3, 10, 23, 0, tzinfo=UTC) + timedelta(minutes=30 * i) for i in range(4)]
    assert [("calls_a_day", "")] == found("cn", *calls(*around), of=record(zone="Pacific/Honolulu"))
    days = [datetime(2026, 3, 10, 11, 0, tzinfo=UTC) + timedelta(hours=h) for h in (0, 1, 1.5, 13)]
    assert [("calls_a_day", "rolling_day")] == found("cn", *calls(*days), of=record(zone="Asia/Tokyo"))


def test_a_move_between_zones_gives_no_fourth_call() -> None:
    """Calls that were today by the zone of then count on, with doubt."""
    moved = at("2026-03-11T12:00:00", "Asia/Tokyo")  # 17:00 on the 10th in Honolulu
    versions = (Version(since=LONG_AGO, zone="Asia/Tokyo"), Version(since=moved, zone="Pacific/Honolulu"))
    of = record(versions=versions)
    early = [at(f"2026-03-10T{h:02}:00:00", "Asia/Tokyo") for h in (9, 10, 11)]  # the 9th in Honolulu
    late = at("2026-03-10T19:00:00", "Pacific/Honolulu")
    assert [("calls_a_day", "zone_then")] == found("cn", *calls(*early, late), of=of)


@pytest.mark.parametrize("pack", ["us", "default"])
def test_at_most_seven_calls_in_seven_days(pack: str) -> None:
    """The eighth is one too many; when a week has passed since the first there is room again."""
    week = [
        at(f"2026-03-{d:02}T{h}:00:00")
        for d, h in ((9, "11"), (9, "12"), (10, "11"), (10, "12"), (11, "11"), (12, "11"), (13, "11"))
    ]
    assert [] == found(pack, *calls(*week))
    assert [("calls_in_7_days", "")] == found(pack, *calls(*week, at("2026-03-14T11:00:00")))
    assert [] == found(pack, *calls(*week, at("2026-03-16T11:00:00")))
    assert [("calls_in_7_days", "rolling_window")] == found(pack, *calls(*week, at("2026-03-16T10:00:00")))
    assert [] == found(pack, *calls(*week), contact(at("2026-03-14T11:00:00"), "z", channel="sms"))
    assert [("calls_in_7_days", "what_counts")] == found(
        pack, *calls(*week[:1], kind="service"), *[contact(m, f"y{m}") for m in (*week[1:], at("2026-03-14T11:00:00"))]
    )


def test_seven_calls_are_per_debt_in_the_united_states_and_per_borrower_by_default() -> None:
    """A call about another loan is an eighth only by default; one about no loan may be about this one."""
    days = ("09", "09", "10", "10", "11", "12", "13")
    week = calls(*[at(f"2026-03-{d}T{11 + i}:00:00") for i, d in enumerate(days)])
    assert [] == found("us", *week, contact(at("2026-03-14T12:00:00"), "z", loan="l-2"))
    assert [("calls_in_7_days", "what_counts")] == found(
        "us", *week, contact(at("2026-03-14T12:00:00"), "z", loan=None)
    )
    assert [("calls_in_7_days", "")] == found("default", *week, contact(at("2026-03-14T12:00:00"), "z", loan="l-2"))


@pytest.mark.parametrize("pack", ["us", "default"])
def test_no_call_in_the_seven_days_after_a_conversation(pack: str) -> None:
    """Seven times 24 hours and seven days of the calendar must both have passed; messages may go."""
    spoken = at("2026-03-10T12:05:00")
    first = contact(at("2026-03-10T12:00:00"), conversation_at=spoken)
    assert [("conversation", "")] == found(pack, first, contact(spoken, "z"))
    assert [("conversation", "")] == found(pack, first, contact(at("2026-03-16T18:00:00"), "z"))
    assert [("conversation", "rolling_window")] == found(pack, first, contact(at("2026-03-17T12:05:00"), "z"))
    assert [("conversation", "first_day")] == found(pack, first, contact(at("2026-03-17T18:00:00"), "z"))
    assert [] == found(pack, first, contact(at("2026-03-18T08:00:00"), "z"))
    assert [] == found(pack, first, contact(at("2026-03-11T12:00:00"), "z", channel="sms"))
    assert [] == found(pack, first, contact(at("2026-03-11T12:00:00"), "z", kind="service"))
    assert [] == found(pack, first, contact(at("2026-03-10T12:04:59"), "z"))


def test_which_conversations_count() -> None:
    """In the United States one about this debt; another debt's, or one by chat, with doubt."""
    spoken = at("2026-03-10T12:05:00")
    talk = contact(at("2026-03-10T12:00:00"), conversation_at=spoken)
    chat = contact(at("2026-03-10T12:00:00"), conversation_at=spoken, channel="push")
    other = contact(at("2026-03-11T12:00:00"), "z", loan="l-2")
    assert [("conversation", "any_conversation")] == found("us", talk, other)
    assert [("conversation", "")] == found("default", talk, other)
    assert [("conversation", "any_conversation")] == found("us", chat, contact(at("2026-03-11T12:00:00"), "z"))


@pytest.mark.parametrize("pack", ["cn", "in", "id", "uk"])
def test_other_packs_name_neither_week_nor_rest(pack: str) -> None:
    """Two calls a day for a week, after a conversation, are allowed there."""
    talk = contact(at("2026-03-10T12:00:00"), conversation_at=at("2026-03-10T12:05:00"))
    moments = [at(f"2026-03-{d}T{h}:00:00") for d in (11, 12, 13, 14, 16) for h in (11, 12)]
    assert [] == found(pack, talk, *calls(*moments))


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", ["hardship", "dispute", "hold"])
def test_holds_stop_collecting_from_their_moment_to_their_end(pack: str, kind: str) -> None:
    """On every channel; the end itself is free again."""
    since, until = at("2026-03-10T10:00:00"), at("2026-03-12T10:00:00")
    holds = (Hold(borrower="b", kind=kind, since=since, until=until),)
    second = timedelta(seconds=1)
    assert [] == found(pack, contact(since - second), holds=holds)
    assert [(kind, "same_instant")] == found(pack, contact(since), holds=holds)
    assert [(kind, "")] == found(pack, contact(since + second, channel="sms"), holds=holds)
    assert [(kind, "")] == found(pack, contact(until - second), holds=holds)
    assert [] == found(pack, contact(until), holds=holds)
    assert [] == found(pack, contact(since + second), holds=(Hold(borrower="other", kind=kind, since=since),))


def test_a_service_message_during_hardship_is_a_question_in_the_united_kingdom() -> None:
    """Support reaches those who approach arrears; elsewhere a reminder is allowed."""
    holds = (Hold(borrower="b", kind="hardship", since=LONG_AGO),)
    reminder = contact(at("2026-03-10T12:00:00"), kind="service")
    assert [("hardship", "support_first")] == found("uk", reminder, holds=holds)
    assert [] == found("us", reminder, holds=holds)


def test_a_promise_stops_collecting_until_its_day_is_over() -> None:
    """In the debtor's zone; the day after is a question, and one that was kept or broken stands no more."""
    promise = Hold(borrower="b", kind="promise", since=at("2026-03-10T10:00:00"), promised_on=date(2026, 3, 12))
    assert [("promise", "")] == found("us", contact(at("2026-03-12T20:59:59")), holds=(promise,))
    assert [("promise", "promise_next_day")] == found("us", contact(at("2026-03-13T08:00:00")), holds=(promise,))
    assert [] == found("us", contact(at("2026-03-14T08:00:00")), holds=(promise,))
    kept = Hold(
        borrower="b",
        kind="promise",
        since=promise.since,
        until=at("2026-03-11T10:00:00"),
        promised_on=date(2026, 3, 12),
    )
    assert [] == found("us", contact(at("2026-03-11T10:00:00")), holds=(kept,))


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", ["collection", "service"])
def test_nobody_dead_is_contacted(pack: str, kind: str) -> None:
    """By any kind of message, from the moment it is known."""
    known = at("2026-03-10T10:00:00")
    holds = (Hold(borrower="b", kind="deceased", since=known),)
    assert [] == found(pack, contact(known - timedelta(seconds=1), kind=kind), holds=holds)
    assert [("deceased", "")] == found(pack, contact(known + timedelta(seconds=1), kind=kind), holds=holds)


def test_a_dun_is_not_a_service_message_by_its_name() -> None:
    """Before the due day it is one, on it that is a question, after it no."""
    noon = at("2026-03-10T12:00:00")
    expected: dict[int, list[tuple[str, str]]] = {-1: [], 0: [("label", "due_day")], 1: [("label", "")]}
    for days, told in expected.items():
        assert told == found("us", contact(noon, kind="service", days_past_due=days))


def test_of_several_packs_all_hold() -> None:
    """Under cn and us the fourth call of a day is wrong by the one, and the call after a talk by the other."""
    day = [at(f"2026-03-10T{h:02}:00:00") for h in (14, 15, 16, 17)]
    talk = contact(at("2026-03-12T12:00:00"), "t", conversation_at=at("2026-03-12T12:05:00"))
    after = contact(at("2026-03-13T12:00:00"), "z")
    assert [("calls_a_day", ""), ("conversation", "")] == found("cn+us", *calls(*day), talk, after)


def test_packs_of_the_borrower_hold_beside_those_of_the_installation() -> None:
    """A borrower under `in` is left alone after 19:00 by an installation under `us`."""
    version = Version(since=LONG_AGO, zone=HOME, country="US", packs=("in",))
    assert [("hours", "")] == found("us", contact(at("2026-03-10T20:00:00")), of=record(versions=(version,)))
