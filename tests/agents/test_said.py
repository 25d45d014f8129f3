from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture

from schemas.codec import encode
from streams.agents import said
from streams.engine.drain import DeadLetter, Effects
from tests.consumers.builders import alert

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def letter(offset: int) -> DeadLetter:
    """A record that was refused, with a person in it."""
    headers = {"reason": "invalid", "detail": "data: missing", "topic": "bureau", "partition": "3"}
    pairs = [(name, value.encode()) for name, value in (headers | {"offset": str(offset)}).items()]
    return DeadLetter(b"b-1", b'{"name": "Erika Mustermann"}', pairs)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The settings of logs are the process's: they are put back."""
    yield
    structlog.reset_defaults()


def lines(effects: Effects, level: int | None) -> list[Any]:
    """What is logged of them from a level on; None where nobody has set up logs."""
    capture = LogCapture()
    if level is None:
        structlog.reset_defaults()
    else:
        structlog.configure(processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(level))
    said.say(effects, 3)
    return capture.entries


def test_a_refused_record_is_named_by_its_place() -> None:
    """Topic, partition, offset and reason; nothing of its key and bytes."""
    [line] = lines(Effects(dead_letters=[letter(17)]), logging.INFO)
    place = {"reason": "invalid", "topic": "bureau", "partition": "3", "offset": "17"}
    assert {"event": "event.refused", "log_level": "warning"} | place == line


def test_a_broken_producer_does_not_fill_the_disk() -> None:
    """Of a drain a few lines and the number of the others."""
    told = lines(Effects(dead_letters=[letter(n) for n in range(400)]), logging.INFO)
    assert said.REFUSED_LINES_MAX + 1 == len(told)
    assert 400 - said.REFUSED_LINES_MAX == told[-1]["records"]


def test_an_alert_is_named_by_its_ids_and_trace_at_debug_only() -> None:
    """With the events behind it, and no borrower."""
    raised = alert().model_copy(update={"traceparent": TRACE})
    effects = Effects(alerts=[(b"b-1", encode(raised))])
    assert [] == lines(effects, logging.INFO)
    assert [] == lines(effects, None)
    [line] = lines(effects, logging.DEBUG)
    assert (str(raised.id), ["e-1"], TRACE.split("-")[1]) == (line["alert_id"], line["evidence"], line["trace_id"])
    assert "b-1" not in line.values()
