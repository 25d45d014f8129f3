"""Each rule on both sides of its boundary, where clocks jump too, and the next moment that a refusal gives."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from streams.casework.contact import Allowed, Channel, Holds, Kind, Refusal
from streams.casework.contact_rules import HORIZON, check
from streams.casework.packs import HOUSE, known_packs, load_packs
from tests.casework.contacting import (
    AGREED,
    NEW_YORK,
    NOTHING,
    address,
    attempt,
    local,
    past,
    record,
    rule,
    tried,
)

NOON = local("2026-03-11T12:00")
"""A Wednesday on which nothing stands against anything."""
MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
WEEK = timedelta(days=7)


def next_at(outcome: Allowed | Refusal) -> datetime | None:
    """When a refusal says that it may be tried again."""
    assert isinstance(outcome, Refusal)
    return outcome.next_at


class TestWhoMayBeContacted:
    """Record, zone, address, consent, opt-out: what only a change of the record can mend."""

    def test_with_everything_there_the_own_address_is_named(self) -> None:
        """A contact that nothing stands against is allowed, at the first own address with consent."""
        addresses = (
            address(identity="a-1", third_party=True),
            address(identity="a-2", consented_at=None),
            address(identity="a-3"),
        )
        assert Allowed(address_id="a-3") == tried(NOON, of=record(addresses=addresses))

    def test_no_record(self) -> None:
        """Nobody is contacted of whom there is no record, and no time changes that."""
        refused = check(attempt(), None, NOTHING, (), load_packs(["us"]), NOON)
        assert ("no_record", "house", None) == (rule(refused), getattr(refused, "pack", ""), next_at(refused))

    @pytest.mark.parametrize("zone", ["", "Mars/Base", "../etc/passwd", "/etc/passwd", "Factory", "a\0b", "x" * 5_000])
    def test_no_zone_that_there_is(self, zone: str) -> None:
        """A zone that cannot be is refused, without a word of what stands there."""
        refused = tried(NOON, of=record(zone))
        assert ("unknown_zone", None) == (rule(refused), next_at(refused))
        assert not zone or zone not in str(refused)

    def test_no_pack(self) -> None:
        """Where no rules are in force nothing is allowed."""
        assert rule(check(attempt(), record(), NOTHING, (), (), NOON)) == "no_pack"

    def test_a_pack_of_the_record_that_is_not_there(self) -> None:
        """A record that names a pack which the caller could not find is refused rather than judged without it."""
        assert "unknown_pack" == rule(tried(NOON, of=record(packs=("eu",))))
        assert "allowed" == rule(tried(NOON, "us", "cn", of=record(packs=("cn",))))

    @pytest.mark.parametrize(
        ("addresses", "expected"),
        [
            ((), "no_address"),
            ((address("sms"),), "no_address"),
            ((address(third_party=True),), "third_party"),
            ((address(consented_at=None),), "no_consent"),
            ((address(opted_out_at=AGREED),), "opted_out"),
            ((address(), address(identity="a-2", opted_out_at=NOON + WEEK)), "opted_out"),
            ((address(consented_at=NOON), address(identity="a-2", opted_out_at=AGREED)), "allowed"),
            ((address(), address("sms", opted_out_at=AGREED)), "allowed"),
            ((address(), address(third_party=True, opted_out_at=AGREED)), "allowed"),
            ((address(third_party=True), address()), "allowed"),
        ],
    )
    def test_addresses(self, addresses: tuple[object, ...], expected: str) -> None:
        """An own address with consent is needed; an opt-out stands for its channel until a later consent."""
        outcome = tried(NOON, of=record(addresses=addresses))
        assert expected == rule(outcome)
        assert expected == "allowed" or next_at(outcome) is None

    def test_a_channel_that_is_opted_out_of(self) -> None:
        """It holds where a person acts too, with no address that it could stand at."""
        out = record(addresses=(), opted_out=(Channel.VISIT,))
        assert ["opted_out", "allowed"] == [rule(tried(NOON, of=out, on=attempt(c))) for c in ("visit", "letter")]

    def test_an_opt_out_of_everything(self) -> None:
        """It ends service messages and visits as well."""
        out = record(opted_out_at=AGREED)
        assert {"opted_out"} == {
            rule(tried(NOON, of=out, on=attempt(channel, kind)))
            for channel in ("call", "sms", "visit", "letter")
            for kind in Kind
        }

    def test_consent_counts_from_its_moment(self) -> None:
        """A consent dated in the future is one from then on."""
        coming = record(addresses=(address(consented_at=NOON),))
        assert NOON == next_at(tried(NOON - MICROSECOND, of=coming))
        assert "allowed" == rule(tried(NOON, of=coming))

    def test_a_person_who_visits_needs_no_address_of_ours(self) -> None:
        """Visits and letters are made by people; calls by hand go to an address like those of a machine."""
        bare = record(addresses=())
        assert [Allowed(address_id=None)] * 2 == [tried(NOON, of=bare, on=attempt(c)) for c in ("visit", "letter")]
        assert "no_address" == rule(tried(NOON, of=bare))

    def test_the_dead_are_left_alone(self) -> None:
        """All contact ends, service messages too."""
        dead = Holds(deceased=True)
        assert {"deceased"} == {rule(tried(NOON, holds=dead, on=attempt(kind=kind))) for kind in Kind}


class TestHolds:
    """What a case holds back: collection, never service."""

    @pytest.mark.parametrize(
        ("holds", "expected"),
        [
            (Holds(hardship=True), "hardship"),
            (Holds(dispute=True), "dispute"),
            (Holds(until=NOON + SECOND), "hold"),
            (Holds(promise_until=date(2026, 3, 11)), "promise"),
        ],
    )
    def test_a_hold_binds_collection_and_not_service(self, holds: Holds, expected: str) -> None:
        """A service message passes every hold."""
        assert expected == rule(tried(NOON, holds=holds))
        assert "allowed" == rule(tried(NOON, holds=holds, on=attempt(kind="service")))

    def test_in_the_united_kingdom_hardship_stops_reminders_too(self) -> None:
        """Support comes first there; a dispute leaves reminders alone."""
        service = attempt("sms", "service")
        outcomes = [tried(NOON, "uk", holds=Holds(**{hold: True}), on=service) for hold in ("hardship", "dispute")]
        assert ["hardship", "allowed"] == list(map(rule, outcomes))
        assert "uk" == getattr(outcomes[0], "pack", "")

    def test_hardship_and_dispute_have_no_end_in_time(self) -> None:
        """A person ends them."""
        assert [None, None] == [
            next_at(tried(NOON, holds=holds)) for holds in (Holds(hardship=True), Holds(dispute=True))
        ]

    def test_a_hold_ends_at_its_moment(self) -> None:
        """Up to its end it stands; at its end it does not."""
        held = Holds(until=NOON)
        assert NOON == next_at(tried(NOON - MICROSECOND, holds=held))
        assert "allowed" == rule(tried(NOON, holds=held))

    def test_a_promise_holds_to_the_end_of_its_day_where_the_debtor_is(self) -> None:
        """The day counts in the debtor's zone: in Auckland it is over when New York still has it."""
        promised = Holds(promise_until=date(2026, 3, 11))
        assert local("2026-03-12T08:00") == next_at(tried(NOON, holds=promised))
        auckland = record("Pacific/Auckland")
        end = local("2026-03-12T08:00", "Pacific/Auckland")
        assert end == next_at(tried(end - timedelta(hours=12), of=auckland, holds=promised))
        assert "allowed" == rule(tried(end, of=auckland, holds=promised))

    def test_what_only_a_person_ends_is_named_before_what_time_ends(self) -> None:
        """Of several rules the one that stands longest is named, one without an end first."""
        night = local("2026-03-11T23:00")
        assert "dispute" == rule(tried(night, holds=Holds(dispute=True, until=NOON + WEEK)))
        assert "hold" == rule(tried(night, holds=Holds(until=NOON + WEEK)))
        assert "hours" == rule(tried(night, holds=Holds(until=night + SECOND)))

    def test_a_hold_beyond_the_horizon_has_no_next_moment(self) -> None:
        """What is refused for longer than the horizon is for a person to take up again."""
        assert next_at(tried(NOON, holds=Holds(until=NOON + HORIZON))) == NOON + HORIZON
        assert next_at(tried(NOON, holds=Holds(until=NOON + HORIZON + SECOND))) is None


class TestHours:
    """Hours of packs and of the borrower, in the debtor's zone, where clocks jump too."""

    @pytest.mark.parametrize(
        ("pack", "first", "last"),
        [
            ("us", "08:00:00", "20:59:59.999999"),
            ("cn", "08:00:00", "21:59:59.999999"),
            ("in", "08:00:00", "18:59:59.999999"),
            ("id", "08:00:00", "19:59:59.999999"),
            ("uk", "09:00:00", "18:59:59.999999"),
            ("default", "08:00:00", "18:59:59.999999"),
        ],
    )
    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Shanghai"])
    def test_both_ends(self, pack: str, first: str, last: str, zone: str) -> None:
        """The first moment is within, the last sharp hour is not: 21:00:00 is refused where hours end at 21:00."""
        of = record(zone)
        begin, end = local(f"2026-03-11T{first}", zone), local(f"2026-03-11T{last}", zone)
        outcomes = [tried(at, pack, of=of) for at in (begin - MICROSECOND, begin, end, end + MICROSECOND)]
        assert ["hours", "allowed", "allowed", "hours"] == list(map(rule, outcomes))
        assert begin == next_at(outcomes[0])
        assert begin + timedelta(days=1) == next_at(outcomes[3])

    def test_they_bind_service_messages_but_no_letters(self) -> None:
        """A reminder at night is refused; a letter arrives at no hour of ours."""
        night = local("2026-03-11T23:00")
        assert "hours" == rule(tried(night, on=attempt("sms", "service")))
        assert "allowed" == rule(tried(night, on=attempt("letter")))

    @pytest.mark.parametrize(
        ("shown", "expected"),
        [("20:59:59", "preferred_hours"), ("22:00:00", "hours"), ("01:59:59", "hours"), ("20:00", "preferred_hours")],
    )
    def test_preferred_hours_over_midnight_that_the_pack_never_meets(self, shown: str, expected: str) -> None:
        """Hours asked for that lie outside the law's: nobody is contacted, and there is no next moment."""
        night_owl = record(preferred=(time(22), time(2)))
        refused = tried(local(f"2026-03-11T{shown}"), of=night_owl)
        assert (expected, None) == (rule(refused), next_at(refused))

    def test_preferred_hours_over_midnight_that_the_pack_meets_in_part(self) -> None:
        """Both must hold: from 20:00 until 09:00 and from 08:00 until 21:00 leaves an hour at each end."""
        early = record(preferred=(time(20), time(9)))
        shown = {"07:59": "hours", "08:59": "allowed", "09:00": "preferred_hours", "20:00": "allowed", "21:00": "hours"}
        assert shown == {at: rule(tried(local(f"2026-03-11T{at}"), of=early)) for at in shown}
        assert local("2026-03-11T20:00") == next_at(tried(NOON, of=early))

    def test_preferred_hours_without_a_span_are_none(self) -> None:
        """From eight until eight holds no time."""
        assert next_at(tried(NOON, of=record(preferred=(time(8), time(8))))) is None

    @pytest.mark.parametrize(
        ("zone", "evening", "morning"),
        [
            # Spring: the night is an hour shorter (in Lord Howe half an hour); autumn: longer.
            (NEW_YORK, "2026-03-07T21:00", "2026-03-08T08:00"),
            (NEW_YORK, "2026-10-31T21:00", "2026-11-01T08:00"),
            ("Europe/London", "2026-03-28T21:00", "2026-03-29T08:00"),
            ("Europe/London", "2026-10-24T21:00", "2026-10-25T08:00"),
            ("Australia/Lord_Howe", "2026-10-03T21:00", "2026-10-04T08:00"),
            ("Australia/Lord_Howe", "2026-04-04T21:00", "2026-04-05T08:00"),
            ("Asia/Kolkata", "2028-02-28T21:00", "2028-02-29T08:00"),
            ("Asia/Kolkata", "2028-02-29T21:00", "2028-03-01T08:00"),
            ("Pacific/Apia", "2011-12-29T21:00", "2011-12-31T08:00"),
        ],
    )
    def test_over_a_night_in_which_the_clock_jumps(self, zone: str, evening: str, morning: str) -> None:
        """The next moment is eight by the new clock; Apia had no 30 December 2011."""
        refused = tried(local(evening, zone), of=record(zone))
        assert ("hours", local(morning, zone)) == (rule(refused), next_at(refused))

    def test_preferred_hours_that_begin_in_a_gap(self) -> None:
        """From 02:30 where 02:30 does not exist is from the moment at which the clock jumps over it."""
        pack = load_packs(["us"])[0].model_copy(update={"hours": None})
        of = record(preferred=(time(2, 30), time(4)))
        at = local("2026-03-08T01:59")
        refused = check(attempt(), of, NOTHING, (), (pack,), at)
        assert local("2026-03-08T03:00") == next_at(refused)

    def test_preferred_hours_that_come_twice(self) -> None:
        """From 01:00 until 01:30 where the clock goes back from 02:00: the second hour is within again."""
        pack = load_packs(["us"])[0].model_copy(update={"hours": None})
        of = record(preferred=(time(1), time(1, 30)))
        at = local("2026-11-01T01:30", fold=0)
        refused = check(attempt(), of, NOTHING, (), (pack,), at)
        assert local("2026-11-01T01:00", fold=1) == next_at(refused)

    def test_hours_follow_the_record_to_a_new_zone(self) -> None:
        """Who moves from Auckland to Berlin is judged by the clock there from then on."""
        at = local("2026-03-11T12:00", "Pacific/Auckland")
        assert "allowed" == rule(tried(at, of=record("Pacific/Auckland")))
        refused = tried(at, of=record("Europe/Berlin"))
        assert ("hours", local("2026-03-11T08:00", "Europe/Berlin")) == (rule(refused), next_at(refused))


class TestDays:
    """Days of the week and holidays, by the debtor's calendar."""

    @pytest.mark.parametrize("pack", ["id", "uk", "default"])
    def test_no_contact_on_sundays(self, pack: str) -> None:
        """A Sunday is one where the debtor is: in Auckland it begins while Los Angeles has Saturday."""
        auckland = record("Pacific/Auckland", country="NZ")
        sunday, monday = local("2026-03-15T12:00", "Pacific/Auckland"), local("2026-03-16T09:00", "Pacific/Auckland")
        refused = tried(sunday, pack, of=auckland)
        assert "weekday" == rule(refused)
        assert monday.date() == (next_at(refused) or sunday).date()
        assert "allowed" == rule(tried(sunday, pack, of=record("America/Los_Angeles", country="US")))

    @pytest.mark.parametrize("pack", ["us", "cn", "in"])
    def test_packs_that_name_no_days(self, pack: str) -> None:
        """Sundays and holidays are free where the document does not say otherwise."""
        sunday, new_year = local("2026-03-15T12:00"), local("2026-01-01T12:00")
        assert ["allowed"] * 2 == [rule(tried(at, pack, of=record(country="US"))) for at in (sunday, new_year)]

    @pytest.mark.parametrize(
        ("zone", "country", "day", "expected"),
        [
            (NEW_YORK, "US", "2026-07-03", "holiday"),  # Observed: the 4th is a Saturday.
            (NEW_YORK, "US", "2026-07-06", "allowed"),
            (NEW_YORK, "US", "2026-03-31", "allowed"),
            ("America/Los_Angeles", "US-CA", "2026-03-31", "holiday"),  # Cesar Chavez Day, in California.
            (NEW_YORK, None, "2026-12-25", "holiday"),  # By the country of the zone.
            ("Asia/Calcutta", None, "2026-08-15", "holiday"),  # The zone's old name.
            ("Europe/London", "GB-ENG", "2026-04-06", "holiday"),
            ("Europe/London", "GB-SCT", "2026-04-06", "allowed"),
            ("Europe/London", "GB-LND", "2026-04-06", "holiday"),  # A part that has no calendar counts as every part.
        ],
    )
    def test_holidays_of_the_record(self, zone: str, country: str | None, day: str, expected: str) -> None:
        """The record's country counts, with its part; without one the country that its zone lies in."""
        assert expected == rule(tried(local(f"{day}T12:00", zone), "default", of=record(zone, country=country)))

    def test_the_packs_own_country_counts_beside_the_records(self) -> None:
        """Independence Day of Indonesia is free under its pack wherever the debtor is, and that of the record too."""
        day = local("2026-08-17T12:00")
        assert ["holiday"] * 2 == [rule(tried(day, "id", of=record(country=country))) for country in ("US", None)]
        assert "allowed" == rule(tried(day, "default", of=record(country="US")))
        assert "holiday" == rule(tried(local("2026-11-26T12:00"), "id", of=record(country="US")))

    @pytest.mark.parametrize(("zone", "country"), [("UTC", None), ("Etc/GMT+5", None), (NEW_YORK, "XX"), ("UTC", "-")])
    def test_a_country_that_is_not_known(self, zone: str, country: str | None) -> None:
        """Where holidays count and nobody can say whose, nothing is allowed."""
        refused = tried(NOON, "default", of=record(zone, country=country))
        assert ("unknown_holidays", None) == (rule(refused), next_at(refused))
        assert "allowed" == rule(tried(NOON + timedelta(hours=2), "cn", of=record(zone, country=country)))

    def test_days_that_follow_each_other(self) -> None:
        """Eid, Saturday and Sunday, between days of leave: the next moment skips them all."""
        jakarta = record("Asia/Jakarta", country="ID")
        refused = tried(local("2026-03-17T20:00", "Asia/Jakarta"), "id", of=jakarta)
        assert local("2026-03-25T08:00", "Asia/Jakarta") == next_at(refused)
        assert "hours" == rule(refused)


class TestCaps:
    """How often: counted over instants, by the stricter of rolling hours and local days."""

    @pytest.mark.parametrize(("pack", "most"), [("cn", 3), ("default", 3)])
    def test_calls_a_day(self, pack: str, most: int) -> None:
        """The third passes, the fourth does not until the first is a day old."""
        calls = [past(NOON - timedelta(minutes=10 * i)) for i in range(1, most + 1)]
        assert "allowed" == rule(tried(NOON, pack, history=calls[1:]))
        refused = tried(NOON, pack, history=calls)
        assert ("contacts_per_day", pack) == (rule(refused), getattr(refused, "pack", ""))
        assert calls[-1].at + timedelta(days=1, seconds=1) == next_at(refused)

    @pytest.mark.parametrize("pack", ["us", "default"])
    def test_calls_in_seven_days(self, pack: str) -> None:
        """Seven are within, the eighth is one more; it may be made when the first is older than seven days."""
        calls = [past(NOON - timedelta(days=i - 1, hours=1)) for i in range(1, 8)]
        assert "allowed" == rule(tried(NOON, pack, history=calls[1:]))
        refused = tried(NOON, pack, history=calls)
        assert "contacts_per_7_days" == rule(refused)
        last = calls[-1].at + WEEK
        assert "contacts_per_7_days" == rule(tried(last, pack, history=calls))
        assert "allowed" == rule(tried(last + SECOND, pack, history=calls))
        assert last + SECOND == next_at(refused)

    def test_the_local_day_is_the_stricter_reading_when_it_is_longer(self) -> None:
        """On the day on which the clocks go back 24 hours end an hour before the day does."""
        start = local("2026-11-01T00:10")
        calls = [past(start + timedelta(minutes=i)) for i in range(3)]
        pack = load_packs(["cn"])[0].model_copy(update={"hours": None})
        at = start + timedelta(hours=24, minutes=5)
        assert local("2026-11-01T23:15") == at
        assert local("2026-11-02T00:00") == next_at(check(attempt(), record(), NOTHING, calls, (pack,), at))

    def test_per_debt_and_per_borrower(self) -> None:
        """Regulation F counts each loan by itself, the default pack all; a call of no known loan counts for each."""
        calls = [past(NOON - timedelta(hours=22 * i), loan="l-2") for i in range(1, 8)]
        assert ["allowed", "contacts_per_7_days"] == [rule(tried(NOON, p, history=calls)) for p in ("us", "default")]
        assert "contacts_per_7_days" == rule(tried(NOON, "us", on=attempt(loan="l-2"), history=calls))
        assert "contacts_per_7_days" == rule(tried(NOON, "us", on=attempt(loan=None), history=calls))
        nameless = [past(NOON - timedelta(hours=22 * i), loan=None) for i in range(1, 8)]
        assert "contacts_per_7_days" == rule(tried(NOON, "us", history=nameless))

    def test_messages_are_not_counted_and_service_is_not_bound(self) -> None:
        """Caps of calls count calls, of whatever kind, and bind those that collect."""
        messages = [past(NOON - timedelta(hours=i), "sms") for i in range(20)]
        service = [past(NOON - timedelta(hours=i), kind="service") for i in range(20)]
        calls = [past(NOON - timedelta(hours=i)) for i in range(20)]
        outcomes = [rule(tried(NOON, "us", "default", history=history)) for history in (messages, service)]
        assert ["allowed", "contacts_per_7_days"] == outcomes
        assert ["allowed"] * 2 == [
            rule(tried(NOON, "us", "default", on=on, history=calls)) for on in (attempt("sms"), attempt(kind="service"))
        ]

    def test_contacts_dated_in_the_future_count(self) -> None:
        """Clocks differ: what the log dates a little ahead was tried nevertheless."""
        ahead = [past(NOON + timedelta(minutes=i)) for i in range(3)]
        refused = tried(NOON, "cn", history=ahead)
        assert ("contacts_per_day", ahead[0].at + timedelta(days=1, seconds=1)) == (rule(refused), next_at(refused))

    def test_caps_count_instants_when_the_borrower_moves(self) -> None:
        """Three calls in Auckland are three calls after a flight to Honolulu, where it is the day before again."""
        calls = [past(local(f"2026-03-11T{hour}:00", "Pacific/Auckland")) for hour in ("13", "14", "15")]
        moved = record("Pacific/Honolulu")
        at = local("2026-03-10T17:00", "Pacific/Honolulu")
        refused = tried(at, "cn", of=moved, history=calls)
        assert ("contacts_per_day", calls[0].at + timedelta(days=1, seconds=1)) == (rule(refused), next_at(refused))
        assert "allowed" == rule(tried(at, "cn", of=moved))


class TestAfterAConversation:
    """Seven days of rest from calls after one was answered."""

    def test_both_sides(self) -> None:
        """Seven days later to the second it is still refused, a second later allowed."""
        talk = past(NOON - WEEK, reached=True)
        assert "after_conversation" == rule(tried(NOON, history=[talk]))
        assert NOON + SECOND == next_at(tried(NOON, history=[talk]))
        assert "allowed" == rule(tried(NOON + SECOND, history=[talk]))

    def test_seven_whole_days(self) -> None:
        """The default pack counts from the day after the conversation: the first call is on the eighth day."""
        talk = past(NOON - WEEK, reached=True)
        evening, morning = local("2026-03-11T18:59"), local("2026-03-12T08:00")
        assert "after_conversation" == rule(tried(evening, "default", history=[talk]))
        assert morning == next_at(tried(NOON, "default", history=[talk]))
        assert "allowed" == rule(tried(morning, "default", history=[talk]))

    def test_a_call_that_nobody_answered_starts_no_wait(self) -> None:
        """It counts for the caps alone."""
        assert "allowed" == rule(tried(NOON, "us", "default", history=[past(NOON - timedelta(days=1))]))

    def test_a_call_that_is_yet_to_be_dialled_holds_back_the_next(self) -> None:
        """It may become a conversation: until its last moment nobody else calls about that debt; messages may go."""
        job = past(NOON + timedelta(hours=1))
        refused = tried(NOON, "us", history=[job])
        assert ("after_conversation", job.at) == (rule(refused), next_at(refused))
        assert "allowed" == rule(tried(NOON, "us", history=[job], on=attempt("sms")))
        assert "allowed" == rule(tried(job.at, "us", history=[job]))

    def test_what_it_binds_is_the_packs(self) -> None:
        """Calls in both; visits too in the default one, which hears conversations on visits and in chats as well."""
        talk = past(NOON - timedelta(days=1), reached=True)
        bound = {
            (pack, channel): rule(tried(NOON, pack, on=attempt(channel), history=[talk]))
            for pack in ("us", "default")
            for channel in ("call", "visit", "sms")
        }
        assert {("us", "call"), ("default", "call"), ("default", "visit")} == {
            key for key, found in bound.items() if found == "after_conversation"
        }
        visit = past(NOON - timedelta(days=1), "visit", reached=True)
        assert ["allowed", "after_conversation"] == [rule(tried(NOON, p, history=[visit])) for p in ("us", "default")]

    def test_per_debt(self) -> None:
        """Under Regulation F a conversation about one loan leaves calls about another free."""
        talk = past(NOON - timedelta(days=1), loan="l-2", reached=True)
        assert ["allowed", "after_conversation"] == [rule(tried(NOON, p, history=[talk])) for p in ("us", "default")]

    def test_the_last_conversation_counts(self) -> None:
        """A later one begins the wait anew."""
        talks = [past(NOON - timedelta(days=day), reached=True) for day in (1, 5, 3)]
        assert NOON + timedelta(days=6, seconds=1) == next_at(tried(NOON, "us", history=talks))


class TestStrictestWins:
    """Several packs at once: every one must allow."""

    def test_the_narrowest_hours_win(self) -> None:
        """India ends at 19:00 what the United States allows until 21:00."""
        refused = tried(local("2026-03-11T19:00"), "us", "in")
        assert ("hours", "in") == (rule(refused), getattr(refused, "pack", ""))
        assert local("2026-03-12T08:00") == next_at(refused)

    def test_the_pack_that_stands_longest_is_named(self) -> None:
        """At night before a Sunday the day of the week stands longer than the hours."""
        refused = tried(local("2026-03-15T07:00"), "us", "default", of=record(country="US"))
        assert ("weekday", "default") == (rule(refused), getattr(refused, "pack", ""))
        assert local("2026-03-16T08:00") == next_at(refused)

    def test_the_next_moment_heeds_rules_that_do_not_stand_now(self) -> None:
        """A wait that ends at night ends for the borrower in the morning."""
        talk = past(local("2026-03-04T20:30"), reached=True)
        refused = tried(local("2026-03-11T20:00"), "us", "in", history=[talk])
        assert local("2026-03-12T08:00") == next_at(refused)

    def test_no_pack_makes_another_milder(self) -> None:
        """Whatever one pack refuses is refused with any other beside it."""
        talk = [past(NOON - timedelta(days=1), reached=True)]
        for hour in range(0, 24 * 8, 5):
            at = NOON + timedelta(hours=hour)
            alone = {name: rule(tried(at, name, of=record(country="US"), history=talk)) for name in known_packs()}
            for one in known_packs():
                both = rule(tried(at, "us", one, of=record(country="US"), history=talk))
                assert (both == "allowed") == (alone["us"] == alone[one] == "allowed")


def test_a_refusal_says_the_rule_with_its_source_and_nobody() -> None:
    """The text is fit for the log of refusals: rule and document, no borrower and no address."""
    refused = tried(local("2026-03-11T21:00"))
    assert isinstance(refused, Refusal)
    expected = "contact from 08:00 until 21:00 local time only: 12 CFR 1006 (Regulation F), 1006.6(b)(1)(i)"
    assert expected == refused.detail


def test_house_rules_take_their_source_from_a_pack_that_has_one() -> None:
    """Regulation F has a source for the opt-out, so the refusal names it; otherwise the house stands for itself."""
    out = record(opted_out_at=AGREED)
    assert ["us", "house"] == [getattr(tried(NOON, pack, of=out), "pack", "") for pack in ("us", "default")]
    assert HOUSE["opted_out"].says == getattr(tried(NOON, "default", of=out), "detail", "")


def test_the_time_may_be_given_in_any_zone() -> None:
    """An instant is the same wherever it is written down."""
    there = NOON.astimezone(datetime.fromisoformat("2026-03-11T12:00+05:45").tzinfo)
    assert tried(NOON) == tried(there)
    refused = tried(there + timedelta(hours=12))
    assert UTC == getattr(next_at(refused), "tzinfo", None)
