from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, charged_off, closed, engine_of, moved, opened, paid, rescheduled, returned, tried

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "gone_dark"
DUES = [30, 60, 90]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def silent(*days: float) -> list[Event]:
    """Calls and messages in turn that nobody answers."""
    return [tried(day, ("sms", "call")[n % 2]) for n, day in enumerate(days)]


def test_fires_a_day_after_the_third_without_an_answer() -> None:
    """By silence, on two channels, after a miss."""
    # 30 due   31 sms   33 call   35 sms   36 alert
    told = world().play(opened(DUES), *silent(31, 33, 35), until=40)
    assert [(36, "opened", 1)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity
    assert 3 == len(told.alerts[0].data.evidence)


def test_two_or_one_channel_are_not_enough() -> None:
    """Just below both thresholds."""
    # 31 sms   33 call     /     31 33 35 37 calls
    assert [] == world().play(opened(DUES), *silent(31, 33), until=40).said()
    assert [] == world().play(opened(DUES), *(tried(day) for day in (31, 33, 35, 37)), until=40).said()


def test_an_answer_within_a_day_is_one() -> None:
    """Exactly before the day is over; and it begins the count anew."""
    # 31 sms   33 call   35 sms, answered after 23 hours   37 call   39 sms
    answer = tried(36, "sms", contact="c", result="reached", hour=9)
    told = world().play(opened(DUES), *silent(31, 33), tried(35, "sms", contact="c"), answer, *silent(37, 39), until=45)
    assert [] == told.said()


def test_before_a_miss_nothing_is_said() -> None:
    """Contacts before the day after the due day are no collection; only those after it count."""
    # 25 27 29 unanswered   31 sms
    assert [] == world().play(opened(DUES), *silent(25, 27, 29, 31), until=40).said()


def test_contacts_without_an_answer_by_nature_count_when_undeliverable() -> None:
    """A letter is not answered; one that comes back says much."""
    # 31 sms   33 call   35 letter: nothing     /     36 the letter comes back: alert
    facts = (opened(DUES), *silent(31, 33), tried(35, "letter", contact="c"))
    assert [] == world().play(*facts, until=45).said()
    told = world().play(*facts, tried(36, "letter", contact="c", result="undeliverable"), until=45)
    assert [(36, "opened", 1)] == told.told(KEY)


def test_three_undeliverable_are_high_at_once() -> None:
    """Dead numbers need no waiting, and each contact counts once."""
    # 31 33 35 attempted and undeliverable: alert, high
    facts = [
        tried(day, channel, contact=f"c{day}", result=result)
        for day, channel in ((31, "sms"), (33, "call"), (35, "sms"))
        for result in ("", "undeliverable")
    ]
    told = world().play(opened(DUES), *facts, until=40)
    assert [(35, "opened", 2)] == told.told(KEY)
    assert "high" == told.alerts[0].data.severity


@pytest.mark.parametrize(("details", "alerts"), [(("device", "phone"), 1), (("device", "email"), 0), (("phone",), 0)])
def test_device_and_phone_changed_after_a_miss(details: tuple[str, ...], alerts: int) -> None:
    """Both of them, not one."""
    # 30 due   40 changed
    told = world().play(opened(DUES), *(moved(40, detail) for detail in details), until=45)
    assert alerts == len(told.alerts)
    assert ["high"] * alerts == [a.data.severity for a in told.alerts]


def test_device_and_phone_changed_before_the_miss_are_outside() -> None:
    """Just outside: on the due day itself nothing is missed."""
    # 30 due, both changed   31 missed
    assert [] == world().play(opened(DUES), moved(30, "device"), moved(30, "phone"), until=45).said()


def test_ends_when_somebody_is_reached() -> None:
    """And begins anew only with other attempts."""
    # 36 alert   38 call reached   41 recovered
    reached = [tried(38, contact="c"), tried(38, contact="c", result="reached", hour=10.1)]
    told = world().play(opened(DUES), *silent(31, 33, 35), *reached, until=45)
    assert [(36, "opened", 1), (41, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_ends_when_the_contacts_are_of_long_ago() -> None:
    """After 120 days without another attempt it is no longer said."""
    # 36 alert   151 the first one leaves the window   154 expired
    told = world().play(opened([30]), *silent(31, 33, 35), until=160)
    assert [(36, "opened", 1), (154, "resolved", 1)] == told.told(KEY)


@pytest.mark.parametrize(
    ("fact", "status", "resolution"),
    [
        (paid(40), "resolved", "cured"),
        (paid(40, valued=30), "withdrawn", "disproved"),
        (rescheduled(40, "plan", [80, 110]), "resolved", "rescheduled"),
        (closed(40), "resolved", "closed"),
        (charged_off(40), "resolved", "charged_off"),
        (tried(32, result="reached", recorded=at(40)), "withdrawn", "disproved"),
    ],
)
def test_ends_with_the_miss(fact: Event, status: str, resolution: str) -> None:
    """Paid, never missed, on a new schedule, over, or reached before as is known late."""
    # 36 alert   40 the fact   43 the end
    told = world().play(opened(DUES), *silent(31, 33, 35), fact, until=44)
    assert ["opened", status] == [a.data.status for a in told.alerts]
    assert resolution == told.alerts[-1].data.resolution


def test_a_loan_that_is_paid_and_closed_leaves_nothing_to_withdraw() -> None:
    """Another loan that runs in order does not make it untrue that the first one was missed."""
    # 36 alert for l-1   40 l-1 paid and closed, l-2 runs on: cured
    told = world().play(
        opened([30]), opened(DUES, loan="l-2"), paid(30, loan="l-2"), *silent(31, 33, 35), paid(40), closed(40.1),
        until=45,
    )  # fmt: skip
    assert ["opened", "resolved"] == [a.data.status for a in told.alerts]


def test_a_debit_that_comes_back_ends_nothing() -> None:
    """Within the three days of calm the one episode goes on."""
    # 36 alert   40 debit   42 returned   44 debit   46 returned
    debits = (paid(40, payment="a"), returned(42, "a"), paid(44, payment="b"), returned(46, "b"))
    told = world().play(opened(DUES), *silent(31, 33, 35), *debits, until=50)
    assert [(36, "opened", 1)] == told.told(KEY)
