"""Borrowers' lives as records of the sources: made once, played in every run, in whole or in part."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.codec import encode
from schemas.events import Topic
from schemas.topics import partition_of
from tests import builders as say

if TYPE_CHECKING:
    from schemas.events import Event

DAYS = 75
PARTITIONS = 2
LIVES = 40


class Message(NamedTuple):
    """A record as a producer has it: when it is known, and what it says."""

    known_ms: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


class _Life:
    """Writes down the events of one borrower, with ids of their own."""

    def __init__(self, number: int) -> None:
        self.dice = Random(number)  # noqa: S311 - nothing secret
        self.subject = f"b-{number:03}"
        self.said: list[Event] = []

    def id(self) -> dict[str, Any]:
        """The next event's envelope."""
        return {"subject": self.subject, "identity": f"{self.subject}-{len(self.said)}"}

    def live(self) -> list[Event]:
        """A loan, its payments as they come or not, an account, a bureau, a dialler."""
        day = self.dice.randrange(8)
        due = [day + step for step in range(8, DAYS - day, self.dice.choice((8, 12)))]
        self.said.append(say.opened(due, day=day, **self.id()))
        for at in due:
            self._pay(at)
        for at in range(day, DAYS, self.dice.choice((7, 14))):
            self._bank(at)
        self._others(day)
        return self.said

    def _pay(self, due: int) -> None:
        roll, payment = self.dice.random(), f"p-{self.subject}-{due}"
        if roll < 0.45:
            self.said.append(say.paid(due, payment=payment, **self.id()))
        elif roll < 0.6:
            self.said.append(say.paid(due + 2, payment=payment, **self.id()))
            self.said.append(say.returned(due + 4, payment, source=say.SERVICING, **self.id()))
        elif roll < 0.75:
            self.said.append(say.paid(due, 400, payment=payment, **self.id()))
        elif roll < 0.9:  # Booked late, valued in time: it disproves the alarm.
            late = say.paid(due + self.dice.randrange(2, 6), payment=payment, valued=due, **self.id())
            self.said.append(late)
        if roll > 0.7 and self.dice.random() < 0.5:
            self.said.append(say.promised(due + 3, due + 6, promise=f"pr-{self.subject}-{due}", **self.id()))

    def _bank(self, at: int) -> None:
        salary = self.dice.random() < 0.7
        amount, balance = (50_000, 60_000) if salary else (-20_000, self.dice.choice((20_000, 500)))
        purpose = "SALA" if salary else None
        transaction = f"t-{self.subject}-{at}"
        self.said.append(say.booked(at, amount, balance, purpose=purpose, transaction_id=transaction, **self.id()))

    def _others(self, day: int) -> None:
        if self.dice.random() < 0.5:
            burst = self.dice.randrange(day, DAYS - 10)
            for lender in range(self.dice.randrange(2, 6)):
                self.said.append(say.inquired(burst + lender, f"bank-{lender}", **self.id()))
        for _ in range(self.dice.randrange(3)):
            at = self.dice.randrange(day, DAYS)
            self.said.append(say.tried(at, contact=f"c-{self.subject}-{at}", **self.id()))


@cache
def lives() -> tuple[tuple[Message, ...], ...]:
    """All lives there are."""
    return tuple(tuple(map(_message, _Life(number).live())) for number in range(LIVES))


@cache
def heartbeats() -> tuple[Message, ...]:
    """One a day of each source."""
    found = []
    for day in range(1, DAYS + 3):
        for source in (say.SERVICING, say.BANK):
            beat = say.heartbeat(day, source)
            value = encode(beat).replace(beat.id.encode(), f"h-{source}-{day}".encode())
            found.append(Message(say.known_ms(beat), Topic.FEEDS, 0, source.encode(), value))
    return tuple(found)


def _message(event: Event) -> Message:
    key = event.subject.encode()
    return Message(say.known_ms(event), event.topic, partition_of(key, PARTITIONS), key, encode(event))
