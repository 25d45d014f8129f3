from __future__ import annotations

from schemas import events
from tests.builders import SERVICING, World, at, engine_of, event, on, paid, schedule


def test_a_running_loan_paid_on_the_day_it_was_taken_on_is_cured_and_not_withdrawn() -> None:
    """The run ended on the very day from which the loan is watched: it was true, so it is resolved."""
    # day  -10 due 1 (unpaid) ... 0 taken on, alarm ... 0 paid
    taken_on = event(
        events.LoanSnapshot, at(0, 5), source=SERVICING, loan="l-1", currency="CNY", servicing_zone="Asia/Shanghai",
        product="cash", channel="app", principal_minor=2_000, as_of=on(0).isoformat(), schedule=schedule([-10, 20]),
    )  # fmt: skip
    world = World(engine_of("first_payment_default")).play(taken_on, paid(0), until=2)
    assert [("opened", 7), ("resolved", 7)] == [(status, step) for _, _, status, step in world.said()]
    assert world.alerts[-1].data.resolution == "cured"
