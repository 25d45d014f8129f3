"""Actions as forms: which fields each has, who is offered it and when, and how what was typed becomes an action."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from schemas.events import ScheduleChangeReason
from schemas.outcomes import Verdict
from streams.api.console.words import end_of_day, minor_of, money, spoken, titled
from streams.casework.actions import ACTIONS, NOTE_CHARS_MAX, REASON_CHARS_MAX
from streams.stores.case import Pause
from streams.stores.contact import Channel
from streams.stores.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from streams.api.desk import CaseFile
    from streams.casework.actions import Action
    from streams.casework.ladder import Ladder
    from streams.stores.roles import Actor

INSTALLMENTS_MAX = 60
EVERY = {"month": "month", "two_weeks": "two weeks", "week": "week"}
SUPERVISED = "Re-age and forbearance need a supervisor."
NUMBERED = "As in the loan's schedule, which the timeline shows."


class Mistyped(Exception):  # noqa: N818 - named for what is wrong
    """What was typed is no action. `faults` has a sentence for each field; that of "" is about the whole."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(sorted(faults)))
        self.faults = faults


class Option(NamedTuple):
    """One choice."""

    value: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form."""

    name: str
    label: str
    kind: str = "text"
    """text, area, day, amount, number, choice, one_of (buttons to choose with), tick, hidden"""
    required: bool = True
    hint: str = ""
    options: tuple[Option, ...] = ()
    value: str = ""
    max: int = REASON_CHARS_MAX
    earliest: str = ""
    latest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One action as a form."""

    kind: str
    title: str
    button: str
    fields: tuple[Field, ...] = ()
    says: str = ""
    heavy: bool = False
    """It cannot easily be taken back: drawn in another colour."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What forms are made on: the case, who looks, what the ladder allows, when it is."""

    file: CaseFile
    actor: Actor
    ladder: Ladder
    today: date
    collectors: Sequence[str] = ()


def forms_for(ground: Ground) -> Iterator[Form]:
    """The forms that make sense now, and that the role may send."""
    if not ground.actor.role.reaches(Role.COLLECTOR):
        return
    closed = ground.file.case.closed_at is not None
    for applies, make in _OPEN if not closed else _CLOSED:
        if applies(ground):
            yield make(ground)


def form_of(kind: str, ground: Ground, typed: Mapping[str, str]) -> Form | None:
    """The form of one action, whether or not it is offered, to be filled in again."""
    for _, make in (*_OPEN, *_CLOSED, *_SINGLE):
        form = make(ground)
        if form.kind == kind:
            return _kept(form, typed)
    return None


def _kept(form: Form, typed: Mapping[str, str]) -> Form:
    """With what a person had typed in place of what the form would suggest."""
    return replace(form, fields=tuple(replace(f, value=typed.get(f.name, "")) for f in form.fields))


def _text(name: str, label: str, *, required: bool = True, hint: str = "", most: int = NOTE_CHARS_MAX) -> Field:
    return Field(name=name, label=label, kind="area", required=required, hint=hint, max=most)


def _reason(label: str = "Reason") -> Field:
    return Field(name="reason", label=label)


def _loan(ground: Ground) -> Field:
    loans = [
        Option(loan.loan, f"{loan.loan} ({money(loan.overdue_minor, loan.currency)} overdue)")
        for loan in ground.file.case.loans
    ]
    return Field(name="loan", label="Loan", kind="choice", options=tuple(loans))


# -- the forms ------------------------------------------------------------------------------------------------------


def _take(_ground: Ground) -> Form:
    return Form(kind="take", title="Take this case", button="Take this case", says="It becomes yours.")


def _assign(ground: Ground) -> Form:
    names = [Option("", "whoever has the fewest")] + [Option(name, name) for name in ground.collectors]
    to = Field(name="to", label="To", kind="choice", required=False, options=tuple(names))
    if not ground.collectors:
        to = Field(name="to", label="To", required=False, hint="An account; empty: whoever has the fewest cases.")
    needed = ground.file.case.owner is not None
    reason = Field(name="reason", label="Reason", required=needed, hint="" if needed else "Not needed.")
    return Form(kind="assign", title="Assign", button="Assign", fields=(to, reason))


def _note(_ground: Ground) -> Form:
    hint = f"Up to {NOTE_CHARS_MAX:,} characters. Notes can be erased; the history keeps only their fingerprint."
    return Form(kind="note", title="Note", button="Add note", fields=(_text("text", "Note", hint=hint),))


def _promise(ground: Ground) -> Form:
    most = ground.today + timedelta(days=ground.ladder.promises.days_max)
    amount = Field(name="amount", label="Amount", kind="amount", value=_overdue(ground))
    on = Field(
        name="promised_on", label="To be paid by", kind="day",
        earliest=ground.today.isoformat(), latest=most.isoformat(),
        hint=f"No later than {ground.ladder.promises.days_max} days from today.",
    )  # fmt: skip
    return Form(
        kind="promise", title="Promise to pay", button="Write the promise down", fields=(_loan(ground), amount, on),
        says="The clock stands still until then, and nobody duns the borrower.",
    )  # fmt: skip


def _overdue(ground: Ground) -> str:
    loans = ground.file.case.loans
    return money(loans[0].overdue_minor, loans[0].currency, plain=True) if loans else ""


def _contact(ground: Ground) -> Form:
    channels = tuple(Option(channel.value, titled(channel)) for channel in Channel)
    loan = _loan(ground)
    options = (Option("", "none in particular"), *loan.options)
    whole = Field(name="loan", label="Loan", kind="choice", required=False, options=options)
    return Form(
        kind="log_contact", title="Contact", button="Log the contact",
        fields=(
            Field(name="channel", label="Channel", kind="choice", options=channels),
            whole,
            Field(name="reached", label="The borrower was reached", kind="tick", required=False),
            _text("note", "Note", required=False),
        ),
        says="A contact made by hand. It counts towards the caps of the contact rules.",
    )  # fmt: skip


def _hardship(_ground: Ground) -> Form:
    return Form(
        kind="hardship", title="Hardship", button="Record the request",
        fields=(_text("note", "What the borrower said"),),
        says="Collection and the clock stop until a supervisor has decided.",
    )  # fmt: skip


def _decide_hardship(_ground: Ground) -> Form:
    choices = (Option("yes", "Grant help"), Option("no", "Refuse"))
    fields = (
        Field(name="granted", label="Decision", kind="one_of", options=choices),
        _text("note", "Note", required=False),
    )
    return Form(kind="decide_hardship", title="Decide on hardship", button="Decide", fields=fields, heavy=True)


def _dispute(_ground: Ground) -> Form:
    return Form(
        kind="dispute", title="Dispute", button="Record the dispute", fields=(_text("note", "What is disputed"),),
        says="Collection and the clock stop until it is settled.",
    )  # fmt: skip


def _end_dispute(_ground: Ground) -> Form:
    fields = (_text("note", "How it was settled"),)
    return Form(kind="end_dispute", title="End the dispute", button="The dispute is settled", fields=fields)


def _hold(ground: Ground) -> Form:
    most = ground.today + timedelta(days=ground.ladder.holds.days_max)
    until = Field(
        name="until", label="Until the end of", kind="day", earliest=ground.today.isoformat(), latest=most.isoformat()
    )
    return Form(
        kind="hold", title="Hold", button="Put on hold", fields=(until, _reason()), says="The clock stands still."
    )


def _resume(_ground: Ground) -> Form:
    return Form(kind="resume", title="Resume", button="End the hold now", says="The clock goes on.")


def _plan(ground: Ground) -> Form:
    reasons = tuple(Option(reason.value, titled(reason)) for reason in ScheduleChangeReason)
    tomorrow = (ground.today + timedelta(days=1)).isoformat()
    every = tuple(Option(value, f"every {name}") for value, name in EVERY.items())
    fields = (
        _loan(ground),
        Field(name="plan_reason", label="Kind", kind="choice", options=reasons, hint=SUPERVISED),
        Field(name="effective_on", label="From", kind="day", value=ground.today.isoformat()),
        Field(name="until", label="Forbearance until", kind="day", required=False, hint="For forbearance only."),
        Field(name="count", label="Installments", kind="number", required=False, hint="Empty only for forbearance."),
        Field(name="each", label="Amount of each", kind="amount", required=False),
        Field(name="first_due", label="First one due", kind="day", required=False, earliest=tomorrow),
        Field(name="every", label="Then", kind="choice", options=every),
        Field(name="first_number", label="Number of the first", kind="number", required=False, hint=NUMBERED),
    )  # fmt: skip
    return Form(
        kind="plan", title="Plan", button="Agree the plan", fields=fields, heavy=True,
        says="The unpaid rest of the loan gets this schedule, and servicing is told.",
    )  # fmt: skip


def _request_approval(ground: Ground) -> Form:
    steps = tuple(Option(step.value, titled(step)) for step in sorted(ground.ladder.hard_steps.on))
    fields = (Field(name="step", label="Step", kind="choice", options=steps), _reason())
    return Form(
        kind="request_approval", title="Ask for a hard step", button="Ask a supervisor", fields=fields,
        says="A supervisor other than you decides.",
    )  # fmt: skip


def _judge(ground: Ground) -> Form:
    verdicts = tuple(Option(verdict.value, titled(verdict)) for verdict in Verdict)
    named = ((episode.episode_id, f"{spoken(episode.detector)}, {episode.onset}") for episode in ground.file.episodes)
    episodes = (Option("", "every alert not judged yet"), *(Option(*pair) for pair in named))
    fields = (
        Field(name="verdict", label="Verdict", kind="choice", options=verdicts),
        Field(name="episode_id", label="Of", kind="choice", required=False, options=episodes),
        _text("note", "Note", required=False),
    )
    return Form(
        kind="judge", title="Judge the alerts", button="Judge", fields=fields,
        says="Were the alerts right? This gives each detector its precision.",
    )  # fmt: skip


def _close(_ground: Ground) -> Form:
    ends = (Option("settled", "Settled"), Option("uncollectable", "Uncollectable"), Option("other", "Other"))
    fields = (Field(name="as", label="As", kind="choice", options=ends), _reason())
    return Form(kind="close", title="Close", button="Close the case", fields=fields, heavy=True)


def _reopen(_ground: Ground) -> Form:
    return Form(kind="reopen", title="Reopen", button="Reopen the case", fields=(_reason(),))


def _cancel_promise(_ground: Ground) -> Form:
    fields = (Field(name="promise_id", label="", kind="hidden"), _reason("Why it is cancelled"))
    return Form(kind="cancel_promise", title="Cancel the promise", button="Cancel the promise", fields=fields)


def _decide_approval(_ground: Ground) -> Form:
    choices = (Option("yes", "Approve"), Option("no", "Decline"))
    fields = (
        Field(name="approval_id", label="", kind="hidden"),
        Field(name="approve", label="Decision", kind="one_of", options=choices),
        _text("note", "Note", required=False),
    )
    return Form(kind="decide_approval", title="Decide", button="Decide", fields=fields, heavy=True)


# -- when each is offered -------------------------------------------------------------------------------------------


def _always(_ground: Ground) -> bool:
    return True


def _free(ground: Ground) -> bool:
    return ground.file.case.owner is None


def _has_loans(ground: Ground) -> bool:
    return bool(ground.file.case.loans)


def _supervises(ground: Ground) -> bool:
    return ground.actor.role.reaches(Role.SUPERVISOR)


def _paused(pause: Pause) -> Callable[[Ground], bool]:
    return lambda ground: pause in ground.file.case.pauses


def _not_paused(pause: Pause) -> Callable[[Ground], bool]:
    return lambda ground: pause not in ground.file.case.pauses


def _wants_decision(ground: Ground) -> bool:
    case = ground.file.case
    return _supervises(ground) and Pause.HARDSHIP in case.pauses and not case.hardship_granted


def _some_step_is_on(ground: Ground) -> bool:
    return bool(ground.ladder.hard_steps.on)


def _has_episodes(ground: Ground) -> bool:
    return bool(ground.file.episodes)


_Make = tuple["Callable[[Ground], bool]", "Callable[[Ground], Form]"]
_OPEN: tuple[_Make, ...] = (
    (_free, _take),
    (_wants_decision, _decide_hardship),
    (_paused(Pause.DISPUTE), _end_dispute),
    (_paused(Pause.HOLD), _resume),
    (_always, _note),
    (_always, _contact),
    (_has_loans, _promise),
    (_has_loans, _plan),
    (_not_paused(Pause.HARDSHIP), _hardship),
    (_not_paused(Pause.DISPUTE), _dispute),
    (_not_paused(Pause.HOLD), _hold),
    (_some_step_is_on, _request_approval),
    (_has_episodes, _judge),
    (_always, _assign),
    (_supervises, _close),
)
_CLOSED: tuple[_Make, ...] = ((_always, _note), (_has_episodes, _judge), (_supervises, _reopen))
_SINGLE: tuple[_Make, ...] = ((_always, _cancel_promise), (_always, _decide_approval))
"""Forms about one promise or one request, which stand beside it."""


# -- from what was typed to an action -------------------------------------------------------------------------------


def action_of(kind: str, typed: Mapping[str, str], ground: Ground) -> Action:
    """The action. Raises Mistyped."""
    read = _READ.get(kind, _as_typed)
    try:
        return ACTIONS.validate_python({"kind": kind, **read(typed, ground)})
    except ValidationError as invalid:
        raise Mistyped(_faults(invalid)) from None


def _as_typed(typed: Mapping[str, str], _ground: Ground) -> dict[str, Any]:
    return {name: value for name, value in typed.items() if value}


def _read_promise(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    currency = _currency(typed.get("loan", ""), ground)
    on = _day(typed, "promised_on")
    amount = _amount(typed, "amount", currency)
    return {"loan": typed["loan"], "currency": currency, "amount_minor": amount, "promised_on": on}


def _read_hold(typed: Mapping[str, str], _ground: Ground) -> dict[str, Any]:
    return {"until": end_of_day(_day(typed, "until")), "reason": typed.get("reason", "")}


def _read_decision(name: str) -> Callable[[Mapping[str, str], Ground], dict[str, Any]]:
    def read(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
        if typed.get(name) not in {"yes", "no"}:
            raise Mistyped({name: "choose one"})
        return _as_typed(typed, ground) | {name: typed[name] == "yes"}

    return read


def _read_contact(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    return _as_typed(typed, ground) | {"reached": typed.get("reached") == "yes"}


def _read_plan(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "loan": typed.get("loan", ""),
        "reason": typed.get("plan_reason", ""),
        "effective_on": _day(typed, "effective_on"),
    }
    if typed.get("until"):
        plan["until"] = _day(typed, "until")
    if typed.get("count"):
        plan["schedule"] = _schedule(typed, ground)
    return plan


def _schedule(typed: Mapping[str, str], ground: Ground) -> list[dict[str, Any]]:
    count, first = _number(typed, "count"), _number(typed, "first_number")
    amount = _amount(typed, "each", _currency(typed.get("loan", ""), ground))
    due, every = _day(typed, "first_due"), typed.get("every", "month")
    return [{"number": first + n, "due_on": _after(due, n, every), "amount_minor": amount} for n in range(count)]


def _after(due: date, times: int, every: str) -> date:
    if every != "month":
        return due + timedelta(weeks=times * (2 if every == "two_weeks" else 1))
    months = due.month - 1 + times
    first = date(due.year + months // 12, months % 12 + 1, 1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(due.day, last.day))


_READ: dict[str, Callable[[Mapping[str, str], Ground], dict[str, Any]]] = {
    "promise": _read_promise,
    "hold": _read_hold,
    "plan": _read_plan,
    "log_contact": _read_contact,
    "decide_hardship": _read_decision("granted"),
    "decide_approval": _read_decision("approve"),
}


def _currency(loan: str, ground: Ground) -> str:
    found = next((one.currency for one in ground.file.case.loans if one.loan == loan), None)
    if found is None:
        raise Mistyped({"loan": "choose a loan of this case"})
    return found


def _amount(typed: Mapping[str, str], name: str, currency: str) -> int:
    try:
        return minor_of(typed.get(name, ""), currency)
    except ValueError as wrong:
        raise Mistyped({name: str(wrong)}) from None


def _day(typed: Mapping[str, str], name: str) -> date:
    try:
        return date.fromisoformat(typed.get(name, ""))
    except ValueError:
        raise Mistyped({name: "write a day, such as 2025-06-30"}) from None


def _number(typed: Mapping[str, str], name: str) -> int:
    text = typed.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= INSTALLMENTS_MAX * 20):
        raise Mistyped({name: "write a number from 1"})
    if name == "count" and int(text) > INSTALLMENTS_MAX:
        raise Mistyped({name: f"at most {INSTALLMENTS_MAX} installments"})
    return int(text)


_FIELD_OF = {"amount_minor": "amount", "closed_as": "as", "schedule": "count"}


def _faults(invalid: ValidationError) -> dict[str, str]:
    """A sentence for each field. Without the input: it may be anything."""
    faults: dict[str, str] = {}
    for error in invalid.errors(include_url=False, include_input=False, include_context=True):
        place = [part for part in error["loc"][1:] if isinstance(part, str)]
        name = _FIELD_OF.get(place[0], place[0]) if place else ""
        faults.setdefault(name, _SENTENCES.get(error["type"]) or error["msg"].removeprefix("Value error, "))
    return faults


_SENTENCES = {
    "missing": "this is needed",
    "string_too_short": "this is needed",
    "extra_forbidden": "this form has no such field",
    "union_tag_invalid": "there is no such action",
    "enum": "choose one",
    "literal_error": "choose one",
    "uuid_parsing": "this is no id",
}
