from __future__ import annotations

import pytest

from tests.builders import World, engine_of, opened, paid, returned

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(("sent", "carried"), [(TRACE, TRACE), (None, None), ("Erika Mustermann", None)])
def test_an_alert_carries_the_trace_of_the_event_that_raised_it(sent: str | None, carried: str | None) -> None:
    """And none that is not in the form of one."""
    back = returned(31, "p").model_copy(update={"traceparent": sent})
    world = World(engine_of()).play(opened([30, 60]), paid(29, payment="p"), back, until=31)
    assert world.alerts
    assert {carried} == {alert.traceparent for alert in world.alerts}


def test_an_alert_by_silence_has_no_trace_of_an_event() -> None:
    """No event raised it."""
    first = opened([30, 60]).model_copy(update={"traceparent": TRACE})
    world = World(engine_of()).play(first, until=40)
    assert {None} == {alert.traceparent for alert in world.alerts if alert.data.detector == "first_payment_default"}
