"""What a detector is, what it may see and what it may say.

A detector is a frozen model: its fields are its settings, `measures` is what it wants kept, `judge` says what is true
as far as the facts reach, `wakeups` when silence would become news. It keeps nothing itself. The engine compares what
it says with the open episodes and makes the alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import Severity
from streams.engine.calendar import local_day, midnight_ms
from streams.engine.measure import Measure, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from schemas import alerts
    from schemas.events import Topic
    from streams.engine.borrower import Borrower, Episode
    from streams.engine.loan import Loan
    from streams.engine.past import Past
    from streams.engine.policy import Policy

HOME_ZONE = "UTC"
LOAN_EVENTS = frozenset(
    {
        "ews.loan.opened.v1", "ews.loan.snapshot.v1", "ews.loan.schedule_changed.v1", "ews.repayment.received.v1",
        "ews.repayment.returned.v1", "ews.loan.closed.v1", "ews.loan.charged_off.v1",
    }
)  # fmt: skip
"""What changes what is owed on a loan, and so what a detector of days past due listens to."""


class Finding(NamedTuple):
    """What a detector sees: that there is trouble, or (`over`) that there was and how it ended.

    `onset` is the day that names the episode; None stands for the local day on which it is first seen. A finding that
    was there and is no longer said at all was never true (`withdrawn`) if the detector names its onsets; else it is
    over.
    """

    loan: str
    onset: int | None
    step: int
    severity: Severity
    reason: str
    measures: tuple[alerts.Measure, ...]
    evidence: tuple[str, ...] = ()
    over: str | None = None
    risk: alerts.Risk | None = None
    first_step: str = ""
    """In place of the detector's, where what was found asks for another one."""


class Wakeup(NamedTuple):
    """When to be judged again if nothing comes, and the source that must be complete by then ('' is the clock)."""

    at_ms: int
    source: str = ""


class BorrowerView:
    """What a detector may see of a borrower at one moment."""

    __slots__ = ("_borrower", "_policy", "_silent", "_through", "now_ms")

    def __init__(
        self,
        borrower: Borrower,
        now_ms: int,
        through: Callable[[str], int],
        policy: Policy | None = None,
        silent: frozenset[str] = frozenset(),
    ) -> None:
        self._borrower = borrower
        self._through = through
        self._policy = policy
        self._silent = silent
        self.now_ms = now_ms

    @property
    def loans(self) -> Iterable[Loan]:
        """The loans that are known, closed ones for a while too."""
        return self._borrower.loans

    @property
    def past(self) -> Sequence[Past]:
        """The loans that were dropped since they ended, in short, oldest first."""
        return self._borrower.past

    @property
    def zone(self) -> str:
        """The zone of the borrower's latest loan, else UTC."""
        return self._borrower.loans[-1].zone if self._borrower.loans else HOME_ZONE

    def complete_ms(self, source: str) -> int:
        """How far a source may be believed to be complete: never past now. Silence is judged as of then."""
        return min(self.now_ms, self._through(source))

    def day(self, loan: Loan) -> int:
        """The local day of a loan as of which its silence is judged."""
        return local_day(self.complete_ms(loan.source), loan.zone)

    @property
    def policy(self) -> Policy:
        """The policy as a whole, for what goes beyond one detector (the scorecard)."""
        assert self._policy is not None
        return self._policy

    @property
    def balance(self) -> int | None:
        """The latest balance of the account, in minor units, or None."""
        return self._borrower.balance

    def since_ms(self, topic: Topic) -> int:
        """The earliest event of a topic that is known of the borrower, 0 if there is none."""
        return self._borrower.since.get(topic, 0)

    def store(self, measure: Measure, part: str = "") -> Store:
        """What is kept for a measure (money: of one currency), without what has left its window."""
        return self._borrower.parts(measure.key).get(part) or Store()

    def stores(self, measure: Measure) -> Iterable[tuple[str, Store]]:
        """What is kept for a measure by part: currencies, accounts, models of a score."""
        return self._borrower.parts(measure.key).items()

    def open_episodes(self) -> Iterator[Episode]:
        """The open episodes of detectors that are not on trial."""
        return (e for e in self._borrower.episodes if e.is_open and e.detector not in self._silent)

    def ended_episodes(self, since_ms: int) -> Iterator[Episode]:
        """The episodes of detectors that are not on trial which have ended since an instant."""
        ended = (e for e in self._borrower.episodes if not e.is_open and e.changed_ms >= since_ms)
        return (e for e in ended if e.detector not in self._silent)

    def episode(self, detector: str, loan: str) -> Episode | None:
        """The open episode of a detector and loan, or None."""
        return next(
            (e for e in self._borrower.episodes if e.is_open and e.detector == detector and e.loan == loan), None
        )

    def is_open(self, loan: str, onset: int) -> bool:
        """Whether an episode of a loan with that onset is open, whoever saw it."""
        return any(e.is_open and e.loan == loan and e.onset == onset for e in self._borrower.episodes)


class Detector(BaseModel):
    """The settings and the judgement of one indicator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: ClassVar[str]
    version: ClassVar[int] = 1
    listens: ClassVar[frozenset[str]]
    """The event types after which it is judged."""
    first_step: ClassVar[str]
    """What a collector should do first."""
    composite: ClassVar[bool] = False
    """Whether it looks at the episodes of the others: it is then judged after them, whenever one has changed."""

    enabled: bool = True
    shadow: bool = Field(
        default=False, description="On trial: its alerts have mode shadow, open no case and send nothing"
    )
    cooldown_days: int = Field(default=0, ge=0, le=365, description="Days of calm before an episode is resolved")
    held_while: frozenset[str] = Field(
        default=frozenset(), description="Detectors that say as much: while one of them is open, this one does not open"
    )

    def measures(self) -> tuple[Measure, ...]:
        """What the engine must keep for it."""
        return ()

    def quiet(self) -> tuple[Measure, ...]:
        """Those of its measures that are no reason to judge by themselves, unless an episode of its is open.

        What nearly every event changes (a balance) is looked at when something else, or a wake-up, is the reason, or
        when `minds` says so.
        """
        return ()

    def minds(self, data: object) -> bool:  # noqa: ARG002 - most do not
        """Whether the data of an event that changed only quiet measures is a reason to judge all the same."""
        return False

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """What is true as of now. Must not change anything and must say the same when asked again."""
        raise NotImplementedError

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:  # noqa: ARG002 - most look at it
        """When it wants to be judged again without an event."""
        yield from ()

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:  # noqa: ARG002 - most look at it
        """What to say of an open episode that `judge` no longer speaks of: by default that its cause has passed."""
        return ended(episode, "recovered", "What raised this alert is no longer there.")


def ended(episode: Episode, over: str, reason: str) -> Finding:
    """The last word on an episode."""
    return Finding(episode.loan, episode.onset, episode.step, Severity(episode.severity), reason, (), over=over)


def rung(steps: tuple[int, ...], days: int) -> int:
    """The highest rung that a number of days has reached, 0 if none."""
    return max((step for step in steps if step <= days), default=0)


def next_rung_at(loan: Loan, due: int, steps: tuple[int, ...], day: int) -> Wakeup | None:
    """The start of the local day on which the next rung is reached, by a loan's count of days."""
    late = loan.days_late(due, day)
    step = next((step for step in steps if step > late), None)
    if step is None or (loan.frozen(day) and any(until is None for _, until in loan.freezes)):
        return None
    passed = max(0, day - due)
    return Wakeup(midnight_ms(due + step + (passed - late), loan.zone), loan.source)
