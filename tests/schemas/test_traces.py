from __future__ import annotations

import pytest

from schemas import traces
from tests.consumers.builders import alert

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Erika Mustermann",
        TRACE.upper(),
        f"{TRACE}\r\nx: y",
        f" {TRACE}",
        f"ff{TRACE[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_what_is_not_in_the_form_is_taken_for_absent(text: str | None) -> None:
    """It would stand in headers and logs, and may hold anything: a name, a second header."""
    assert traces.valid(text) is None
    assert traces.trace_id(text) is None


def test_what_is_in_the_form_is_carried_unchanged() -> None:
    """The trace of the event that raised an alert is that of everything that follows."""
    raised = alert().model_copy(update={"traceparent": TRACE})
    assert TRACE == traces.of_alert(raised) == traces.valid(TRACE)
    assert "4bf92f3577b34da6a3ce929d0e0e4736" == traces.trace_id(TRACE)


def test_an_alert_by_silence_begins_a_trace_that_a_replay_begins_too() -> None:
    """Its id is the alert's own, which is derived from the data."""
    told = traces.of_alert(alert())
    assert told == traces.of_alert(alert()) == traces.valid(told)
    assert alert().id.hex == traces.trace_id(told)
    assert told != traces.of_alert(alert(revision=2))
