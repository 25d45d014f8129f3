from __future__ import annotations

from tests.builders import World, at, booked, charged_off, engine_of, inquired, opened, paid, returned

SALARY = 1_000_000
INSTALLMENT = 833_333
TOLD = {
    "missed_installment", "partial_payment", "returned_payment", "first_payment_default", "payment_ratio_drop",
    "income_missing", "drain_after_miss", "multi_lending_spike",
}  # fmt: skip
"""The detectors whose every word is in these cases. All of the catalogue are at work, so that none disturbs another."""


def said_by(world: World) -> list[tuple[str, int, str, int]]:
    """What those detectors told."""
    return [line for line in world.said() if line[0] in TOLD]


def salaries(*days: int, balance: int = 1_100_000) -> list:
    """Salaries of 10,000."""
    return [booked(day, SALARY, balance, purpose="SALA") for day in days]


def test_fifty_thousand_over_six_months_with_the_fourth_missed() -> None:
    """50,000 over 6 months: 1-3 on time, the salary stops, the 4th is missed: each step on its day.

    Loan of day 0, due on 30 60 90 120 150 180; salaries on 25 55 85, none on 115.
    """
    # 25 salary 30 paid   55 salary 60 paid   85 salary 90 paid   115 no salary   120 due   150 due   180 due
    facts = [
        opened([30, 60, 90, 120, 150, 180], INSTALLMENT, principal_minor=5_000_000),
        *salaries(25, 55, 85),
        *(booked(day, -INSTALLMENT, 200_000) for day in (30, 60, 90)),
        *(paid(day, INSTALLMENT) for day in (30, 60, 90)),
    ]
    world = World(engine_of()).play(*facts, until=212)
    assert [
        ("income_missing", 121, "opened", 1),  # usual day 115 and five days of patience
        ("missed_installment", 121, "opened", 1),
        ("missed_installment", 125, "escalated", 5),
        ("missed_installment", 135, "escalated", 15),
        ("income_missing", 151, "escalated", 2),
        ("missed_installment", 151, "escalated", 31),
        ("payment_ratio_drop", 151, "opened", 1),  # 3 of 5 paid, two short
        ("income_missing", 181, "escalated", 3),
        ("missed_installment", 181, "escalated", 61),
        ("income_missing", 211, "escalated", 4),
        ("missed_installment", 211, "escalated", 91),
    ] == said_by(world)
    severities = {(a.data.detector, a.data.step): a.data.severity.value for a in world.alerts}
    assert "info" == severities["missed_installment", 1]
    assert "high" == severities["missed_installment", 15]
    assert "critical" == severities["missed_installment", 61]
    last = next(a for a in reversed(world.alerts) if a.data.detector in TOLD).data
    assert [(91, "M4", 3 * INSTALLMENT, 3 * INSTALLMENT)] == [
        (loan.days_past_due, loan.bucket, loan.overdue_minor, loan.outstanding_minor) for loan in last.loans
    ]
    # 230 charged off: everything about the loan ends under that name; the income is still missing
    world.play(charged_off(230), until=231)
    ended = {(a.data.detector, a.data.resolution) for a in world.alerts if a.data.status.value == "resolved"}
    ended = {(detector, how) for detector, how in ended if detector in TOLD}
    assert {("missed_installment", "charged_off"), ("payment_ratio_drop", "charged_off")} == ended


def test_fifty_thousand_cured_after_the_collector() -> None:
    """The same borrower finds work again and pays two installments on day 150: all ends as cured or recovered."""
    # 115 no salary   120 due   121 alerts   145 salary   150 both paid   180 paid
    facts = [
        opened([30, 60, 90, 120, 150, 180], INSTALLMENT, principal_minor=5_000_000),
        *salaries(25, 55, 85, 145),
        *(paid(day, INSTALLMENT) for day in (30, 60, 90)),
        paid(150, 2 * INSTALLMENT),
        paid(180, INSTALLMENT),
    ]
    world = World(engine_of()).play(*facts, until=184)
    assert [
        ("income_missing", 121, "opened", 1),
        ("missed_installment", 121, "opened", 1),
        ("missed_installment", 125, "escalated", 5),
        ("missed_installment", 135, "escalated", 15),
        ("income_missing", 145, "resolved", 1),
        ("missed_installment", 150, "resolved", 15),
    ] == said_by(world)
    assert ["recovered", "cured"] == [a.data.resolution for a in world.alerts if a.data.detector in TOLD][-2:]


def test_five_hundred_thousand_from_several_platforms_then_overdue() -> None:
    """500,000 in all from several platforms within a week, the first installment never paid.

    Ours is 100,000 over 5 months; four other platforms ask on days 1-4 and a fifth on day 6.
    """
    # 0 ours   1 2 3 three others: watch   4   6 five: high   30 first due   31 FPD   60 second due
    others = [
        inquired(day, f"platform-{n}", amount_minor=10_000_000, currency="CNY") for n, day in enumerate((1, 2, 3, 4, 6))
    ]
    facts = [
        opened([30, 60, 90, 120, 150], 2_000_000, principal_minor=10_000_000),
        inquired(0.1, "own"),
        *others,
        booked(0.2, 10_000_000, 10_050_000),
        *(booked(day + 0.2, 8_000_000, 10_050_000 + n * 8_000_000) for n, day in enumerate((1, 2, 3, 4, 6), 1)),
        booked(7, -50_000_000, 50_000),
        paid(30, 2_000_000, payment="debit-1"),
        returned(31, "debit-1"),
        returned(33, "debit-2"),
    ]
    world = World(engine_of()).play(*facts, until=93)
    assert [
        ("multi_lending_spike", 3, "opened", 1),  # three in seven days: watch
        ("multi_lending_spike", 6, "escalated", 2),  # five in seven days: high
        ("first_payment_default", 31, "opened", 1),  # the debit of day 30 came back
        ("returned_payment", 33, "opened", 2),  # two in a row
        ("first_payment_default", 37, "escalated", 7),
        ("multi_lending_spike", 38, "resolved", 2),  # below every level from 31 on, and a week of calm
        ("first_payment_default", 60, "escalated", 30),
        ("missed_installment", 61, "opened", 1),  # the second
        ("payment_ratio_drop", 61, "opened", 2),  # nothing of two paid
        ("missed_installment", 65, "escalated", 5),
        ("missed_installment", 75, "escalated", 15),
        ("first_payment_default", 91, "escalated", 61),
        ("missed_installment", 91, "escalated", 31),
    ] == said_by(world)
    severities = [a.data.severity.value for a in world.alerts if a.data.detector == "multi_lending_spike"]
    assert ["watch", "high"] == severities[:2]


def test_cash_flow_break_told_late_takes_everything_back() -> None:
    """The 4th installment was paid in time after all, booked five days later: nothing of the alarm stands."""
    # 120 due and valued   121 alert   125 booked: withdrawn
    facts = [
        opened([30, 60, 90, 120, 150, 180], INSTALLMENT),
        *(paid(day, INSTALLMENT) for day in (30, 60, 90)),
        paid(125.1, INSTALLMENT, valued=120, payment="late"),
    ]
    world = World(engine_of()).play(*facts, until=130)
    assert [
        ("missed_installment", 121, "opened", 1),
        ("missed_installment", 125, "escalated", 5),
        ("missed_installment", 125, "withdrawn", 5),
    ] == said_by(world)


__all__ = ["at"]
