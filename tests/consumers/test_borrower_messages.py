from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from schemas.alerts import Measure, Risk
from streams.casework.contact import Channel, Holds
from streams.casework.ladder import Ladder
from streams.casework.outreach import message_key
from streams.casework.packs import load_packs
from streams.consumers.case_creator import CaseCreator
from streams.consumers.contact_policy import ContactPolicy
from streams.consumers.loop import Batch
from streams.errors import Rejected, Unavailable
from streams.stores.cases import CaseStore
from tests.consumers.borrower_desk import ADDRESSES, LENDER, MONDAY, BorrowerDesk, borrower_desk
from tests.consumers.builders import START, alert, episode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.stores.messages import Message

assert START == MONDAY


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries in quick succession come at once, and a pause is looked for at every message."""
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_FIRST", 0.0)
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_AT_ONCE_MAX", 0.0)
    monkeypatch.setattr("streams.consumers.delivery.PAUSE_SECONDS", 0.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[BorrowerDesk]:
    """All four channels are on; one borrower is known, with consent for all of them."""
    with borrower_desk(tmp_path, "sms", "push", "email", "call") as desk:
        desk.knows()
        yield desk


def missed(dpd: int = 1, **more: object) -> Alert:
    """An installment is unpaid for so many days."""
    return alert(step=dpd, dpd=dpd, severity="info" if dpd < 5 else "high", **more)  # type: ignore[arg-type]


def risky(stance: str) -> Alert:
    """The borrower's risk is high, and why."""
    return alert(
        detector="borrower_risk", loan=None, step=2, severity="high", risk=Risk(score=300, tier="high", stance=stance)
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        (missed(1), {"sms": "overdue_reminder"}),
        (missed(5, revision=2), {"call": "automatic_call"}),
        (missed(15, revision=3), {}),
        (missed(31, revision=4), {}),
        (missed(1, detector="first_payment_default"), {"sms": "overdue_reminder"}),
        (missed(7, detector="first_payment_default"), {"call": "automatic_call"}),
        (missed(30, detector="first_payment_default"), {}),
        (alert(detector="upcoming_installment", dpd=0, severity="info"), {"push": "upcoming_reminder"}),
        (risky("unable"), {"email": "offer_plan"}),
        (risky("unwilling"), {}),
        (missed(1, mode="shadow"), {}),
        (missed(1, mode="history"), {}),
        (missed(1, status="resolved"), {}),
        (alert(detector="income_drop", severity="high"), {}),
        (alert(detector="cohort_drift", scope="cohort", borrower="product:cash", loan=None, severity="high"), {}),
    ],
)
async def test_which_alert_sends_what(desk: BorrowerDesk, told: Alert, sent: dict[str, str]) -> None:
    """The mild steps of the ladder go out by themselves, on one channel; all others are a person's."""
    desk.take(told)

    await desk.deliver()

    assert sent == {message.channel: message.step for message in desk.of(told) if message.status == "sent"}
    assert sum(map(len, (hole.taken for hole in desk.holes.values()))) == len(sent)


async def test_no_channel_is_on_by_itself(tmp_path: Path) -> None:
    """Without a channel that is switched on, nothing is even taken down."""
    with borrower_desk(tmp_path) as desk:
        desk.knows()
        desk.take(missed())

        assert [] == desk.of(missed())


async def test_the_text_is_written_and_the_address_read_when_it_is_sent(desk: BorrowerDesk) -> None:
    """What waits in the database has figures only; what goes out is in the borrower's language, to their address."""
    desk.take(missed())
    [waiting] = desk.of(missed())

    await desk.deliver()

    [parcel] = desk.holes["sms"].parcels
    assert {"amount_minor": 1000, "currency": "CNY", "due": "2026-03-01", "days": 1} == orjson.loads(waiting.body)
    assert ADDRESSES[Channel.SMS] == parcel.to
    assert parcel.body.startswith(f"{LENDER}: your installment due on March 1, 2026 is not paid yet, CN¥10.00 is open.")
    assert parcel.body.endswith("Reply STOP to opt out.")
    assert message_key(str(missed().id), "overdue_reminder", "sms") == parcel.key
    assert ADDRESSES[Channel.SMS] not in repr(parcel)


async def test_an_alert_that_comes_again_is_one_message(desk: BorrowerDesk) -> None:
    """In the same batch, in a later one, and after a restart."""
    desk.take(missed(), missed())
    await desk.deliver()
    desk.restart()
    desk.take(missed())

    await desk.deliver(hours=1)

    assert 1 == len(desk.holes["sms"].taken)


async def test_the_same_step_is_taken_once_for_an_episode(desk: BorrowerDesk) -> None:
    """Two revisions that lead to the same step are one message."""
    desk.take(*episode("b-1", [("opened", "info", 1), ("escalated", "info", 2)], dpd=1))

    await desk.deliver(hours=3)

    assert 1 == len(desk.holes["sms"].taken)


async def test_outside_the_hours_it_waits_until_they_begin(desk: BorrowerDesk) -> None:
    """At 23:00 where the borrower lives nothing goes out; at 08:00 it does; the refusal has its rule."""
    desk.now = MONDAY.replace(hour=22)
    desk.take(missed())
    await desk.deliver(hours=2)
    assert ([], ["hours"]) == (desk.holes["sms"].taken, desk.rules())
    [waiting] = desk.of(missed())
    assert MONDAY + timedelta(hours=22) == waiting.not_before  # 08:00 in Berlin on Tuesday.

    await desk.deliver(hours=9)

    assert 1 == len(desk.holes["sms"].taken)
    assert 1.0 == desk.metrics.registry.get_sample_value(
        "ews_contact_refusals_total", {"channel": "sms", "rule": "hours"}
    )


async def test_the_rules_are_asked_at_every_try(desk: BorrowerDesk) -> None:
    """A provider that comes back after the hours gets nothing before they begin again."""
    desk.now = MONDAY.replace(hour=17, minute=40)  # 18:40 in Berlin, where the hours end at 19:00.
    desk.holes["sms"].fault = lambda *_: Unavailable("away")
    desk.take(missed())
    await desk.deliver(hours=2)
    desk.holes["sms"].fault = lambda *_: None

    await desk.deliver(hours=6)
    assert [] == desk.holes["sms"].taken
    await desk.deliver(hours=12)

    assert 1 == len(desk.holes["sms"].taken)
    assert 8 == desk.log.past("b-1", MONDAY)[0].at.astimezone(MONDAY.tzinfo).hour + 1


@pytest.mark.parametrize(
    ("channels", "sent", "rules"),
    [
        ((Channel.PUSH, Channel.EMAIL), "push", ["no_address"]),
        ((Channel.EMAIL,), "email", ["no_address", "no_address"]),
        ((), None, ["no_address", "no_address", "no_address"]),
    ],
)
async def test_without_an_address_the_step_goes_to_the_next_channel(
    tmp_path: Path, channels: tuple[Channel, ...], sent: str | None, rules: list[str]
) -> None:
    """In order of preference, each once, each refusal with its rule."""
    with borrower_desk(tmp_path, "sms", "push", "email") as desk:
        desk.knows(channels=channels)
        desk.take(missed())

        await desk.deliver(hours=1)

        assert {sent: 1} if sent else {} == {name: len(hole.taken) for name, hole in desk.holes.items() if hole.taken}
        assert rules == desk.rules()


async def test_nobody_is_contacted_without_a_record(tmp_path: Path) -> None:
    """One refusal, and no further channel is tried: the rule stands against them all."""
    with borrower_desk(tmp_path, "sms", "push", "email") as desk:
        desk.take(missed())

        await desk.deliver(hours=1)

        assert ({"sms": "refused"}, ["no_record"]) == (desk.ends(missed()), desk.rules())


async def test_a_provider_that_cannot_deliver_moves_the_step_on(desk: BorrowerDesk) -> None:
    """The number is dead: the log and the topic say so, and the next channel gets the step, under its own key."""
    desk.holes["sms"].fault = lambda *_: Rejected("the provider of sms answers 400")
    desk.take(missed())

    await desk.deliver(hours=1)

    assert {"sms": "rejected", "push": "sent"} == desk.ends(missed())
    dead = {one.channel.value: one.undeliverable_at is not None for one in desk.log.past("b-1", MONDAY)}
    assert {"sms": True, "push": False} == dead
    types = [orjson.loads(value)["type"] for value in desk.published()]
    assert ["ews.contact.undeliverable.v1", "ews.contact.attempted.v1"] == types


@pytest.mark.parametrize("status", ["resolved", "withdrawn"])
async def test_the_end_of_an_episode_ends_what_waits(desk: BorrowerDesk, status: str) -> None:
    """Who has paid in the night is not reminded in the morning."""
    desk.now = MONDAY.replace(hour=22)
    opened, ended = episode("b-1", [("opened", "info", 1), (status, "info", 1)], dpd=1)
    desk.take(opened)
    await desk.deliver(hours=1)

    desk.take(ended)
    await desk.deliver(hours=24)

    assert ({"sms": "superseded"}, []) == (desk.ends(opened), desk.holes["sms"].taken)


async def test_a_further_step_takes_the_place_of_one_that_waits(desk: BorrowerDesk) -> None:
    """And from 15 days on there is none: a collector has the case."""
    desk.holds = Holds(until=MONDAY + timedelta(hours=5))
    reminder, call = episode("b-1", [("opened", "info", 1), ("escalated", "watch", 5)], dpd=5)
    desk.take(reminder)
    await desk.deliver()
    desk.take(call)
    await desk.deliver(hours=1)
    assert ({"sms": "superseded"}, {"call": "waiting"}) == (desk.ends(reminder), desk.ends(call))

    desk.take(alert("escalated", revision=3, step=15, dpd=15))
    await desk.deliver(hours=24)

    assert {"call": "superseded"} == desk.ends(call)


async def test_what_ended_while_it_was_on_its_way_is_not_tried_again(desk: BorrowerDesk) -> None:
    """A message that failed comes back to the database after its episode was cured: it stays ended."""
    desk.take(missed())
    cured = alert("resolved", revision=2, dpd=1)

    def cure(*_: object) -> Exception:
        if not desk.of(cured):
            desk.take(cured)
        return Unavailable("away")

    desk.holes["sms"].fault = cure
    await desk.deliver(hours=2)

    assert {"sms": "superseded"} == desk.ends(missed())


async def test_what_is_not_worth_sending_any_more_expires(desk: BorrowerDesk) -> None:
    """After an outage of five days nobody is reminded of the first day."""
    desk.holes["sms"].fault = lambda *_: Unavailable("away")
    desk.take(missed())

    await desk.deliver(hours=100, minutes_a_turn=60)

    assert {"sms": "expired"} == desk.ends(missed())


async def test_who_cannot_pay_is_offered_a_plan_and_not_dunned(desk: BorrowerDesk) -> None:
    """In one batch with the reminder, and for two weeks after."""
    desk.take(risky("unable"), missed())
    await desk.deliver(hours=1)
    assert ({"email": "sent"}, {"sms": "refused"}) == (desk.ends(risky("unable")), desk.ends(missed()))
    assert ["unable_to_pay"] == desk.rules()

    later = missed(5, loan="l-2", hours=24 * 10)
    desk.now = MONDAY + timedelta(days=10)
    desk.take(later)
    await desk.deliver(hours=1)

    assert {"call": "refused"} == desk.ends(later)


@pytest.mark.parametrize(("mode", "sent"), [("live", "refused"), ("shadow", "sent")])
async def test_the_stance_counts_before_there_is_a_case(desk: BorrowerDesk, mode: str, sent: str) -> None:
    """As the case process has noted it; that of a detector on trial does not count."""
    stance = Risk(score=90, tier="watch", stance="unable")
    told = alert(detector="borrower_risk", loan=None, step=1, severity="watch", mode=mode, risk=stance)
    CaseCreator(CaseStore(desk.database), Ladder.standard(), desk.metrics).take(Batch("alerts", 0, 0, 1, (told,)))
    desk.take(missed())

    await desk.deliver()

    assert {"sms": sent} == desk.ends(missed())


async def test_a_dispute_stops_collection_and_not_service(desk: BorrowerDesk) -> None:
    """The reminder before the due day still goes out."""
    desk.holds = Holds(dispute=True)
    before = alert(
        detector="upcoming_installment", dpd=0, severity="info", measures=(Measure(name="due_minor", value=5_000),)
    )
    desk.take(missed(), before)

    await desk.deliver(hours=1)

    assert ({"sms": "refused"}, {"push": "sent"}) == (desk.ends(missed()), desk.ends(before))
    assert ["dispute"] == desk.rules()


async def test_a_cap_counts_what_the_same_pass_sends(desk: BorrowerDesk) -> None:
    """Of five calls that are due at once three go out where a pack has no wait: the rest waits for the next day."""
    desk.packs = load_packs(["cn"])
    desk.restart()
    calls = [missed(5, loan=f"l-{number}") for number in range(5)]
    desk.take(*calls)

    await desk.deliver(hours=1)

    assert 3 == len(desk.holes["call"].taken)
    assert {"contacts_per_day"} == set(desk.rules())


async def test_a_call_that_is_yet_to_be_dialled_holds_back_the_next(desk: BorrowerDesk) -> None:
    """Where a conversation bars further calls, a job that may become one does so too until its time is over."""
    calls = [missed(5, loan=f"l-{number}") for number in range(5)]
    desk.take(*calls)

    await desk.deliver(hours=1)

    assert 1 == len(desk.holes["call"].taken)
    assert {"after_conversation"} == set(desk.rules())


async def test_a_crash_before_the_send_counts_once(desk: BorrowerDesk) -> None:
    """The contact was written down, nothing went out: the next process sends it, and the log has one contact."""
    desk.take(missed())
    [message] = desk.of(missed())
    await desk.delivery._policy(message)
    desk.restart()

    await desk.deliver(hours=1)

    assert 1 == len(desk.holes["sms"].taken)
    assert [message.key] == [one.contact_id for one in desk.log.past("b-1", MONDAY)]


async def test_a_call_is_a_job_that_says_until_when(desk: BorrowerDesk) -> None:
    """Not beyond the permitted hours; what is said before it is known who has answered tells of no debt."""
    desk.now = MONDAY.replace(hour=16, minute=30)  # 17:30 in Berlin.
    desk.take(missed(5))

    await desk.deliver()

    [job] = desk.holes["call"].parcels
    assert MONDAY.replace(hour=17, minute=59) <= job.until <= MONDAY.replace(hour=18)  # type: ignore[operator]
    assert LENDER in job.body
    assert LENDER not in job.title
    assert "10" not in job.title


async def test_a_push_says_nothing(desk: BorrowerDesk) -> None:
    """It may be read over a shoulder."""
    before = alert(detector="upcoming_installment", dpd=0, severity="info")
    desk.take(before)

    await desk.deliver()

    [push] = desk.holes["push"].parcels
    assert ("You have a message", "Open the app to read it.") == (push.title, push.body)


async def test_borrowers_wait_until_the_opt_outs_are_read(desk: BorrowerDesk) -> None:
    """At the start an opt-out may still stand unread on the topic: nothing goes out before it is known."""
    desk.delivery.borrowers_wait = lambda: True
    desk.take(missed())
    await desk.deliver(hours=1)
    assert [] == desk.holes["sms"].taken

    desk.contacts.opt_out("b-1", Channel.SMS, desk.now, source="test")
    desk.delivery.borrowers_wait = lambda: False
    await desk.deliver(hours=1)

    assert {"sms": "refused", "push": "sent"} == desk.ends(missed())


async def test_a_borrower_whose_rules_cannot_be_read_holds_up_nobody(
    desk: BorrowerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who were asked about together with him are sent; his message waits."""
    desk.knows("b-1")
    desk.knows("b-2")
    asked = ContactPolicy._question

    def question(self: ContactPolicy, message: Message, facts: object) -> object:
        if message.borrower == "b-1":
            raise ZeroDivisionError
        return asked(self, message, facts)  # type: ignore[arg-type]

    monkeypatch.setattr(ContactPolicy, "_question", question)
    ill, well = (alert(borrower=borrower, step=5, dpd=5, severity="watch") for borrower in ("b-1", "b-2"))
    desk.take(ill, well)

    await desk.deliver()

    assert {"waiting"} == set(desk.ends(ill).values())
    assert {"sent"} == set(desk.ends(well).values())
