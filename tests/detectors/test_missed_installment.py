from __future__ import annotations

from streams.engine.policy import Policy
from tests.builders import World, charged_off, closed, engine_of, opened, paid, rescheduled, returned

DUES = [30, 60, 90, 120]
KEY = "missed_installment"


def world(**settings: object) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(detectors={KEY: settings})))


def on_time(*dues: int) -> list:
    """Payments on their due days."""
    return [paid(due) for due in dues]


def test_fires_the_day_after_an_unpaid_due_day() -> None:
    """Silence on a due day is told at the start of the next local day."""
    # 0 opened   30 paid   60 due, nothing   61 alert
    told = world().play(opened(DUES), paid(30), until=61.1)
    assert [(61, "opened", 1)] == told.told(KEY)
    assert 60 == (told.alerts[0].data.onset - told.alerts[0].data.onset.replace(month=1, day=1)).days


def test_is_silent_where_each_is_paid() -> None:
    """A loan that is paid on its due days raises nothing."""
    # 0 opened   30 60 90 120 paid on the day
    assert [] == world().play(opened(DUES), *on_time(*DUES), until=200).said()


def test_the_due_day_itself_is_zero_days_past_due() -> None:
    """At the last hour of the due day nothing is told, at midnight it is."""
    # 0 opened   30 paid   60 due: silent through 23:00   61 00:00 alert
    told = world().play(opened(DUES), paid(30), until=60 + 23 / 24)
    assert [] == told.said()
    assert [(61, "opened", 1)] == told.play(until=61).told(KEY)


def test_a_payment_one_day_late_is_told_and_cured() -> None:
    """A payment valued the day after the due day ends a run of one day."""
    # 60 due   61 alert   61 10:00 paid, cured
    told = world().play(opened(DUES), paid(30), paid(61), until=80)
    assert [(61, "opened", 1), (61, "resolved", 1)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_climbs_the_ladder_on_its_days() -> None:
    """Each rung is told on the day on which it is reached, with severities rising."""
    # 60 due   61 65 75 91 121 151 181 241 the rungs 1 5 15 31 61 91 121 181
    told = world().play(opened([30, 60]), paid(30), until=300)
    rungs = (1, 5, 15, 31, 61, 91, 121, 181)
    expected = [(60 + step, "escalated" if step > 1 else "opened", step) for step in rungs]
    assert expected == told.told(KEY)
    severities = [a.data.severity.value for a in told.alerts]
    assert ["info", "watch"] + ["high"] * 2 + ["critical"] * 4 == severities
    assert [1, 2, 3, 4, 5, 6, 7, 8] == [a.data.revision for a in told.alerts]
    assert ["M1", "M1", "M1", "M2", "M3", "M4", "M5", "M7"] == [a.data.measures[1].value for a in told.alerts]


def test_the_episode_goes_on_while_a_later_installment_takes_over() -> None:
    """Paying the oldest of two missed ones lowers the days past due and goes on in the same run."""
    # 60 due   61 alert   90 due   91 +31   95 one paid   121: 31 past 90, same episode
    told = world().play(opened(DUES), paid(30), paid(95), until=100)
    assert [(61, "opened", 1), (65, "escalated", 5), (75, "escalated", 15), (91, "escalated", 31)] == told.told(KEY)
    told.play(paid(101), until=110)
    assert (101, "resolved", 31) == told.told(KEY)[-1]
    assert 1 == len({a.data.episode_id for a in told.alerts})


def test_grace_delays_the_alarm_but_not_the_count() -> None:
    """With three days of grace the alarm comes at four days past due and says four."""
    # 60 due   61-63 grace   64 alert "4 days"
    told = world(grace_days=3).play(opened(DUES), paid(30), until=66)
    assert [(64, "opened", 1), (65, "escalated", 5)] == told.told(KEY)
    assert 4 == told.alerts[0].data.measures[0].value


def test_the_first_of_several_is_left_to_first_payment_default() -> None:
    """Installment 1 of several raises nothing here; a single installment does."""
    # 30 due, nothing paid
    assert [] == world().play(opened(DUES), until=50).said()
    assert [(31, "opened", 1)] == world().play(opened([30]), until=32).told(KEY)


def test_a_backdated_payment_withdraws_what_it_disproves() -> None:
    """A payment booked four days late but valued on the due day withdraws the alert."""
    # 60 due (value day)   61 alert   64 booked: withdrawn
    told = world().play(opened(DUES), paid(30), paid(64, valued=60), until=80)
    assert [(61, "opened", 1), (64, "withdrawn", 1)] == told.told(KEY)
    assert "disproved" == told.alerts[-1].data.resolution


def test_a_payment_valued_one_day_late_and_booked_later_cures_instead() -> None:
    """Just outside: valued the day after the due day, the alert was true and is resolved."""
    # 60 due   61 alert, value day   64 booked: resolved
    told = world().play(opened(DUES), paid(30), paid(64, valued=61), until=80)
    assert [(61, "opened", 1), (64, "resolved", 1)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_a_returned_payment_reopens_the_same_episode() -> None:
    """After its payment is returned the run goes on under the same id with the next revision."""
    # 60 due   61 alert   62 paid: cured   64 returned: opened again, 4 days
    told = world().play(opened(DUES), paid(30), paid(62, payment="p"), returned(64, "p"), until=64.9)
    assert [(61, "opened", 1), (62, "resolved", 1), (64, "opened", 1)] == told.told(KEY)
    assert [1, 2, 3] == [a.data.revision for a in told.alerts]
    assert 1 == len({a.data.episode_id for a in told.alerts})
    assert 4 == told.alerts[-1].data.measures[0].value


def test_a_withdrawn_episode_is_opened_again_when_the_payment_is_returned() -> None:
    """What a backdated payment took back comes back when that payment is returned."""
    # 60 due   61 alert   63 booked, valued 60: withdrawn   70 returned: opened at rung 5
    told = world().play(opened(DUES), paid(30), paid(63, valued=60, payment="p"), returned(70, "p"), until=71)
    assert [(61, "opened", 1), (63, "withdrawn", 1), (70, "opened", 5)] == told.told(KEY)
    assert [1, 2, 3] == [a.data.revision for a in told.alerts]


def test_an_extension_resolves_as_rescheduled() -> None:
    """New due dates end the run; it counts from the new dates then."""
    # 60 due   61 alert   66 extended to 80: rescheduled   81 missed again: another episode
    told = world().play(opened(DUES), paid(30), rescheduled(66, "extension", [80, 110, 140], first=2), until=82)
    assert [(61, "opened", 1), (65, "escalated", 5), (66, "resolved", 5), (81, "opened", 1)] == told.told(KEY)
    assert "rescheduled" == told.alerts[2].data.resolution
    assert 2 == len({a.data.episode_id for a in told.alerts})


def test_an_extension_that_took_effect_before_the_due_day_resolves_as_rescheduled_too() -> None:
    """Told late and effective early, a new schedule is never taken for a payment in time."""
    # 55 effective   60 due   61 alert   63 told: extended to 80
    told = world().play(
        opened(DUES), paid(30), rescheduled(63, "extension", [80, 110, 140], first=2, effective=55), until=70
    )
    assert [(61, "opened", 1), (63, "resolved", 1)] == told.told(KEY)
    assert "rescheduled" == told.alerts[-1].data.resolution


def test_an_extension_of_a_partly_paid_installment_resolves_as_rescheduled() -> None:
    """The paid part stays paid, the run ends on the day of the change."""
    # 60 due, 400 paid   61 alert   63 extended
    told = world().play(
        opened(DUES), paid(30), paid(60, 400), rescheduled(63, "extension", [80, 110], 1_300, first=2), until=70
    )
    assert [(61, "opened", 1), (63, "resolved", 1)] == told.told(KEY)
    assert "rescheduled" == told.alerts[-1].data.resolution


def test_a_re_age_resolves_as_rescheduled() -> None:
    """A re-age sets days past due to zero."""
    # 60 due   61 alert   100 re-aged: next due 120
    told = world().play(opened(DUES), paid(30), rescheduled(100, "re_age", [120, 150, 180], first=2), until=110)
    assert (100, "resolved", 31) == told.told(KEY)[-1]
    assert "rescheduled" == told.alerts[-1].data.resolution
    assert 0 == told.borrower().loans[0].days_past_due(told.borrower().loans[0].installments[-1].due - 60)


def test_forbearance_freezes_and_goes_on_when_it_ends() -> None:
    """While it lasts the episode is resolved as rescheduled; at its end the count goes on where it stood."""
    # 60 due   61 alert  65 rung 5   70 forbearance ...... 88 ends: opened again, still 10 past due   93 rung 15
    told = world().play(opened([30, 60]), paid(30), rescheduled(70, "forbearance", [], until=88), until=94)
    expected = [(61, "opened", 1), (65, "escalated", 5), (70, "resolved", 5), (88, "opened", 5), (93, "escalated", 15)]
    assert expected == told.told(KEY)
    assert "rescheduled" == told.alerts[2].data.resolution
    assert 1 == len({a.data.episode_id for a in told.alerts})


def test_an_open_forbearance_stays_silent() -> None:
    """Without an end the count stands still for good."""
    # 60 due   61 alert   62 forbearance .......
    told = world().play(opened([30, 60]), paid(30), rescheduled(62, "forbearance", []), until=300)
    assert [(61, "opened", 1), (62, "resolved", 1)] == told.told(KEY)


def test_forbearance_from_before_the_due_day_resolves_as_rescheduled() -> None:
    """Forbearance told late is no payment: it resolves, it does not disprove."""
    # 58 effective   60 due   61 alert   63 told
    told = world().play(
        opened([30, 60]), paid(30), rescheduled(63, "forbearance", [], effective=58, until=80), until=70
    )
    assert [(61, "opened", 1), (63, "resolved", 1)] == told.told(KEY)
    assert "rescheduled" == told.alerts[-1].data.resolution


def test_closing_the_loan_ends_the_episode() -> None:
    """A closed loan owes nothing."""
    # 60 due   61 alert   70 closed
    told = world().play(opened([30, 60]), paid(30), closed(70), until=120)
    assert (70, "resolved", 5) == told.told(KEY)[-1]
    assert "closed" == told.alerts[-1].data.resolution


def test_a_charge_off_ends_the_episode() -> None:
    """A loan that is given up raises nothing more."""
    # 60 due   61 alert   180 charged off
    told = world().play(opened([30, 60]), paid(30), charged_off(180), until=300)
    assert (180, "resolved", 91) == told.told(KEY)[-1]
    assert "charged_off" == told.alerts[-1].data.resolution


def test_a_returned_payment_opens_a_closed_loan_again() -> None:
    """The last payment of a closed loan comes back: the run goes on."""
    # 60 paid, closed   63 returned: 3 past due
    told = world().play(opened([30, 60]), paid(30), paid(60, payment="p"), closed(60.2), returned(63, "p"), until=66)
    assert [(63, "opened", 1), (65, "escalated", 5)] == told.told(KEY)


def test_each_run_is_an_episode_of_its_own() -> None:
    """A run that begins after the last one ended has its own onset and id."""
    # 60 missed, 70 cured   90 missed, 91 alert
    told = world().play(opened(DUES), paid(30), paid(70), until=92)
    assert [(61, "opened", 1), (65, "escalated", 5), (70, "resolved", 5), (91, "opened", 1)] == told.told(KEY)
    assert 2 == len({a.data.episode_id for a in told.alerts})


def test_a_slip_of_a_few_days_is_left_to_the_reminders() -> None:
    """By default the first rung is info, and exactly the fifth day is watch; a policy may watch from the first on."""
    # 60 due   61 info   65 watch
    told = world().play(opened(DUES), paid(30), until=66)
    assert [(61, "opened", 1), (65, "escalated", 5)] == told.told(KEY)
    assert ["info", "watch"] == [a.data.severity for a in told.alerts]
    strict = world(watch_from_days=1).play(opened(DUES), paid(30), until=66)
    assert ["watch", "watch"] == [a.data.severity for a in strict.alerts]
