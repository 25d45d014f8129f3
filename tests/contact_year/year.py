"""A year of the notifier, in virtual time: real intake, contact policy, delivery, cases and stores; made-up providers.

    python -m tests.contact_year.year --borrowers 1000 --packs cn us in id uk default cn+us

What went out is what the providers saw. The checker judges it with what the contact store was told and what people did
on cases, none of which it asks the product for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from schemas import events
from schemas.codec import decode
from streams.api.desk import Desk
from streams.casework.contact import Channel, Holds, Kind
from streams.casework.holds import holds_of
from streams.casework.ladder import Ladder
from streams.casework.outreach import Outreach
from streams.casework.packs import known_packs, load_packs
from streams.casework.texts import load_texts
from streams.consumers import delivery as delivery_module
from streams.consumers.borrower_messages import BorrowerMessages
from streams.consumers.case_creator import CaseCreator
from streams.consumers.channels.channel import BORROWER
from streams.consumers.contact_events import ContactEvents
from streams.consumers.contact_log import ContactKeeper
from streams.consumers.contact_policy import ContactPolicy, Grounds
from streams.consumers.delivery import Delivery
from streams.consumers.loop import Batch
from streams.consumers.notifier import Notifier
from streams.errors import Rejected, Unavailable
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contact_log import ContactLog
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database
from streams.stores.messages import MessageStatus, MessageStore
from streams.stores.tables import messages as message_rows
from streams.stores.work_tables import outbox, refusals
from tests.contact_year.agenda import Agenda
from tests.contact_year.checker import violations
from tests.contact_year.dialler import AGENCY, Dialler, LogInDatabase, Wish
from tests.contact_year.evidence import Contact, Record, Violation
from tests.contact_year.office import Office
from tests.contact_year.people import CHANNELS, Person, people
from tests.contact_year.portfolio import alerts_of_a_year

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.alerts import Alert
    from streams.casework.packs import Pack
    from streams.consumers.channels.channel import Parcel
    from streams.stores.contact import ContactRecord

START = date(2025, 1, 1)
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
UPCOMING = "upcoming_installment"
CONVERSATIONS = 0.35
UNDELIVERABLE = 0.02
ANSWERS_LOST = 0.03
"""A provider has taken the message, and its answer gets lost: the message comes again under the same key."""
OUTAGES = 3
OUTAGE_HOURS = 9
WAITED = timedelta(minutes=5)


@dataclass
class Report:
    """What came of a year."""

    packs: tuple[str, ...]
    alerts: int = 0
    borrowers: int = 0
    wanted: int = 0
    """Messages to borrowers that the notifier took down."""
    by_status: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Refusals written down, by rule and pack: of messages and of nobody else."""
    sent_by_channel: Counter[str] = field(default_factory=Counter)
    waits: list[timedelta] = field(default_factory=list)
    """Of the messages that were sent after they had been refused for a time."""
    desk_calls: int = 0
    desk_refused: Counter[str] = field(default_factory=Counter)
    agency_calls: int = 0
    twice: int = 0
    """Keys that came to a provider again, after its answer was lost; it drops them."""
    conversations: int = 0
    acts: dict[str, int] = field(default_factory=dict)
    holds: int = 0
    wrong: list[Violation] = field(default_factory=list)
    log: list[Contact] = field(default_factory=list)

    @property
    def certain(self) -> list[Violation]:
        """What is wrong by every reading."""
        return [v for v in self.wrong if not v.doubt]

    def summary(self) -> dict[str, object]:
        """Figures, for a file."""
        doubts = Counter(f"{v.rule}/{v.doubt}" for v in self.wrong if v.doubt)
        hours = [w / timedelta(hours=1) for w in self.waits]
        return {
            "packs": "+".join(self.packs), "borrowers": self.borrowers, "alerts": self.alerts,
            "messages_wanted": self.wanted, "ended_as": dict(self.by_status),
            "sent_by_channel": dict(self.sent_by_channel),
            "refusals": sum(self.refused.values()), "refused_by_rule": dict(self.refused.most_common()),
            "waited_then_sent": len(hours), "median_wait_hours": round(median(hours), 1) if hours else None,
            "desk_calls_made": self.desk_calls, "desk_calls_refused": dict(self.desk_refused.most_common()),
            "agency_calls": self.agency_calls, "conversations": self.conversations, "case_actions": self.acts,
            "holds": self.holds, "keys_that_came_again": self.twice, "violations": len(self.certain),
            "violations_by_rule": dict(Counter(v.rule for v in self.certain)),
            "questions_of_reading": dict(doubts.most_common()),
        }  # fmt: skip


class Provider:
    """Takes parcels of one channel and makes the contact, which it writes down. Away for hours on some days."""

    audience = BORROWER

    def __init__(self, channel: Channel, year: NotifierYear, seed: int) -> None:
        self.name = channel.value
        self._year = year
        self._draw = random.Random(f"provider {channel} {seed}")  # noqa: S311 - the same for the same seed
        self.taken: Counter[str] = Counter()
        self._outages = [
            BEGIN + timedelta(hours=self._draw.randrange(year.days * 24)) for _ in range(OUTAGES * year.days // 365)
        ]

    async def start(self) -> None:
        """Nothing to do."""

    async def send(self, parcel: Parcel) -> None:
        """Make the contact, or be away, or say that there is no such number."""
        now = self._year.agenda.now
        if any(start <= now < start + timedelta(hours=OUTAGE_HOURS) for start in self._outages):
            raise Unavailable("the provider is away")
        if self._draw.random() < UNDELIVERABLE:
            raise Rejected("there is no such number")
        self.taken[parcel.key] += 1
        if self.taken[parcel.key] > 1:
            return  # A key that is known is dropped.
        at = now
        if self.name == Channel.CALL and self._year.dials_late and parcel.until is not None:
            at = now + self._draw.random() * (parcel.until - now)
        spoken = None
        if self.name == Channel.CALL and self._draw.random() < CONVERSATIONS:
            spoken = at + timedelta(seconds=self._draw.randrange(5, 400))
        self._year.went_out(self.name, parcel, at, spoken)
        if self._draw.random() < ANSWERS_LOST:
            raise Unavailable("the answer is lost")

    async def stop(self) -> None:
        """Nothing to do."""


class NotifierYear:
    """One year under some packs."""

    def __init__(
        self,
        stack: ExitStack,
        names: Sequence[str],
        alerts: Sequence[Alert],
        *,
        days: int = 365,
        seed: int = 1,
        bursts: float = 0.3,
        dials_late: bool = False,
        packs: Sequence[Pack] = (),
        store: type[ContactStore] = ContactStore,
        tells_of_holds: bool = True,
    ) -> None:
        """`packs`, `store` and `tells_of_holds` are for faults that the checker must find."""
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_fast())))
        self.names, self.days, self.seed, self.dials_late = tuple(names), days, seed, dials_late
        self.alerts = alerts
        self.agenda = Agenda(BEGIN - timedelta(days=500))
        self.end = BEGIN + timedelta(days=days)
        borrowers = sorted({a.subject for a in alerts})
        self.people: dict[str, Person] = people(borrowers, BEGIN, self.end, seed)
        self.database = stack.enter_context(open_database(f"sqlite:///{directory}/cases.db"))
        self.contacts = store(
            stack.enter_context(open_database(f"sqlite:///{directory}/contacts.db", CONTACTS)), AddressCipher(new_key())
        )
        self.log = ContactLog(self.database)
        self.metrics = Metrics()
        self.report = Report(packs=self.names, alerts=len(alerts), borrowers=len(borrowers))
        self._packs = tuple(packs) or load_packs(self.names)
        self._told_of = {str(a.id): a for a in alerts}
        self._holds = holds_of if tells_of_holds else (lambda _: Holds())
        # What was read last, until something changes it: people ask far more often than anything changes.
        self._records: dict[str, ContactRecord | None] = {}
        self._held: dict[str, Holds] = {}
        self._due: datetime | None = None
        self._due_known = False
        self._contacts_read = 0
        self._offset = 0
        self._build(bursts)

    def _now(self) -> datetime:
        return self.agenda.now

    def _build(self, bursts: float) -> None:
        outreach, ladder = Outreach.standard(), Ladder.standard()
        to_borrowers = BorrowerMessages(outreach, CHANNELS, now=self._now)
        grounds = Grounds(
            contacts=self.contacts, log=self.log, packs=self._packs, known=known_packs(), outreach=outreach,
            texts=load_texts(outreach, lender="Example Bank"), holds=self._holds,
        )  # fmt: skip
        self.messages, self.cases = MessageStore(self.database), CaseStore(self.database)
        self.providers = [Provider(channel, self, self.seed) for channel in CHANNELS]
        self.notifier = Notifier(self.messages, [], self.metrics, now=self._now, borrowers=to_borrowers)
        self.delivery = Delivery(
            self.messages, self.providers, ContactPolicy(grounds, to_borrowers, self.metrics, now=self._now),
            self.metrics, now=self._now, partitions=lambda: (0,), stop=asyncio.Event(),
            then=ContactEvents(self.log, outreach, to_borrowers, now=self._now),
        )  # fmt: skip
        self.creator = CaseCreator(self.cases, ladder, self.metrics)
        self.keeper = ContactKeeper(self.log, self.contacts, self.metrics, now=self._now)
        self.dialler = Dialler(
            record=self._record, reveal=self.contacts.reveal, log=LogInDatabase(self.log),
            packs=self._packs, holds=self._holds_now, agenda=self.agenda, seed=self.seed,
        )  # fmt: skip
        desk = Desk(self.database, ladder, now=self._now)
        self.office = Office(desk, self.agenda, self._wish, self._changed, bursts=bursts, seed=self.seed)

    # What happens

    async def run(self) -> Report:
        """Let the year pass, and judge it."""
        for borrower, person in self.people.items():
            for at, telling in person.told:
                self.agenda.at(at, lambda b=borrower, t=telling: self._tell(b, t))  # type: ignore[misc]
        for moment in sorted({a.time for a in self.alerts}):
            if BEGIN <= moment < self.end:
                batch = tuple(a for a in self._at(moment))
                self.agenda.at(moment + timedelta(seconds=2), lambda batch=batch: self._notify(batch))  # type: ignore[misc]
                self.agenda.at(moment + timedelta(seconds=3), lambda batch=batch: self._case(batch))  # type: ignore[misc]
        while (next_at := self.agenda.next_at) is not None and next_at < self.end:
            await self._send_until(next_at)
            self.agenda.step()
        await self._send_until(self.end)
        return self._judged()

    def _tell(self, borrower: str, telling: Callable[[ContactStore], object]) -> None:
        telling(self.contacts)
        self._changed(borrower)

    def _changed(self, borrower: str) -> None:
        self._records.pop(borrower, None)
        self._held.pop(borrower, None)

    def _record(self, borrower: str) -> ContactRecord | None:
        if borrower not in self._records:
            self._records[borrower] = self.contacts.record(borrower)
        return self._records[borrower]

    def _at(self, moment: datetime) -> list[Alert]:
        if not hasattr(self, "_by_time"):
            self._by_time: dict[datetime, list[Alert]] = {}
            for alert in self.alerts:
                self._by_time.setdefault(alert.time, []).append(alert)
        return self._by_time[moment]

    def _batch(self, alerts: tuple[Alert, ...], start: int) -> Batch[Alert]:
        return Batch("alerts", 0, start, start + len(alerts), alerts)

    def _notify(self, alerts: tuple[Alert, ...]) -> None:
        self.notifier.take(self._batch(alerts, self.messages.positions("alerts").get(0, 0)))
        self._due_known = False

    def _case(self, alerts: tuple[Alert, ...]) -> None:
        self.creator.take(self._batch(alerts, self.cases.positions("alerts").get(0, 0)))
        for alert in alerts:
            if alert.data.detector == "mandate_broken" and alert.data.step >= 3:
                self.office.died(alert.subject)
        for borrower in sorted({a.subject for a in alerts}):
            self._changed(borrower)
            self.office.look(borrower)

    async def _send_until(self, moment: datetime) -> None:
        """Whatever may go out before that moment, each at its own."""
        while (due := self._next_due()) is not None and due <= moment:
            self.agenda.now = max(self.agenda.now, due)
            moved = await self.delivery.deliver_due()
            self._due_known = False
            self._relay()
            if not moved and (again := self._next_due()) is not None and again <= self.agenda.now:
                if self.agenda.now + timedelta(minutes=1) > moment:
                    return  # Its channel rests.
                self.agenda.now += timedelta(minutes=1)

    def _next_due(self) -> datetime | None:
        """When the next message may go out, as far as is known."""
        if not self._due_known:
            moment = func.coalesce(message_rows.c.not_before, message_rows.c.taken_at).label("moment")
            waiting = select(moment).where(message_rows.c.status == MessageStatus.WAITING.value)
            with self.database.read() as connection:
                self._due = connection.scalar(waiting.order_by(moment).limit(1))
            self._due_known = True
        return self._due

    def _relay(self) -> None:
        """What the outbox holds for the topic `contacts`, taken up by the keeper of the log."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(outbox.c.number, outbox.c.value)
                .where(outbox.c.topic == events.Topic.CONTACTS.value, outbox.c.number > self._contacts_read)
                .order_by(outbox.c.number)
            ).all()
        if rows:
            self._contacts_read = rows[-1].number
            self._keep(*(decode(row.value) for row in rows))

    def _keep(self, *facts: events.Event) -> None:
        start, self._offset = self._offset, self._offset + len(facts)
        self.keeper.take(Batch("contacts", 0, start, self._offset, facts))

    def went_out(self, channel: str, parcel: Parcel, at: datetime, spoken: datetime | None) -> None:
        """A provider made a contact."""
        with self.database.read() as connection:
            row = connection.execute(select(message_rows).where(message_rows.c.key == parcel.key)).one()
        about = self._told_of[row.alert_id]
        due = about.data.onset if about.data.detector == UPCOMING else None
        version = self._version(row.borrower, at)
        day = at.astimezone(ZoneInfo(version)).date() if version else at.date()
        self.report.log.append(
            Contact(
                contact_id=parcel.key, borrower=row.borrower, loan=about.data.loan, channel=channel,
                kind=(Kind.COLLECTION if due is None else Kind.SERVICE).value, at=at, conversation_at=spoken,
                address=parcel.to, text=f"{parcel.title} {parcel.body}",
                days_past_due=None if due is None else (day - due).days,
            )
        )  # fmt: skip
        data = {"contact_id": parcel.key, "channel": channel, "loan": about.data.loan}
        if channel == Channel.CALL:  # The dialler tells when it has called, whatever it was told.
            self.agenda.at(at, lambda: self._tried(row.borrower, at, data))
        if spoken is not None:
            self.report.conversations += 1
            self.agenda.at(spoken, lambda: self._reached(row.borrower, spoken, data))

    def _tried(self, borrower: str, at: datetime, data: dict[str, str | None]) -> None:
        raw = {"specversion": "1.0", "id": f"{data['contact_id']}-a", "source": "dialler", "subject": borrower}
        self._keep(events.ContactAttempted.model_validate({**raw, "time": at, "data": data}))

    def _reached(self, borrower: str, spoken: datetime, data: dict[str, str | None]) -> None:
        raw = {"specversion": "1.0", "id": f"{data['contact_id']}-r", "source": "dialler", "subject": borrower}
        self._keep(events.ContactReached.model_validate({**raw, "time": spoken, "data": data}))

    def _version(self, borrower: str, at: datetime) -> str | None:
        record = self.people[borrower].record
        zones = [v.zone for v in (record.versions if record else ()) if v.since <= at]
        return zones[-1] if zones else None

    def _wish(self, wish: Wish) -> None:
        self.dialler.wish(wish, self.agenda.now)

    def _holds_now(self, borrower: str, now: datetime) -> Holds:  # noqa: ARG002 - the case knows
        if borrower not in self._held:
            with self.cases.begin() as transaction:
                self._held[borrower] = self._holds(transaction.books([borrower], [])[borrower])
        return self._held[borrower]

    # What came of it

    def _judged(self) -> Report:
        report, made = self.report, self.dialler.made
        report.log += made.contacts
        records = [_with_secrets(p.record, self.alerts) for p in self.people.values() if p.record is not None]
        found = violations(report.log, records, self.office.held, self.names)
        report.wrong = [v for v in found if not v.contact_id.startswith(AGENCY)]
        report.agency_calls = sum(c.contact_id.startswith(AGENCY) for c in made.contacts)
        report.desk_calls = len(made.contacts) - report.agency_calls
        report.desk_refused = Counter(f"{r.rule} ({r.pack})" for _, r, _ in made.refused)
        report.conversations += sum(c.conversation_at is not None for c in made.contacts)
        report.acts, report.holds = dict(sorted(self.office.acted.items())), len(self.office.held)
        report.twice = sum(n > 1 for provider in self.providers for n in provider.taken.values())
        with self.database.read() as connection:
            for row in connection.execute(select(message_rows).where(message_rows.c.audience == BORROWER)):
                report.wanted += 1
                report.by_status[row.status] += 1
                report.sent_by_channel[row.channel] += row.status == MessageStatus.SENT
                if row.status == MessageStatus.SENT and row.sent_at - row.taken_at > WAITED:
                    report.waits.append(row.sent_at - row.taken_at)
            for rule, pack, number in connection.execute(
                select(refusals.c.rule, refusals.c.pack, func.count()).group_by(refusals.c.rule, refusals.c.pack)
            ):
                report.refused[f"{rule} ({pack})"] = number
        return report


def _with_secrets(record: Record, alerts: Sequence[Alert]) -> Record:
    loans = {a.data.loan for a in alerts if a.subject == record.borrower and a.data.loan}
    return replace(record, secrets=tuple(sorted(loans)))


def _fast() -> str | None:
    """Memory, where a directory may be made there: a year is many small transactions."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a directory of its own is made in it


def pass_a_year(names: str, alerts: Sequence[Alert], **settings: object) -> Report:
    """A year under packs, such as `cn+us`."""
    kept = delivery_module.RETRY_SECONDS_FIRST
    delivery_module.RETRY_SECONDS_FIRST = 0.0  # These are seconds of the real clock.
    try:
        with ExitStack() as stack:
            return asyncio.run(NotifierYear(stack, names.split("+"), alerts, **settings).run())  # type: ignore[arg-type]
    finally:
        delivery_module.RETRY_SECONDS_FIRST = kept


def main() -> int:
    """The big run; 1 if anything went out against the rules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--borrowers", type=int, default=300)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--packs", nargs="+", default=["cn", "us", "in", "id", "uk", "default", "cn+us"])
    parser.add_argument("--dials-late", action="store_true", help="The dialler uses the time that it is given.")
    parser.add_argument("--work", type=Path, help="Where to keep the alerts between runs.")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as spare:
        directory = given.work or Path(spare)
        alerts = alerts_of_a_year(directory, borrowers=given.borrowers, days=given.days, seed=given.seed, start=START)
        for names in given.packs:
            report = pass_a_year(names, alerts, days=given.days, seed=given.seed, dials_late=given.dials_late)
            sys.stdout.write(json.dumps(report.summary(), indent=1) + "\n")
            _tell(report)
            wrong += len(report.certain)
    return 1 if wrong else 0


def _tell(report: Report) -> None:
    """The first of each kind of violation, with all that is known of the contact."""
    told: set[tuple[str, str]] = set()
    by_id = {c.contact_id: c for c in report.log}
    for violation in report.wrong:
        if (violation.rule, violation.doubt) not in told:
            told.add((violation.rule, violation.doubt))
            sys.stdout.write(f"  {violation}\n    {replace(by_id[violation.contact_id], text=None)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
