"""What is known of a borrower does not depend on the order in which it was told, nor on how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contact import Channel, IncomingRecord, Kind, NewAddress, PastContact
from streams.stores.contact_log import ContactLog, note
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
CIPHER = AddressCipher(new_key())
HOURS = st.integers(0, 6)
TOLD = st.lists(
    st.tuples(st.sampled_from(["out", "consent"]), st.sampled_from([None, Channel.SMS]), HOURS), min_size=1, max_size=6
)
FACTS = st.lists(st.tuples(st.sampled_from(["attempted", "reached", "undeliverable"]), HOURS), min_size=1, max_size=6)


def hour(number: int) -> datetime:
    """So many hours after NOW."""
    return NOW + timedelta(hours=number)


def known_after(told: Sequence[tuple[str, Channel | None, int]]) -> tuple[datetime | None, ...]:
    """Since when the borrower is out of everything and of text messages, after opt-outs and consents in this order."""
    with open_database("sqlite://", CONTACTS) as database:
        store = ContactStore(database, CIPHER)
        address = NewAddress(channel=Channel.SMS, address="+8613800138012")
        store.put(IncomingRecord(borrower="b", zone="UTC", language="en", source="x", addresses=(address,)), NOW)
        for what, channel, when in told:
            if what == "out":
                store.opt_out("b", channel, hour(when), source="x")
            else:
                store.consent("b", channel, hour(when), source="x")
        record = store.record("b")
        assert record is not None
        return record.opted_out_at, record.addresses[0].opted_out_at


def last_word(told: Sequence[tuple[str, Channel | None, int]], channel: Channel | None) -> datetime | None:
    """The slow reading: the latest opt-out, unless a consent is later."""
    outs = [hour(when) for what, of, when in told if what == "out" and of == channel]
    given = [hour(when) for what, of, when in told if what == "consent" and of == channel]
    return None if not outs or (given and max(given) > max(outs)) else max(outs)


@settings(max_examples=40, deadline=None)
@given(told=TOLD, data=st.data())
def test_the_last_word_counts_in_whatever_order_it_is_told(
    told: list[tuple[str, Channel | None, int]], data: st.DataObject
) -> None:
    """Opt-outs and consents, shuffled and repeated, end as the slow reading says."""
    shuffled = data.draw(st.permutations([*told, told[0]]))

    assert (last_word(told, None), last_word(told, Channel.SMS)) == known_after(shuffled)


@settings(max_examples=40, deadline=None)
@given(facts=FACTS, data=st.data())
def test_a_contact_is_the_same_in_whatever_order_it_is_told(facts: list[tuple[str, int]], data: st.DataObject) -> None:
    """The earliest time of each kind stands, shuffled and repeated."""
    shuffled = data.draw(st.permutations([*facts, facts[0]]))
    with open_database("sqlite://") as database:
        with database.write() as connection:
            for what, when in shuffled:
                note(connection, fact(what, hour(when)), "x")
        [kept] = ContactLog(database).past("b", NOW)

    def earliest(*kinds: str) -> datetime | None:
        return min((hour(when) for what, when in facts if what in kinds), default=None)

    assert earliest("attempted", "reached", "undeliverable") == kept.at
    assert (earliest("reached"), earliest("undeliverable")) == (kept.reached_at, kept.undeliverable_at)


def fact(what: str, at: datetime) -> PastContact:
    """A fact about the one contact."""
    return PastContact(
        contact_id="c",
        borrower="b",
        loan=None,
        channel=Channel.SMS,
        kind=Kind.COLLECTION,
        at=at,
        reached_at=at if what == "reached" else None,
        undeliverable_at=at if what == "undeliverable" else None,
    )
