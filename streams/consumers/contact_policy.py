"""Who may be contacted now. Staff always; a borrower where every rule allows it, asked at the moment of sending.

For a borrower the question, its answer and the note of the contact are one transaction, one at a time for a borrower:
what two messages could do together to a cap, they cannot. Messages that are about to go out at once share one. What is
allowed is written to the log before the contact is made, under the message's key, so that a crash counts it and a
repeat counts it once. A refusal is written down with its rule, and the message waits for the next permitted moment, or
moves to the next channel, or ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Mode
from streams.casework.contact import Allowed, Attempt, Channel, PastContact, Refusal
from streams.casework.contact_rules import check
from streams.casework.figures import read
from streams.casework.outreach import UNABLE, StepName
from streams.casework.packs import HOUSE as HOUSE_RULES
from streams.casework.packs import packs_for
from streams.consumers.channels.channel import STAFF, Parcel
from streams.consumers.gathering import Gathering
from streams.errors import Rejected
from streams.stores.cases import CaseTransaction
from streams.stores.messages import MessageStatus, MessageTransaction, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from streams.casework.contact import ContactRecord, Holds
    from streams.casework.outreach import Outreach
    from streams.casework.packs import Pack
    from streams.casework.texts import Texts
    from streams.consumers.borrower_messages import BorrowerMessages
    from streams.metrics import Metrics
    from streams.stores.case import Book
    from streams.stores.contact_log import ContactLog
    from streams.stores.contacts import ContactStore
    from streams.stores.messages import Message

PAST_DAYS = 62
"""How far back contacts are read: further than any cap or wait of a pack may reach."""
MINUTES_TO_SEND = 15
"""How long a provider may take over a message at most; less where the permitted hours end before."""
MINUTES_TO_DIAL = 120
"""The same of the dialler, which calls one after the other."""
PROBE_MINUTES = 5
"""The steps in which the end of the permitted time is looked for, before it is found to the minute."""
TOGETHER_MAX = 25
"""Messages that one transaction answers for."""
OF_THE_CHANNEL = frozenset({"no_address", "no_consent", "opted_out", "third_party", "address_unreadable"})
"""Rules that stand against one channel for good: the step goes on to the next one."""
HOUSE = "house"


async def staff_only(message: Message) -> Verdict | Parcel | None:
    """Let messages to staff pass; refuse all others, with the rule. In force where no borrower channel is set."""
    if message.audience == STAFF:
        return Parcel(key=message.key, body=message.body)
    return Verdict(
        MessageStatus.REFUSED, detail="rule borrower_channels (house): EWS_BORROWER_CHANNELS does not name it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What an answer rests on."""

    contacts: ContactStore
    log: ContactLog
    packs: tuple[Pack, ...]
    """Those of the installation."""
    known: Mapping[str, Pack]
    """Those that a record may name."""
    outreach: Outreach
    texts: Texts
    holds: Callable[[Book], Holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is known of a borrower; `past` grows with what is allowed."""

    record: ContactRecord | None
    holds: Holds
    past: list[PastContact]
    unable: bool


class _Refused(NamedTuple):
    rule: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Question:
    """One attempt with all that the rules look at, but the time."""

    attempt: Attempt
    record: ContactRecord | None
    holds: Holds
    past: tuple[PastContact, ...]
    packs: tuple[Pack, ...]

    def at(self, moment: datetime) -> Allowed | Refusal:
        """The answer at a moment."""
        return check(self.attempt, self.record, self.holds, self.past, self.packs, moment)

    def until(self, now: datetime, minutes: int) -> datetime:
        """The last moment up to which the answer stays `Allowed`, at most so many minutes ahead."""
        last = now
        for step in (PROBE_MINUTES, 1):
            while last + timedelta(minutes=step) <= now + timedelta(minutes=minutes):
                moment = last + timedelta(minutes=step)
                if isinstance(self.at(moment), Refusal):
                    break
                last = moment
        return last


class ContactPolicy:
    """The rules on contacts, asked for every message at every try."""

    def __init__(
        self, grounds: Grounds, borrowers: BorrowerMessages, metrics: Metrics, *, now: Callable[[], datetime]
    ) -> None:
        for channel in Channel:
            for rule in HOUSE_RULES:
                metrics.contact_refusals.labels(channel, rule)  # From 0 on: a rate is seen from the first refusal.
        self._grounds = grounds
        self._borrowers = borrowers
        self._metrics = metrics
        self._now = now
        self._gathering = Gathering(self._answer, most=TOGETHER_MAX)

    async def __call__(self, message: Message) -> Verdict | Parcel | None:
        """What may go out now, or why not; None if the message has come to its end. Raises Unavailable."""
        if message.audience == STAFF:
            return await staff_only(message)
        return await self._gathering.ask(message)

    def _answer(self, messages: Sequence[Message]) -> list[Verdict | Parcel | None]:
        """Ask the rules for each, in order: what one is allowed counts for the next."""
        grounds = self._grounds
        borrowers = sorted({message.borrower for message in messages})
        with grounds.log.database.write() as connection:
            transaction = MessageTransaction(connection)
            transaction.alone_with(borrowers)
            # Only now: waiting for others may take a while, and an opt-out may come in it.
            now, records = self._now(), grounds.contacts.records(borrowers)
            waiting = transaction.still_waiting(messages)
            facts = self._facts(connection, borrowers, records, now)
            answers = [
                self._one(connection, message, facts[message.borrower], now) if message.number in waiting else None
                for message in messages
            ]
        for message, answer in zip(messages, answers, strict=True):
            if isinstance(answer, _Refused):
                self._metrics.contact_refusals.labels(message.channel, answer.rule).inc()
        return [answer.verdict if isinstance(answer, _Refused) else answer for answer in answers]

    def _facts(
        self, connection: Connection, borrowers: list[str], records: Mapping[str, ContactRecord], now: datetime
    ) -> dict[str, _Facts]:
        """All that is known of each borrower as the transaction begins."""
        grounds = self._grounds
        books = CaseTransaction(connection).books(borrowers)
        past = grounds.log.past_of(connection, borrowers, now - timedelta(days=PAST_DAYS))
        since = now - timedelta(days=grounds.outreach.offer_calm_days)
        offered = MessageTransaction(connection).offered(borrowers, StepName.OFFER_PLAN, since)
        return {
            borrower: _Facts(
                record=records.get(borrower),
                holds=grounds.holds(books[borrower]),
                past=past.get(borrower, []),
                unable=borrower in offered or _seems_unable(books[borrower]),
            )
            for borrower in borrowers
        }

    def _one(self, connection: Connection, message: Message, facts: _Facts, now: datetime) -> _Refused | Parcel:
        question = self._question(message, facts)
        ruled = self._stance(message, facts) or question.at(now)
        answer = self._made(message, facts.record, question, ruled, now) if isinstance(ruled, Allowed) else ruled
        if isinstance(answer, Parcel):
            # A job may be dialled up to its end: from then it counts until the dialler tells when it was.
            at = answer.until if question.attempt.channel is Channel.CALL and answer.until else now
            contact = _contact(message, question.attempt, at)
            self._grounds.log.reserve(connection, contact)
            facts.past.append(contact)
            return answer
        self._grounds.log.refuse_in(connection, question.attempt, answer, now, message.key)
        verdict = _verdict(message, answer)
        if verdict.status is MessageStatus.REFUSED:
            transaction = MessageTransaction(connection)
            transaction.end(message, verdict)
            further = self._borrowers.next_of(message) if answer.rule in OF_THE_CHANNEL else None
            transaction.take_down([further] if further else [])
        return _Refused(answer.rule, verdict)

    def _question(self, message: Message, facts: _Facts) -> _Question:
        grounds = self._grounds
        attempt = Attempt(
            borrower=message.borrower,
            loan=message.loan,
            channel=Channel(message.channel),
            kind=grounds.outreach.step(str(message.step)).kind,
        )
        others = tuple(one for one in facts.past if one.contact_id != message.key)
        packs = packs_for(facts.record, grounds.packs, grounds.known)
        return _Question(attempt, facts.record, facts.holds, others, packs)

    def _stance(self, message: Message, facts: _Facts) -> Refusal | None:
        """Nobody who cannot pay is dunned: a plan is offered in its place."""
        if not (facts.unable and self._grounds.outreach.step(str(message.step)).dunning):
            return None
        says = "who seems unable to pay is offered a plan, and not asked for money"
        return Refusal(rule="unable_to_pay", pack=HOUSE, detail=says, next_at=None)

    def _made(
        self, message: Message, record: ContactRecord | None, question: _Question, allowed: Allowed, now: datetime
    ) -> Parcel | Refusal:
        """The message as it goes out, its text written and its address read just now."""
        assert record is not None, "nobody is allowed without a record"
        channel = question.attempt.channel
        try:
            address = self._grounds.contacts.reveal(message.borrower, str(allowed.address_id))
        except Rejected as unreadable:  # Erased just now, or damaged. The sentence names no address.
            return Refusal(rule="address_unreadable", pack=HOUSE, detail=str(unreadable), next_at=None)
        texts, step = self._grounds.texts, str(message.step)
        try:
            words = texts.words(step, channel, record.language, read(message.body), opt_out=True)
        except Rejected as unusable:
            return Refusal(rule="text_unusable", pack=HOUSE, detail=str(unusable), next_at=None)
        return Parcel(
            key=message.key,
            body=words.text,
            title=words.title,
            to=address,
            language=texts.language(record.language),
            until=question.until(now, MINUTES_TO_DIAL if channel is Channel.CALL else MINUTES_TO_SEND),
        )


def _seems_unable(book: Book) -> bool:
    """Whether the latest alert on the borrower's risk says so, in a case or before there is one."""
    live = [episode for episode in book.loose() if episode.mode is Mode.LIVE]
    told = [episode.risk.get("stance") for episode in live if episode.risk]
    return UNABLE in told or (book.case is not None and book.case.stance == UNABLE)


def _verdict(message: Message, refusal: Refusal) -> Verdict:
    """It waits, unless no time is known at which it may go, or it is worth nothing by then."""
    detail = f"rule {refusal.rule} ({refusal.pack}): {refusal.detail}"
    waits = refusal.next_at is not None and (message.expires_at is None or refusal.next_at < message.expires_at)
    if waits:
        return Verdict(MessageStatus.WAITING, detail=detail, not_before=refusal.next_at)
    return Verdict(MessageStatus.REFUSED, detail=detail)


def _contact(message: Message, attempt: Attempt, now: datetime) -> PastContact:
    return PastContact(
        contact_id=message.key,
        borrower=message.borrower,
        loan=message.loan,
        channel=attempt.channel,
        kind=attempt.kind,
        at=now,
    )
