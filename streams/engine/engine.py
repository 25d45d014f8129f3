"""The engine: events and ticks in, new state and alerts out. No clock, no I/O; the same input gives the same output."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas import events, traces
from schemas.alerts import Mode
from schemas.codec import InvalidEvent, Reason
from schemas.events import Topic
from streams.engine import characteristics
from streams.engine.borrower import Borrower, Snooze, Waiting
from streams.engine.calendar import DAY_MS, ms_of
from streams.engine.detector import BorrowerView
from streams.engine.episodes import Scene, by_policy, calm_until, found, reconcile, retire
from streams.engine.erasing import OVER, drop_shells, end_mark, erase, passes_over
from streams.engine.facts import LOAN_FACTS, hash_of, open_loan
from streams.engine.forgetting import drop_expired, may_forget, tidy
from streams.engine.measure import Occurrence, part_of, update
from streams.engine.portfolio.contributions import NOTHING, TELL, Told, plan_telling, tell
from streams.engine.routing import Routes, turn
from streams.engine.waiting import WAITING, give_up, release, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from schemas.alerts import Alert
    from streams.engine.detector import Detector
    from streams.engine.measure import Measure
    from streams.engine.policy import Policy
    from streams.engine.routing import Counted

SNOOZE = "_snooze"
"""A wake-up of the engine's own."""
_NOBODY: frozenset[str] = frozenset()
_REPAYMENTS = (events.RepaymentReceived, events.RepaymentReturned)
_LOANS_TAKEN_ON = (events.LoanOpened, events.LoanSnapshot)
AGING = frozenset({Topic.TRANSACTIONS, Topic.BUREAU, Topic.CONTACTS})
"""Topics whose events are too old past the horizon. Servicing facts apply at any age."""


class Origin(NamedTuple):
    """Where an event came from and when its record was written."""

    topic: str
    offset: int
    timestamp: int
    value: bytes


class Moment(NamedTuple):
    """When something is judged, and how far each source is believed to be complete then."""

    at_ms: int
    through: Callable[[str], int]


class Outcome(NamedTuple):
    """What an event or a tick did to a borrower. `changed` is False for a duplicate; the borrower is then as before."""

    alerts: Sequence[Alert] = ()
    changed: bool = True
    late: bool = False
    rejected: Sequence[tuple[Waiting, Reason, str]] = ()
    forget: bool = False
    waits: bool = False
    told: Told = NOTHING
    """What the second hop is to be told."""
    erased: bool = False
    """Whether the event was passed over, because its borrower was erased."""


PASSED_OVER = Outcome(changed=False, erased=True)
UNCHANGED = Outcome(changed=False)


class Engine:
    """One policy with its detectors. It holds nothing of any borrower."""

    def __init__(self, policy: Policy, detectors: Sequence[Detector], live_from_ms: int | None = None) -> None:
        self.policy = policy
        self.detectors = sorted((detector for detector in detectors if detector.enabled), key=turn)
        self.idle = {detector.key: detector for detector in detectors if not detector.enabled}
        """The detectors that are turned off."""
        self._live_from_ms = live_from_ms
        scored = characteristics.measures(policy.scorecard.characteristics)
        self._measures = _once([*(m for detector in self.detectors for m in detector.measures()), *scored])
        self._keys = {detector.key for detector in self.detectors} | {WAITING, SNOOZE, TELL}
        self._by_key = {measure.key: measure for group in self._measures.values() for measure in group}
        self._composites = [detector for detector in self.detectors if detector.composite]
        self._held = [detector for detector in self.detectors if detector.held_while]
        self._silent = frozenset(detector.key for detector in self.detectors if detector.shadow)
        self._by_type = {kind: [d for d in self.detectors if kind in d.listens] for kind in events.EVENTS}
        self._of_loans = [
            d for d in self.detectors if any(model.model_fields["type"].default in d.listens for model in LOAN_FACTS)
        ]
        self._asked_by = {detector.key: {m.key for m in detector.measures()} for detector in self.detectors}
        self._routes = {kind: Routes(self._measures.get(kind, ()), asked) for kind, asked in self._by_type.items()}

    @property
    def measures(self) -> list[Measure]:
        """Everything that is kept for the detectors, each once with the longest window that is asked for."""
        return list(self._by_key.values())

    def on_event(
        self,
        token: str,
        borrower: Borrower,
        event: events.Event,
        origin: Origin,
        *,
        now_ms: int,
        through: Callable[[str], int],
    ) -> Outcome:
        """Apply one event. Raises InvalidEvent, and has then changed nothing.

        `now_ms` is the lane's latest tick, `through` how far each source is complete.
        """
        at_ms = max(now_ms, origin.timestamp)
        occurred = ms_of(event.time)
        self._check_age(event, occurred, at_ms)
        if passes_over(borrower, event, occurred):
            return PASSED_OVER
        repayment = isinstance(event, _REPAYMENTS)
        key, content = hash_of(event.source, event.id), 0
        if not repayment:
            content = hash_of(event.type, event.subject, occurred, event.data.model_dump_json())  # type: ignore[attr-defined]
            known = borrower.ids.recall(key, content)
            if known is not None:
                if known:
                    return UNCHANGED
                raise InvalidEvent(Reason.ID_CONFLICT, "this source and id came with other content before")
        moment = Moment(at_ms, through)
        if isinstance(event, events.BorrowerErased):
            outcome = Outcome(self._end_all(self._scene(token, borrower, moment)))
            erase(borrower, occurred)
        else:
            outcome = self._apply(token, borrower, event, origin, moment)
        if outcome.changed:
            end_mark(borrower, event)
            if not repayment:
                borrower.ids.remember(key, content, at_ms)
            borrower.last_ms = max(borrower.last_ms, occurred)
            if event.topic in AGING and not 0 < borrower.since.get(event.topic, 0) <= occurred:
                borrower.since[event.topic] = occurred
            borrower.forget_ms = borrower.last_ms + self.policy.limits.horizon_days * DAY_MS
        return outcome

    def on_tick(self, token: str, borrower: Borrower, now_ms: int, through: Callable[[str], int]) -> Outcome:
        """Time has come to `now_ms`: judge by silence what is due and whose source is complete."""
        due = {
            key
            for key, asked in borrower.wakeups.items()
            if any(at <= now_ms and (not source or at <= through(source)) for at, source in asked)
        }
        may_end = 0 < borrower.forget_ms <= now_ms
        if not (due or may_end):
            return UNCHANGED
        rejected = list(give_up(borrower, now_ms, self.policy.limits)) if WAITING in due else []
        if SNOOZE in due:
            self._plan_snoozes(borrower, now_ms)
        told = tell(borrower, now_ms, through) if TELL in due else NOTHING
        drop_shells(borrower)
        tidy(borrower, now_ms, self.policy.limits)
        for key in due - self._keys:  # A policy has turned the detector off since.
            del borrower.wakeups[key]
        detectors = [detector for detector in self.detectors if detector.key in due or SNOOZE in due]
        alerts = self._judge(token, borrower, detectors, Moment(now_ms, through))
        if may_end and may_forget(borrower):
            return Outcome(alerts, rejected=rejected, forget=True, told=told)
        if may_end:
            borrower.forget_ms = now_ms + DAY_MS * self.policy.limits.closed_loan_days
        return Outcome(alerts, rejected=rejected, told=told)

    def on_policy(
        self, token: str, borrower: Borrower, keys: Iterable[str], now_ms: int, through: Callable[[str], int]
    ) -> Outcome:
        """This policy is in force now, and detectors of these keys may judge otherwise than they did before.

        Those turned off end what they have open. What is no longer kept for any detector is dropped.
        """
        for unkept in set(borrower.measured) - self._by_key.keys():
            borrower.drop(unkept)
        changed = set(keys)
        for key in changed - self._keys:
            borrower.wakeups.pop(key, None)
        moment = Moment(now_ms, through)
        alerts = list(self._retire(self._scene(token, borrower, moment), changed))
        over = {alert.data.detector for alert in alerts}
        asked = [d for d in self.detectors if d.key in changed or (over and d.composite) or over & d.held_while]
        return Outcome([*alerts, *self._judge(token, borrower, asked, moment)])

    def _retire(self, scene: Scene, keys: set[str]) -> Iterable[Alert]:
        """End the open episodes of detectors that are turned off, and of those now heard by others than before."""
        detectors = self.idle | {detector.key: detector for detector in self.detectors}
        for episode in scene.borrower.episodes:
            detector = detectors.get(episode.detector)
            if not episode.is_open or detector is None or episode.detector not in keys:
                continue
            if not detector.enabled:
                yield retire(scene, detector, episode, by_policy(scene, "turned this detector off"))
            elif detector.shadow != episode.shadow:
                how = f"{'began' if detector.shadow else 'ended'} a trial of it"
                yield retire(scene, detector, episode, by_policy(scene, how))

    def _end_all(self, scene: Scene) -> list[Alert]:
        """The last word on every open episode of a borrower who is erased."""
        detectors = self.idle | {detector.key: detector for detector in self.detectors}
        open_ones = [e for e in scene.borrower.episodes if e.is_open and e.detector in detectors]
        return [retire(scene, detectors[e.detector], e, OVER) for e in open_ones]

    def _check_age(self, event: events.Event, occurred: int, at_ms: int) -> None:
        limits = self.policy.limits
        if occurred > at_ms + limits.future_days * DAY_MS:
            raise InvalidEvent(Reason.FUTURE_DATED, f"occurs more than {limits.future_days} day ahead")
        if event.topic in AGING and occurred < at_ms - limits.horizon_days * DAY_MS:
            raise InvalidEvent(Reason.TOO_OLD, f"occurred more than {limits.horizon_days} days ago")

    def _check_room(self, borrower: Borrower, loan_id: str) -> None:
        """Every loan is looked at with each fact: a token that stands for everybody would stop its lane."""
        limit = self.policy.limits.loans
        if len(borrower.loans) >= limit and borrower.loan(loan_id) is None:
            raise InvalidEvent(Reason.STATE_FULL, f"the borrower has {limit} loans already")

    def _apply(
        self,
        token: str,
        borrower: Borrower,
        event: events.Event,
        origin: Origin,
        moment: Moment,
    ) -> Outcome:
        rejected: list[tuple[Waiting, Reason, str]] = []
        detectors = self._by_type[event.type]
        if isinstance(event, _LOANS_TAKEN_ON):
            self._check_room(borrower, event.data.loan)
            if not open_loan(borrower, event, self.policy.servicing):
                return UNCHANGED
            if any(waiting.loan == event.data.loan for waiting in borrower.waiting):
                rejected, detectors = list(release(borrower, event.data.loan, self.policy)), self._of_loans
        elif type(event) in LOAN_FACTS:
            loan = borrower.loan(event.data.loan)  # type: ignore[attr-defined]
            if loan is None:
                fact = Waiting(event.data.loan, moment.at_ms, *origin)  # type: ignore[attr-defined]
                return Outcome(waits=True) if wait(borrower, fact, event, self.policy.limits) else UNCHANGED
            if not LOAN_FACTS[type(event)](loan, event, self.policy.servicing):
                return UNCHANGED
        elif isinstance(event, events.BorrowerSnoozed):
            return self._snooze(token, borrower, event, moment)
        else:
            return self._measured(token, borrower, event, moment)
        plan_telling(borrower, moment.at_ms)
        alerts = self._judge(token, borrower, detectors, moment, event.traceparent)
        return Outcome(alerts, rejected=rejected)

    def _measured(self, token: str, borrower: Borrower, event: events.Event, moment: Moment) -> Outcome:
        """Count an event, and judge only where what a detector asked for has changed."""
        data = event.data  # type: ignore[attr-defined]
        route = self._routes[event.type].of(data)
        counted = self._measure(borrower, event, route.counted, moment.at_ms)
        open_ones = frozenset(e.detector for e in borrower.episodes if e.is_open) if borrower.episodes else _NOBODY
        changed = route.judged(data, open_ones)
        alerts = self._judge(token, borrower, changed, moment, event.traceparent) if changed else ()
        return Outcome(alerts, late=bool(route.counted) and not counted)

    def _snooze(self, token: str, borrower: Borrower, event: events.BorrowerSnoozed, moment: Moment) -> Outcome:
        """Calm is asked for. One that is over at once ends it, and what is still true opens."""
        data = event.data
        kept = [s for s in borrower.snoozes if s.detector != (data.detector or "")]
        borrower.snoozes = [*kept, Snooze(data.detector or "", ms_of(data.until))]
        self._plan_snoozes(borrower, moment.at_ms)
        is_over = ms_of(data.until) <= moment.at_ms
        return Outcome(self._judge(token, borrower, self.detectors, moment) if is_over else ())

    @staticmethod
    def _plan_snoozes(borrower: Borrower, now_ms: int) -> None:
        borrower.snoozes = [s for s in borrower.snoozes if s.until_ms > now_ms]
        borrower.wakeups[SNOOZE] = [(min(s.until_ms for s in borrower.snoozes), "")] if borrower.snoozes else []
        if not borrower.snoozes:
            del borrower.wakeups[SNOOZE]

    def _measure(self, borrower: Borrower, event: events.Event, asked: Iterable[Counted], at_ms: int) -> bool:
        """Count an event in the measures that it matches: whether it lies within the window of any."""
        data, counted, occurred = event.data, False, ms_of(event.time)  # type: ignore[attr-defined]
        if isinstance(event, events.TransactionBooked) and occurred >= borrower.balance_ms:
            self._note_balance(borrower, data.balance_after_minor, occurred)
        fact = Occurrence(data, event.id, event.source, occurred)
        for key, measure, parts in asked:
            counted |= update(measure, borrower.store(key, part_of(data, parts)), fact, at_ms)
        return counted

    @staticmethod
    def _note_balance(borrower: Borrower, balance: int | None, occurred: int) -> None:
        if balance is not None:
            borrower.balance, borrower.balance_ms = balance, occurred

    def _expire(self, borrower: Borrower, detectors: Iterable[Detector], at_ms: int) -> None:
        """Drop what has left the windows of what is to be looked at, so that judging changes nothing."""
        for key in {key for detector in detectors for key in self._asked_by[detector.key]}:
            drop_expired(borrower, self._by_key[key], at_ms)

    def _judge(
        self,
        token: str,
        borrower: Borrower,
        detectors: Iterable[Detector],
        moment: Moment,
        traceparent: str | None = None,
    ) -> list[Alert]:
        scene = self._scene(token, borrower, moment, traceparent)
        asked = list(detectors)
        alerts = self._reconcile(scene, [detector for detector in asked if not detector.composite])
        over = {alert.data.detector for alert in alerts if alert.data.status.is_over}
        if over:
            alerts += self._reconcile(scene, [detector for detector in self._held if over & detector.held_while])
        alerts += self._reconcile(scene, [d for d in self._composites if alerts or d in asked])
        return alerts

    def _scene(self, token: str, borrower: Borrower, moment: Moment, traceparent: str | None = None) -> Scene:
        at_ms = moment.at_ms
        view = BorrowerView(borrower, at_ms, moment.through, self.policy, self._silent)
        history = self._live_from_ms is not None and at_ms < self._live_from_ms
        mode = Mode.HISTORY if history else Mode.LIVE
        return Scene(token, borrower, view, at_ms, self.policy.version, mode, traces.valid(traceparent))

    def _reconcile(self, scene: Scene, detectors: Sequence[Detector]) -> list[Alert]:
        """The alerts of these detectors, one after the other, and when each wants to be judged again."""
        if not detectors:
            return []
        self._expire(scene.borrower, detectors, scene.at_ms)
        alerts: list[Alert] = []
        wakeups = scene.borrower.wakeups
        for detector in detectors:
            alerts.extend(reconcile(scene, detector, found(scene, detector)))
            asked = [(w.at_ms, w.source) for w in detector.wakeups(scene.view)]
            asked += [(at, "") for at in calm_until(scene.borrower, detector)]
            if asked:
                wakeups[detector.key] = asked
            else:
                wakeups.pop(detector.key, None)
        return alerts


def _once(asked: Iterable[Measure]) -> dict[str, list[Measure]]:
    """Each measure once, by the event that it counts, with the longest window that anybody asks for."""
    by_key: dict[int, Measure] = {}
    for measure in asked:
        known = by_key.setdefault(measure.key, measure)
        if measure.window_days > known.window_days:
            by_key[measure.key] = measure
    by_type: dict[str, list[Measure]] = {}
    for measure in by_key.values():
        by_type.setdefault(measure.event, []).append(measure)
    return by_type
