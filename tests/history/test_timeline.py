from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

from schemas.codec import encode
from schemas.events import InquiryMade
from streams.bootstrap.policy import load_policy
from streams.casework.timeline import Standing
from streams.engine.calendar import ms_of
from streams.errors import Unavailable
from streams.history.explain.material import Fact
from streams.history.files import read_events
from streams.history.timeline import Remembered, facts_in_file, facts_in_topics, of_file, timeline_of
from streams.kafka.topics import create_topics
from streams.local.loader import load
from streams.settings import load as load_settings
from tests.builders import at, booked, event, on, opened
from tests.history.timelines import a_view, events

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from schemas.events import Event
    from streams.casework.timeline import TimelineView


def test_it_says_of_each_installment_what_became_of_it() -> None:
    """Paid in time, late, unpaid and ahead, by value days; a returned payment pays nothing."""
    view = a_view()
    assert view is not None
    (loan,) = view.loans
    assert [(Standing.PAID, 0), (Standing.LATE, 30), (Standing.UNPAID, 20), (Standing.AHEAD, 0)] == [
        (line.standing, line.days_late) for line in loan.installments
    ]
    assert [None, on(42), None] == [one.returned_on for one in loan.received]


def test_days_past_due_are_those_of_the_engine() -> None:
    """They rise by one a day from the day after the due day until it is paid, and only days above 0 are told."""
    view = a_view()
    assert view is not None
    days = dict(view.loans[0].days_past_due)
    assert (1, 29, None, 1, 20) == (days[on(41)], days[on(69)], days.get(on(70)), days[on(81)], days[on(100)])
    assert on(100) == max(days) == view.last


def test_it_knows_balances_and_who_asked() -> None:
    """What accounts of a currency held together at the end of a day; each inquiry with its lender."""
    view = a_view()
    assert view is not None
    assert ((on(5), 80_000), (on(20), 20_000), (on(45), -10_000)) == view.balances[0].days
    assert [("bank-1", True), ("bank-2", False), ("bank-3", True)] == [(x.lender, x.hard) for x in view.inquiries]


def test_accounts_are_added_up() -> None:
    """An account of which nothing is told keeps what it held."""
    told = [booked(1, 1_000, 5_000, account="a-1"), booked(2, 1_000, 7_000, account="a-2")]
    view = _of([opened([10]), *told])
    assert view is not None
    assert (5_000, 12_000) == tuple(value for _, value in view.balances[0].days)


def test_a_file_is_searched_for_the_borrower_alone(tmp_path: Path) -> None:
    """Others' events, and events that merely name the borrower, are left out; so is what cannot be read."""
    other = event(InquiryMade, at(3), subject="b-2", lender_token="b-1", kind="hard")
    lines = [encode(one) for one in (*events(), other)]
    plain, packed = tmp_path / "events.jsonl", tmp_path / "events.jsonl.gz"
    content = b"\n".join([*lines, b'{"subject": "b-1", "time": "nonsense"}', b'{"b-1'])
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    for file in (plain, packed):
        assert len(events()) == len(facts_in_file(file, "b-1"))
    made, straight = of_file(plain, load_policy(None))("b-1"), a_view()
    assert made is not None
    assert straight is not None
    assert (straight.loans, straight.balances, straight.inquiries) == (made.loans, made.balances, made.inquiries)
    assert of_file(plain, load_policy(None))("b-9") is None


def test_what_was_read_is_kept_for_a_while() -> None:
    """A page that is looked at again reads nothing anew; a source that is away is not asked for everybody."""
    asked: list[str] = []

    def read(borrower: str) -> TimelineView | None:
        asked.append(borrower)
        if borrower == "b-away":
            raise Unavailable("gone")
        return a_view()

    kept = Remembered(read)
    first = kept("b-1")
    assert first is not None
    assert first is kept("b-1")
    assert kept("b-away") is None
    assert kept("b-2") is None
    assert first is kept("b-1")
    assert ["b-1", "b-away"] == asked


async def test_topics_are_read_to_their_end_and_no_further_back(broker: str, prefix: str, tmp_path: Path) -> None:
    """Transactions and bureau events from a moment on, servicing from the beginning: loans are told only once."""
    settings = load_settings(bootstrap_servers=broker, topic_prefix=prefix, partitions=2)
    await create_topics(settings)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(encode(one) for one in sorted(events(), key=lambda one: one.time)))
    await load(settings, read_events([file]), until_ms=None, progress=lambda _count: None)
    since_ms = ms_of(at(55))
    found = await asyncio.to_thread(facts_in_topics, settings, "b-1", since_ms=since_ms)
    assert 7 == len(found)
    view = timeline_of("b-1", found, load_policy(None))
    assert view is not None
    assert ["bank-2", "bank-3"] == [one.lender for one in view.inquiries]
    assert 4 == len(view.loans[0].installments)
    assert [] == await asyncio.to_thread(facts_in_topics, settings, "b-9", since_ms=0)


def _of(told: Sequence[Event]) -> TimelineView | None:
    return timeline_of("b-1", [Fact(one, ms_of(one.time), "") for one in told], load_policy(None))


def test_without_events_there_is_none() -> None:
    """A borrower of whom nothing is told has no timeline."""
    assert timeline_of("b-1", [], load_policy(None)) is None
