"""What a seed means: the portfolio, the workers, and what befalls them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.builders import at
from tests.simulation.lives import DAYS, PARTITIONS, Message, heartbeats, lives

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 6.0
"""How long the sources write, in virtual seconds."""
TROUBLE_SECONDS = 10.0
"""Until when faults happen."""
LIMIT_SECONDS = 240.0
"""A run that is not over by then hangs."""
BEGIN_MS = int(at(0, 0).timestamp() * 1000)
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
KINDS = ("init", "add", "produce", "offsets", "commit", "fetch", "ends", "begins", "heartbeat", "join")
"""Requests at which a process can be killed or paused."""
COMMITTING = ("add", "produce", "offsets", "commit")
"""Those of a transaction under way."""
ODDS = {
    "init": {"slow": 0.03},
    "add": {"slow": 0.01, "lost before": 0.002, "lost after": 0.002},
    "produce": {"slow": 0.01, "refused": 0.004, "refused after": 0.002, "lost before": 0.002, "lost after": 0.002},
    "offsets": {"slow": 0.01, "lost before": 0.002, "lost after": 0.002},
    "commit": {"slow": 0.02, "lost before": 0.01, "lost after": 0.01},
    "fetch": {"slow": 0.01},
    "ends": {"slow": 0.01, "refused": 0.005},
    "begins": {"slow": 0.005},
    "heartbeat": {"slow": 0.02},
}
POISON = ("garbage", "truncated", "wrong key", "wrong partition", "no value", "unknown type", "wrong topic")


@dataclass(slots=True)
class Plan:
    """All that is drawn before a run begins. What is drawn within it comes from the same seed."""

    seed: int
    dice: Random
    clock: str = "wall"
    workers: int = 1
    static: bool = True
    backlog: bool = False
    """Whether all events are there at the beginning."""
    part_fetches: float = 0.0
    odds: dict[str, dict[str, float]] = field(default_factory=dict)
    messages: list[tuple[float, Message]] = field(default_factory=list)
    """What is written when, in virtual seconds."""
    skews: bool = False
    compacts: bool = False
    transactional: float = 0.0
    """The share of what is written that is written in transactions, some of which are aborted."""

    def now_ms(self, now: float) -> int:
        """The wall clock of the world: days pass in virtual seconds while the sources write, then hours."""
        return BEGIN_MS + int(min(now, SECONDS) / SECONDS * DAYS * DAY_MS + max(0.0, now - SECONDS) * HOUR_MS)

    def second_of(self, moment_ms: int) -> float:
        """When it is that late in the world."""
        passed = moment_ms - BEGIN_MS
        if passed <= DAYS * DAY_MS:
            return passed / DAY_MS / DAYS * SECONDS
        return SECONDS + (passed - DAYS * DAY_MS) / HOUR_MS


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Random(seed)  # noqa: S311 - nothing secret
    plan = Plan(seed, dice)
    plan.clock = "wall" if dice.random() < 0.65 else "event"
    plan.workers = dice.choice((1, 1, 2, 2, 3))
    plan.static = dice.random() < 0.6
    plan.backlog = dice.random() < 0.2
    plan.part_fetches = dice.choice((0.0, 0.3, 0.7))
    worse = dice.choice((0.0, 1.0, 1.0, 4.0))
    plan.odds = {kind: {what: odd * worse for what, odd in odds.items()} for kind, odds in ODDS.items()}
    plan.skews = dice.random() < 0.3
    plan.compacts = dice.random() < 0.5
    plan.transactional = dice.choice((0.0, 0.0, 0.3))
    plan.messages = sorted(_written(plan), key=lambda one: one[0])
    return plan


def _written(plan: Plan) -> Iterator[tuple[float, Message]]:
    dice = plan.dice
    late = dice.choice((0.0, 0.05, 0.3))
    poison = dice.choice((0.0, 0.0, 0.05))
    repeats = dice.choice((0.0, 0.05))
    for life in dice.sample(lives(), dice.choice((1, 1, 2))):
        for message in life:
            delay = dice.random() * 3 if dice.random() < late else dice.random() * 0.02
            when = 0.0 if plan.backlog else _second(message.known_ms) + delay
            yield when, message
            if dice.random() < repeats:
                yield when + dice.random(), message
            if dice.random() < poison:
                yield when + dice.random() * 0.1, poisoned(message, dice)
    for beat in heartbeats():
        if dice.random() < 0.1:
            yield 0.0 if plan.backlog else _second(beat.known_ms) + dice.random() * 0.2, beat


def _second(known_ms: int) -> float:
    return (known_ms - BEGIN_MS) / DAY_MS / DAYS * SECONDS


def poisoned(message: Message, dice: Random) -> Message:  # noqa: PLR0911 - one for each kind
    """A record that no engine can take."""
    value = message.value or b""
    match dice.choice(POISON):
        case "garbage":
            return message._replace(value=dice.randbytes(20))
        case "truncated":
            return message._replace(value=value[: dice.randrange(len(value))])
        case "wrong key":
            return message._replace(key=b"b-nobody")
        case "wrong partition":
            return message._replace(partition=(message.partition + 1) % PARTITIONS)
        case "no value":
            return message._replace(value=None)
        case "unknown type":
            return message._replace(value=value.replace(b'"type":"', b'"type":"x.'))
        case _:
            return message._replace(topic="contacts" if message.topic != "contacts" else "bureau")
