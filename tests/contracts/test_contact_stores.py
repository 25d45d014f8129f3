"""One suite for both databases: how borrowers are reached, and what was tried."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from schemas import events
from schemas.codec import encode
from streams.consumers.contact_log import ContactKeeper, read_contact
from streams.consumers.loop import Batch
from streams.errors import Misconfigured, NotFound
from streams.metrics import Metrics
from streams.stores import contact_tables
from streams.stores.cipher import AddressCipher, AddressUnreadable, new_key
from streams.stores.contact import Attempt, Channel, IncomingRecord, Kind, NewAddress, PastContact, Refusal
from streams.stores.contact_log import ContactLog, note
from streams.stores.contacts import ContactStore, Put
from streams.stores.database import CONTACTS, Database, migrate, open_database
from streams.stores.offsets import OffsetMovedError
from tests.builders import event, tried
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
PHONE, MAIL = "+8613800138012", "wei@mail.example"


def hours(number: float) -> datetime:
    """So many hours after NOW."""
    return NOW + timedelta(hours=number)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes empty databases of each kind."""
    if request.param == "sqlite":
        return lambda name: f"sqlite:///{tmp_path}/{name}.db"
    request.getfixturevalue("docker")
    server = request.getfixturevalue("postgres")
    return lambda _: new_postgres(server)


@pytest.fixture
def database(new_url: Callable[[str], str]) -> Iterator[Database]:
    """An empty contact store."""
    with open_database(new_url("contacts"), CONTACTS) as opened:
        yield opened


@pytest.fixture
def cases(new_url: Callable[[str], str]) -> Iterator[Database]:
    """An empty database of cases."""
    with open_database(new_url("cases")) as opened:
        yield opened


KEY = new_key()


@pytest.fixture
def store(database: Database) -> ContactStore:
    """A contact store with a key."""
    return ContactStore(database, AddressCipher(KEY))


def phone(address: str = PHONE, **more: object) -> NewAddress:
    """A number for text messages, agreed to."""
    values = {"channel": Channel.SMS, "address": address, "consented_at": NOW, "consent_source": "contract"}
    return NewAddress(**(values | more))  # type: ignore[arg-type]  # the test's own values


def incoming(*addresses: NewAddress, borrower: str = "b-1", **more: object) -> IncomingRecord:
    """A record as it is told."""
    values = {"borrower": borrower, "zone": "Asia/Shanghai", "language": "zh", "source": "crm", "addresses": addresses}
    return IncomingRecord(**(values | more))  # type: ignore[arg-type]


def test_a_record_comes_back_as_it_was_told(store: ContactStore) -> None:
    """Every field survives the database, and addresses come in the order in which they were given."""
    told = incoming(
        phone(third_party=True),
        phone(MAIL, channel=Channel.EMAIL, consented_at=None),
        packs=("cn", "us"),
        country="US-CA",
        preferred=(time(22), time(6, 30)),
    )

    assert store.put(told, NOW) is Put.NEW

    record = store.record("b-1")
    assert record is not None
    assert ("Asia/Shanghai", "zh", ("cn", "us"), "US-CA") == (
        record.zone,
        record.language,
        record.packs,
        record.country,
    )
    assert (time(22), time(6, 30)) == record.preferred
    assert [(Channel.SMS, NOW, True), (Channel.EMAIL, None, False)] == [
        (a.channel, a.consented_at, a.third_party) for a in record.addresses
    ]
    assert [PHONE, MAIL] == [store.reveal("b-1", a.address_id) for a in record.addresses]
    assert [PHONE, MAIL] == [held.address for held in store.revealed("b-1")]
    assert "contract" == store.revealed("b-1")[0].consent_source


def test_nothing_is_known_of_a_stranger(store: ContactStore) -> None:
    """There is no record, and no address to reveal."""
    assert store.record("b-1") is None
    with pytest.raises(NotFound):
        store.reveal("b-1", "x")


def test_an_address_is_revealed_to_its_own_borrower_only(store: ContactStore) -> None:
    """An address id with another borrower's token finds nothing."""
    store.put_all([incoming(phone()), incoming(phone("+8613900139000"), borrower="b-2")], NOW)
    other = store.record("b-2")
    assert other is not None

    with pytest.raises(NotFound):
        store.reveal("b-1", other.addresses[0].address_id)


def test_said_again_it_changes_nothing(store: ContactStore) -> None:
    """The same record twice is one; an address keeps its id; more of it is a change."""
    store.put(incoming(phone()), NOW)
    before = store.record("b-1")

    assert store.put(incoming(phone()), hours(1)) is Put.SAME
    assert before == store.record("b-1")
    assert store.put(incoming(phone(), zone="Asia/Urumqi"), hours(2)) is Put.CHANGED
    assert store.put(incoming(phone("+8613900139000"), zone="Asia/Urumqi"), hours(2)) is Put.CHANGED
    assert {"records": 1, "addresses": 2, "opt_outs": 0} == store.counts()


def test_rows_of_one_batch_are_one_record(store: ContactStore) -> None:
    """Several records of a borrower in one batch add up."""
    done = store.put_all([incoming(phone()), incoming(phone(MAIL, channel=Channel.EMAIL)), incoming(phone())], NOW)

    assert [Put.NEW, Put.CHANGED, Put.SAME] == done
    assert 2 == store.counts()["addresses"]


def test_a_batch_is_all_or_nothing(store: ContactStore) -> None:
    """A fault in a batch leaves no part of it."""
    broken = incoming(phone(channel=None), borrower="b-2")

    with pytest.raises(AttributeError):
        store.put_all([incoming(phone()), broken], NOW)

    assert store.record("b-1") is None


def test_the_later_consent_counts(store: ContactStore) -> None:
    """An older list does not take a consent back to an earlier day, nor away."""
    store.put(incoming(phone(consented_at=hours(5), consent_source="call")), NOW)
    store.put(incoming(phone(consented_at=NOW)), NOW)
    store.put(incoming(phone(consented_at=None)), NOW)

    [held] = store.revealed("b-1")
    assert (hours(5), "call") == (held.known.consented_at, held.consent_source)


def outs(store: ContactStore) -> tuple[object, ...]:
    """Since when the borrower is out of everything, and of each address."""
    record = store.record("b-1")
    assert record is not None
    return record.opted_out_at, *(address.opted_out_at for address in record.addresses)


def test_an_opt_out_is_of_its_channel(store: ContactStore) -> None:
    """Another channel stays open, and an opt-out of a channel without an address is known too."""
    store.put(incoming(phone(), phone(MAIL, channel=Channel.EMAIL)), NOW)

    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")
    store.opt_out("b-1", Channel.VISIT, hours(1), source="dialler")

    assert (None, hours(1), None) == outs(store)
    record = store.record("b-1")
    assert record is not None
    assert (Channel.SMS, Channel.VISIT) == record.opted_out


def test_an_opt_out_before_the_record_holds(store: ContactStore) -> None:
    """Whoever opted out before anything was known of them is out when the record comes."""
    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")
    store.opt_out("b-1", None, hours(2), source="dialler")

    store.put(incoming(phone()), hours(3))

    assert (hours(2), hours(1)) == outs(store)


def test_an_opt_out_outlives_the_same_list(store: ContactStore) -> None:
    """A list that knows nothing of the opt-out does not undo it; one with a later consent does."""
    store.put(incoming(phone()), NOW)
    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")

    store.put(incoming(phone()), hours(2))
    assert (None, hours(1)) == outs(store)

    store.put(incoming(phone(consented_at=hours(2))), hours(2))
    assert (None, None) == outs(store)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 2, 3, 1, 3)])
def test_opt_outs_and_consents_come_in_any_order(store: ContactStore, order: tuple[int, ...]) -> None:
    """What was said last counts, in whatever order and however often it is told."""
    store.put(incoming(phone()), NOW)
    told = {
        1: lambda: store.opt_out("b-1", Channel.SMS, hours(1), source="dialler"),
        2: lambda: store.consent("b-1", Channel.SMS, hours(2), source="call"),
        3: lambda: store.opt_out("b-1", Channel.SMS, hours(3), source="dialler"),
    }

    for number in order:
        told[number]()

    assert (None, hours(3)) == outs(store)


def test_a_consent_ends_an_opt_out(store: ContactStore) -> None:
    """Of a channel by a consent to it; from everything only by taking just that back."""
    store.put(incoming(phone(), phone("+8613900139000", third_party=True)), NOW)
    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")
    store.opt_out("b-1", None, hours(1), source="dialler")

    assert 1 == store.consent("b-1", Channel.SMS, hours(2), source="call")
    assert (hours(1), None, hours(1)) == outs(store)
    assert 0 == store.consent("b-1", None, hours(2), source="call")
    assert (None, None, hours(1)) == outs(store)
    store.opt_out("b-1", None, hours(3), source="dialler")
    assert (hours(3), None, hours(1)) == outs(store)


def test_an_opt_out_of_a_list_is_kept(store: ContactStore) -> None:
    """A list may say that the borrower has opted out of everything."""
    store.put(incoming(phone(), opted_out_at=hours(-1)), NOW)

    assert store.put(incoming(phone(), opted_out_at=hours(-1)), NOW) is Put.SAME
    assert store.put(incoming(phone(), opted_out_at=hours(1)), NOW) is Put.CHANGED
    assert (hours(1), None) == outs(store)


def test_a_long_name_of_a_source_is_cut_off(store: ContactStore) -> None:
    """A file or an account may be called anything; no import fails for it."""
    assert store.put(incoming(phone(), source="x" * 300, opted_out_at=NOW), NOW) is Put.NEW


def test_erasing_takes_record_and_addresses(store: ContactStore) -> None:
    """What is left is a token among those who opted out; a second erasure finds nothing."""
    store.put_all([incoming(phone()), incoming(phone(), borrower="b-2")], NOW)
    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")

    erased = store.erase("b-1", hours(2))

    assert (True, 1) == (erased.record, erased.addresses)
    assert store.record("b-1") is None
    assert {"records": 1, "addresses": 1, "opt_outs": 1} == store.counts()
    again = store.erase("b-1", hours(3))
    assert (False, 0) == (again.record, again.addresses)
    assert hours(2) == store.erased_at("b-1")


def test_an_erased_borrower_does_not_come_back_by_the_way(store: ContactStore) -> None:
    """A list from before says it in vain, unless it is meant; the opt-out holds then as well."""
    store.put(incoming(phone()), NOW)
    store.opt_out("b-1", Channel.SMS, hours(1), source="dialler")
    store.erase("b-1", hours(2))

    assert store.put(incoming(phone()), hours(3)) is Put.ERASED
    assert store.record("b-1") is None
    assert store.put(incoming(phone()), hours(3), again=True) is Put.NEW
    assert (None, hours(1)) == outs(store)
    assert store.put(incoming(phone()), hours(3)) is Put.SAME


def test_an_address_is_nowhere_in_the_database(store: ContactStore) -> None:
    """No column of any table holds it, nor any part that would tell it."""
    store.put(incoming(phone(), phone(MAIL, channel=Channel.EMAIL)), NOW)

    with store.database.read() as connection:
        held = [
            str(value)
            for table in contact_tables.metadata.sorted_tables
            for row in connection.execute(table.select())
            for value in row
        ]

    assert not [value for value in held if PHONE[-8:] in value or "wei" in value]


def test_addresses_are_in_no_representation(store: ContactStore) -> None:
    """Values that hold an address, and the cipher that holds the key, do not show it."""
    store.put(incoming(phone()), NOW)
    cipher = AddressCipher(KEY)

    assert PHONE not in repr(incoming(phone()))
    assert PHONE not in repr(store.revealed("b-1"))
    assert KEY not in repr(cipher) + repr(vars(cipher))


def test_an_error_of_the_database_shows_no_value(store: ContactStore) -> None:
    """What goes wrong in a statement is told without what was to be written."""
    row = {"borrower": "b-1", "channel": "sms", "opted_out_at": NOW, "source": "a secret"}

    with pytest.raises(IntegrityError) as fault, store.database.write() as connection:
        connection.execute(contact_tables.opt_outs.insert(), [row, row])

    assert "a secret" not in str(fault.value)


def test_without_a_key_there_are_records_and_no_addresses(store: ContactStore) -> None:
    """Rules can be checked without the key; to read or keep an address is refused in one line."""
    store.put(incoming(phone()), NOW)
    blind = ContactStore(store.database)
    record = blind.record("b-1")
    assert record is not None

    for attempt in (
        lambda: blind.reveal("b-1", record.addresses[0].address_id),
        lambda: blind.revealed("b-1"),
        lambda: blind.put(incoming(phone()), NOW),
        blind.check_key,
    ):
        with pytest.raises(Misconfigured, match="EWS_CONTACTS_KEY"):
            attempt()


def test_another_key_is_refused_before_anything_is_written(store: ContactStore) -> None:
    """Whoever has the wrong key can neither read addresses nor add some under their own."""
    store.put(incoming(phone()), NOW)
    wrong = ContactStore(store.database, AddressCipher(new_key()))

    with pytest.raises(Misconfigured, match="another key"):
        wrong.check_key()
    with pytest.raises(Misconfigured, match="another key"):
        wrong.put(incoming(phone(), borrower="b-2"), NOW)
    with pytest.raises(AddressUnreadable, match="cannot be decrypted"):
        wrong.revealed("b-1")

    assert {"records": 1, "addresses": 1, "opt_outs": 0} == store.counts()


def test_keys_are_rotated(store: ContactStore) -> None:
    """With the new key in front everything is read; after the rotation the old one is no longer needed."""
    store.put_all([incoming(phone(), borrower=f"b-{number}") for number in range(1200)], NOW)
    new = new_key()
    both = ContactStore(store.database, AddressCipher(f"{new}, {KEY}"))
    seen: list[int] = []
    assert PHONE == both.revealed("b-7")[0].address

    done = both.rekey(seen.append)

    assert (1200, ()) == (done.addresses, done.unreadable)
    assert [500, 1000, 1200] == seen
    alone = ContactStore(store.database, AddressCipher(new))
    alone.check_key()
    assert PHONE == alone.revealed("b-7")[0].address
    with pytest.raises(Misconfigured):
        store.check_key()


def test_a_rotation_says_what_it_could_not_read(store: ContactStore) -> None:
    """An address that was spoilt stays as it is and is named; the others are rotated, the older key still asked for."""
    store.put_all([incoming(phone()), incoming(phone(), borrower="b-2")], NOW)
    spoil(store, "UPDATE contact_addresses SET ciphertext = 'gAAAAA' WHERE borrower = 'b-1'")
    record = store.record("b-1")
    assert record is not None

    done = ContactStore(store.database, AddressCipher(f"{new_key()},{KEY}")).rekey()

    assert (1, (record.addresses[0].address_id,)) == (done.addresses, done.unreadable)
    store.check_key()


def spoil(store: ContactStore, crime: str) -> None:
    """Change the database behind the store's back."""
    with store.database.write() as connection:
        connection.execute(text(crime))


SWAP = (
    "UPDATE contact_addresses SET ciphertext = (SELECT o.ciphertext FROM contact_addresses o WHERE o.borrower = 'b-2')"
    " WHERE borrower = 'b-1'"
)


@pytest.mark.parametrize(
    "crime",
    [
        SWAP,
        "UPDATE contact_addresses SET borrower = CASE borrower WHEN 'b-1' THEN 'b-2' ELSE 'b-1' END",
        "UPDATE contact_addresses SET channel = 'call'",
        "UPDATE contact_addresses SET ciphertext = 'x' || substr(ciphertext, 2)",
        "UPDATE contact_addresses SET ciphertext = ''",
    ],
)
def test_an_address_that_was_moved_or_changed_is_found(store: ContactStore, crime: str) -> None:
    """A ciphertext of another row, borrower or channel is never taken for this one's."""
    store.put_all([incoming(phone()), incoming(phone("+8613900139000"), borrower="b-2")], NOW)

    spoil(store, crime)

    with pytest.raises(AddressUnreadable) as refused:
        store.revealed("b-1")
    assert "139001" not in str(refused.value)


def test_the_migrations_build_the_tables_of_the_code(database: Database) -> None:
    """`contact_tables.py` and the migrations say the same."""
    options = {"version_table": CONTACTS.version_table}
    with database.read() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection, opts=options), contact_tables.metadata)


def test_migrations_go_down_and_up(store: ContactStore) -> None:
    """Down to nothing drops all of it, and up again the store works as a new one."""
    store.put(incoming(phone()), NOW)

    migrate(store.database, "base", down=True)
    assert [CONTACTS.version_table] == inspect(store.database.engine).get_table_names()
    migrate(store.database)

    assert store.record("b-1") is None
    assert store.put(incoming(phone()), NOW) is Put.NEW


def test_both_kinds_of_tables_may_share_a_server(new_url: Callable[[str], str]) -> None:
    """In one database each keeps its own version; nothing of one is taken for the other's."""
    url = new_url("both")
    with open_database(url) as cases, open_database(url, CONTACTS) as contacts:
        assert ContactStore(contacts, AddressCipher(KEY)).put(incoming(phone()), NOW) is Put.NEW
        migrate(contacts, "base", down=True)
        assert "cases" in inspect(cases.engine).get_table_names()


def test_two_imports_at_once_keep_an_address_once(store: ContactStore) -> None:
    """Of two that tell the same borrowers at the same time the second finds them there."""
    told = [incoming(phone(), borrower=f"b-{number}") for number in range(50)]
    barrier = threading.Barrier(2)
    done: list[list[Put]] = []

    def put() -> None:
        barrier.wait()
        done.append(store.put_all(told, NOW))

    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [{Put.NEW}, {Put.SAME}] == sorted((set(one) for one in done), key=str, reverse=False)
    assert 50 == store.counts()["addresses"]


def a_contact(number: int = 1, **more: object) -> PastContact:
    """A contact that was tried."""
    values = {
        "contact_id": f"c-{number}",
        "borrower": "b-1",
        "loan": "l-1",
        "channel": Channel.SMS,
        "kind": Kind.SERVICE,
        "at": NOW,
    }
    return PastContact(**(values | more))  # type: ignore[arg-type]


def test_a_contact_is_written_down_before_it_is_made(cases: Database) -> None:
    """Reserved, then reached; what is told again changes nothing."""
    log = ContactLog(cases)
    with cases.write() as connection:
        log.reserve(connection, a_contact())
        assert [a_contact()] == log.past("b-1", NOW, connection=connection)
        log.reserve(connection, a_contact())
        log.reached(connection, a_contact(), hours(1))
        log.reached(connection, a_contact(), hours(2))

    assert [a_contact(reached_at=hours(1))] == log.past("b-1", NOW)


def test_a_contact_that_is_not_made_is_taken_back(cases: Database) -> None:
    """It then counts for no rule, as if it had never been written down."""
    log = ContactLog(cases)
    with cases.write() as connection:
        log.reserve(connection, a_contact())
        log.release(connection, a_contact())

    assert [] == log.past("b-1", NOW)


def test_past_contacts_are_of_the_borrower_and_since(cases: Database) -> None:
    """Older ones are left out unless they were answered since; others' never show."""
    log = ContactLog(cases)
    with cases.write() as connection:
        for contact in (a_contact(1), a_contact(2, at=hours(-30), reached_at=hours(1)), a_contact(3, at=hours(-30))):
            log.reserve(connection, contact)
        log.reserve(connection, a_contact(1, borrower="b-2"))

    assert ["c-2", "c-1"] == [contact.contact_id for contact in log.past("b-1", NOW)]
    assert ["c-1"] == [contact.contact_id for contact in log.past("b-2", NOW)]


def test_refusals_are_kept_with_rule_and_next_moment(cases: Database) -> None:
    """The latest first, with all that was said; one without a next moment too."""
    log = ContactLog(cases)
    attempt = Attempt(borrower="b-1", loan=None, channel=Channel.CALL, kind=Kind.COLLECTION)
    night = Refusal(rule="hours", pack="cn", detail="22:00-08:00 (GB/T 45251-2025)", next_at=hours(8))

    log.refuse(attempt, night, NOW, "borrower-1")
    log.refuse(attempt, replace(night, rule="opt_out", next_at=None), hours(1))

    assert [("opt_out", None, None), ("hours", hours(8), "borrower-1")] == [
        (told.refusal.rule, told.refusal.next_at, told.message_key) for told in log.refusals("b-1")
    ]
    assert attempt == log.refusals("b-1")[0].attempt


def keeper(cases: Database, store: ContactStore) -> ContactKeeper:
    """The subscriber on both databases."""
    return ContactKeeper(ContactLog(cases), store, Metrics(), now=lambda: hours(10_000))


def take(subscriber: ContactKeeper, *facts: events.Event, start: int = 0) -> None:
    """Read and take records, as the loop would."""
    read = [read_contact(fact.subject.encode(), encode(fact)) for fact in facts]
    kept = tuple(fact for fact in read if fact is not None)
    subscriber.take(Batch("contacts", 0, start, start + len(facts), kept))


def out_of(channel: str, *, day: float = 1) -> events.Event:
    """An opt-out."""
    made = tried(day)
    return event(events.ContactOptedOut, made.time, channel=channel)


FACTS = (
    tried(1, contact="c-1", hour=10),
    tried(1, contact="c-1", hour=11, result="reached"),
    tried(2, "sms", contact="c-2"),
    tried(2, "sms", contact="c-2", hour=12, result="undeliverable"),
)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (1, 1, 0, 3, 3, 2, 0)])
def test_facts_come_in_any_order(cases: Database, store: ContactStore, order: tuple[int, ...]) -> None:
    """Reached before attempted, twice or late: the log ends the same."""
    for number, which in enumerate(order):
        take(keeper(cases, store), FACTS[which], start=number)

    first, second = ContactLog(cases).past(FACTS[0].subject, NOW - timedelta(days=4000))
    assert (FACTS[0].time, FACTS[1].time, None) == (first.at, first.reached_at, first.undeliverable_at)
    assert (FACTS[2].time, None, FACTS[3].time) == (second.at, second.reached_at, second.undeliverable_at)
    assert (Kind.COLLECTION, Channel.SMS) == (second.kind, second.channel)


@pytest.mark.parametrize("odd", ["\0", "a\0b", "\U0001f4de" * 64, "x" * 256, "'; DROP TABLE contact_log; --"])
def test_any_contact_id_is_kept(cases: Database, store: ContactStore, odd: str) -> None:
    """Producers choose their ids; none of them stops the log, and a repeat is known again."""
    told = tried(1, contact=odd)

    take(keeper(cases, store), told, told)

    assert 1 == len(ContactLog(cases).past(told.subject, NOW - timedelta(days=4000)))


def test_our_own_contact_keeps_its_kind(cases: Database, store: ContactStore) -> None:
    """What the notifier wrote down as a service message stays one when the topic tells it again."""
    told = FACTS[2]
    with cases.write() as connection:
        note(connection, a_contact(2, borrower=told.subject, at=told.time), "ews/notifier")

    take(keeper(cases, store), told)

    [kept] = ContactLog(cases).past(told.subject, told.time)
    assert kept.kind is Kind.SERVICE


def test_an_opt_out_reaches_the_contact_store(cases: Database, store: ContactStore) -> None:
    """Of a channel, or of everything."""
    fact = out_of("sms")
    store.put(incoming(phone(consented_at=None), borrower=fact.subject), NOW)

    take(keeper(cases, store), fact, out_of("all", day=2))

    assert {"sms": fact.time, "": out_of("all", day=2).time} == store.opt_outs(fact.subject)


def test_a_crash_between_the_two_databases_repeats_and_loses_nothing(cases: Database, store: ContactStore) -> None:
    """The opt-out is kept although the offset did not move, and the repeat changes nothing."""
    take(keeper(cases, store), FACTS[0])
    with pytest.raises(OffsetMovedError):
        take(keeper(cases, store), out_of("sms"), FACTS[2], start=7)
    assert {"sms"} == set(store.opt_outs(FACTS[0].subject))
    assert 1 == len(ContactLog(cases).past(FACTS[0].subject, NOW - timedelta(days=4000)))

    take(keeper(cases, store), out_of("sms"), FACTS[2], start=1)

    assert {"sms": out_of("sms").time} == store.opt_outs(FACTS[0].subject)
    assert 2 == len(ContactLog(cases).past(FACTS[0].subject, NOW - timedelta(days=4000)))
    assert {0: 3} == ContactLog(cases).positions("contacts")


def test_a_time_ahead_is_taken_for_now(cases: Database, store: ContactStore) -> None:
    """A wrong clock of a source keeps nobody from agreeing again, nor counts in weeks to come."""
    subscriber = ContactKeeper(ContactLog(cases), store, Metrics(), now=lambda: NOW - timedelta(days=4000))

    take(subscriber, out_of("sms"), FACTS[0])

    assert {"sms": NOW - timedelta(days=4000)} == store.opt_outs(FACTS[0].subject)
    [kept] = ContactLog(cases).past(FACTS[0].subject, NOW - timedelta(days=4001))
    assert NOW - timedelta(days=4000) == kept.at


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b'{"type": "ews.unknown.v1"}'])
def test_what_cannot_be_read_is_left_to_the_workers(value: bytes | None) -> None:
    """They write it to the dead letters; here it is passed over."""
    assert read_contact(b"b-1", value) is None


def test_what_is_no_contact_is_passed_over() -> None:
    """Snoozes and changed details are on the topic too; and a key that is not the subject is refused elsewhere."""
    assert read_contact(b"other", encode(FACTS[0])) is None
    assert read_contact(None, encode(FACTS[0])) == FACTS[0]
    moved = event(events.ContactDetailsChanged, FACTS[0].time, detail="phone")
    assert read_contact(moved.subject.encode(), encode(moved)) is None
