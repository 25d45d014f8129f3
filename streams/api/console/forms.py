"""Actions as forms: which fields each has, who is offered it and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from schemas.events import ScheduleChangeReason
from schemas.outcomes import Verdict
from streams.api.console.words import money, spoken, titled
from streams.casework.actions import NOTE_CHARS_MAX, REASON_CHARS_MAX
from streams.stores.contact import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from streams.api.desk import CaseFile
    from streams.casework.ladder import Ladder
    from streams.stores.roles import Actor

EVERY = {"month": "month", "two_weeks": "two weeks", "week": "week"}
SUPERVISED = "Re-age and forbearance need a supervisor."
NUMBERED = "As in the loan's schedule, which the timeline shows."


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


def take(_ground: Ground) -> Form:
    """Make a case one's own."""
    return Form(kind="take", title="Take this case", button="Take this case", says="It becomes yours.")


def assign(ground: Ground) -> Form:
    """Give a case to somebody."""
    names = [Option("", "whoever has the fewest")] + [Option(name, name) for name in ground.collectors]
    to = Field(name="to", label="To", kind="choice", required=False, options=tuple(names))
    if not ground.collectors:
        to = Field(name="to", label="To", required=False, hint="An account; empty: whoever has the fewest cases.")
    needed = ground.file.case.owner is not None
    reason = Field(name="reason", label="Reason", required=needed, hint="" if needed else "Not needed.")
    return Form(kind="assign", title="Assign", button="Assign", fields=(to, reason))


def note(_ground: Ground) -> Form:
    """Write something down."""
    hint = f"Up to {NOTE_CHARS_MAX:,} characters. Notes can be erased; the history keeps only their fingerprint."
    return Form(kind="note", title="Note", button="Add note", fields=(_text("text", "Note", hint=hint),))


def promise(ground: Ground) -> Form:
    """The borrower promised to pay."""
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


def contact(ground: Ground) -> Form:
    """A contact was made by hand."""
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


def hardship(_ground: Ground) -> Form:
    """The borrower asked for help."""
    return Form(
        kind="hardship", title="Hardship", button="Record the request",
        fields=(_text("note", "What the borrower said"),),
        says="Collection and the clock stop until a supervisor has decided.",
    )  # fmt: skip


def decide_hardship(_ground: Ground) -> Form:
    """Grant or refuse help."""
    choices = (Option("yes", "Grant help"), Option("no", "Refuse"))
    fields = (
        Field(name="granted", label="Decision", kind="one_of", options=choices),
        _text("note", "Note", required=False),
    )
    return Form(kind="decide_hardship", title="Decide on hardship", button="Decide", fields=fields, heavy=True)


def dispute(_ground: Ground) -> Form:
    """The borrower disputes the debt."""
    return Form(
        kind="dispute", title="Dispute", button="Record the dispute", fields=(_text("note", "What is disputed"),),
        says="Collection and the clock stop until it is settled.",
    )  # fmt: skip


def end_dispute(_ground: Ground) -> Form:
    """The dispute is settled."""
    fields = (_text("note", "How it was settled"),)
    return Form(kind="end_dispute", title="End the dispute", button="The dispute is settled", fields=fields)


def hold(ground: Ground) -> Form:
    """Stop the case until a day."""
    most = ground.today + timedelta(days=ground.ladder.holds.days_max)
    until = Field(
        name="until", label="Until the end of", kind="day", earliest=ground.today.isoformat(), latest=most.isoformat()
    )
    return Form(
        kind="hold", title="Hold", button="Put on hold", fields=(until, _reason()), says="The clock stands still."
    )


def resume(_ground: Ground) -> Form:
    """End a hold."""
    return Form(kind="resume", title="Resume", button="End the hold now", says="The clock goes on.")


def plan(ground: Ground) -> Form:
    """A new schedule was agreed."""
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


def request_approval(ground: Ground) -> Form:
    """Ask for a hard step."""
    steps = tuple(Option(step.value, titled(step)) for step in sorted(ground.ladder.hard_steps.on))
    fields = (Field(name="step", label="Step", kind="choice", options=steps), _reason())
    return Form(
        kind="request_approval", title="Ask for a hard step", button="Ask a supervisor", fields=fields,
        says="A supervisor other than you decides.",
    )  # fmt: skip


def judge(ground: Ground) -> Form:
    """Say whether the alerts were right."""
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


def close(_ground: Ground) -> Form:
    """End a case by hand."""
    ends = (Option("settled", "Settled"), Option("uncollectable", "Uncollectable"), Option("other", "Other"))
    fields = (Field(name="as", label="As", kind="choice", options=ends), _reason())
    return Form(kind="close", title="Close", button="Close the case", fields=fields, heavy=True)


def reopen(_ground: Ground) -> Form:
    """Take up a case that was ended."""
    return Form(kind="reopen", title="Reopen", button="Reopen the case", fields=(_reason(),))


def cancel_promise(_ground: Ground) -> Form:
    """Take a promise back; it stands beside the promise."""
    fields = (Field(name="promise_id", label="", kind="hidden"), _reason("Why it is cancelled"))
    return Form(kind="cancel_promise", title="Cancel the promise", button="Cancel the promise", fields=fields)


def decide_approval(_ground: Ground) -> Form:
    """Decide on a hard step; it stands beside the request."""
    choices = (Option("yes", "Approve"), Option("no", "Decline"))
    fields = (
        Field(name="approval_id", label="", kind="hidden"),
        Field(name="approve", label="Decision", kind="one_of", options=choices),
        _text("note", "Note", required=False),
    )
    return Form(kind="decide_approval", title="Decide", button="Decide", fields=fields, heavy=True)
