"""What a person may do to a case: one class for each action, with who may do it. What it does stands in `acting`.

An action is what the HTTP API, the console and the command line read; `kind` says which one it is. Free text in it may
name a person, so it goes to a note that can be erased, and the audit trail keeps only its hash.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self
from unicodedata import category
from uuid import UUID  # noqa: TC003 - pydantic reads the annotations at run time

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from schemas.events import Schedule, ScheduleChangedData, ScheduleChangeReason
from schemas.fields import Currency, Day, Minor, Token  # noqa: TC001 - pydantic reads the annotations at run time
from schemas.outcomes import Verdict  # noqa: TC001 - pydantic reads the annotations at run time
from streams.casework.contact import Channel  # noqa: TC001 - pydantic reads the annotations at run time
from streams.casework.roles import Role
from streams.stores.work import HardStep  # noqa: TC001 - pydantic reads the annotations at run time

NOTE_CHARS_MAX: Final = 2_000
REASON_CHARS_MAX: Final = 500


def _printable(text: str) -> str:
    """Line breaks and tabs are text; other control characters are none, and PostgreSQL cannot keep a NUL.

    What joins letters and emoji, and every script's own spaces, is text too, though Python calls it not printable.
    """
    if any(category(character) in {"Cc", "Cs"} and character not in "\n\t\r" for character in text):
        raise ValueError("must not hold control characters")
    return text


Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_CHARS_MAX),
    AfterValidator(_printable),
]
NoteText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NOTE_CHARS_MAX),
    AfterValidator(_printable),
]


class _Action(BaseModel):
    """An action. A field that it does not have is a mistake, not something to pass over."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True, validate_by_name=True
    )

    needs: ClassVar[Role] = Role.COLLECTOR
    """The least role that may do it."""


class Take(_Action):
    """Make a case that nobody has one's own."""

    kind: Literal["take"] = "take"


class Assign(_Action):
    """Give a case to a collector."""

    kind: Literal["assign"] = "assign"
    to: Annotated[str, Field(max_length=128)] = ""
    """The account; empty for the collector with the fewest open cases."""
    reason: Reason | None = None
    """Why; needed when the case is taken from somebody."""


class Note(_Action):
    """Write something down."""

    kind: Literal["note"] = "note"
    text: NoteText


class Promise(_Action):
    """The borrower promised to pay an amount on a loan by a day. The clock stands still until then."""

    kind: Literal["promise"] = "promise"
    loan: Token
    amount_minor: Annotated[Minor, Field(gt=0)]
    currency: Currency
    promised_on: Day


class CancelPromise(_Action):
    """Take back a promise that was written down by mistake or was replaced."""

    kind: Literal["cancel_promise"] = "cancel_promise"
    promise_id: UUID
    reason: Reason


class Hardship(_Action):
    """The borrower asked for help because of hardship. Collection and the clock stop until a supervisor decides."""

    kind: Literal["hardship"] = "hardship"
    note: NoteText


class DecideHardship(_Action):
    """Grant or refuse help. Granted, collection stays stopped until a plan is agreed or the case ends."""

    needs: ClassVar[Role] = Role.SUPERVISOR
    kind: Literal["decide_hardship"] = "decide_hardship"
    granted: bool
    note: NoteText | None = None


class Dispute(_Action):
    """The borrower disputes the debt. Collection and the clock stop until the dispute is settled."""

    kind: Literal["dispute"] = "dispute"
    note: NoteText


class EndDispute(_Action):
    """The dispute is settled."""

    kind: Literal["end_dispute"] = "end_dispute"
    note: NoteText


class Hold(_Action):
    """Stop the case until a time."""

    kind: Literal["hold"] = "hold"
    until: AwareDatetime
    reason: Reason


class Resume(_Action):
    """End a hold before its time."""

    kind: Literal["resume"] = "resume"


class Plan(_Action):
    """A new schedule was agreed. Re-aging and forbearance need a supervisor."""

    kind: Literal["plan"] = "plan"
    loan: Token
    reason: ScheduleChangeReason
    effective_on: Day
    until: Day | None = None
    schedule: Schedule | tuple[()] = ()
    """The unpaid installments as they are from now on; empty only for forbearance."""

    @model_validator(mode="after")
    def _is_a_schedule(self) -> Self:
        self.as_fact()
        return self

    def as_fact(self) -> ScheduleChangedData:
        """What is published to `repayments`."""
        fields = self.model_dump(exclude={"kind"})
        return ScheduleChangedData.model_validate(fields)


class RequestApproval(_Action):
    """Ask a supervisor for a hard step."""

    kind: Literal["request_approval"] = "request_approval"
    step: HardStep
    reason: Reason


class DecideApproval(_Action):
    """Approve or decline a hard step that somebody else asked for."""

    needs: ClassVar[Role] = Role.SUPERVISOR
    kind: Literal["decide_approval"] = "decide_approval"
    approval_id: UUID
    approve: bool
    note: NoteText | None = None


class LogContact(_Action):
    """A contact was tried by hand."""

    kind: Literal["log_contact"] = "log_contact"
    channel: Channel
    loan: Token | None = None
    reached: bool
    """Whether a conversation took place."""
    note: NoteText | None = None


class Judge(_Action):
    """Say whether the alerts were right: of one episode, or of the whole case. The last judgement counts."""

    kind: Literal["judge"] = "judge"
    verdict: Verdict
    episode_id: UUID | None = None
    note: NoteText | None = None


class Close(_Action):
    """End a case by hand."""

    needs: ClassVar[Role] = Role.SUPERVISOR
    kind: Literal["close"] = "close"
    closed_as: Annotated[Literal["settled", "uncollectable", "other"], Field(alias="as")]
    reason: Reason


class Reopen(_Action):
    """Take up a case that was ended."""

    needs: ClassVar[Role] = Role.SUPERVISOR
    kind: Literal["reopen"] = "reopen"
    reason: Reason


Action = Annotated[
    Take
    | Assign
    | Note
    | Promise
    | CancelPromise
    | Hardship
    | DecideHardship
    | Dispute
    | EndDispute
    | Hold
    | Resume
    | Plan
    | RequestApproval
    | DecideApproval
    | LogContact
    | Judge
    | Close
    | Reopen,
    Field(discriminator="kind"),
]
"""Every action, told apart by `kind`."""

ACTIONS: Final[TypeAdapter[Action]] = TypeAdapter(Action)
"""Reads an action: `ACTIONS.validate_python({"kind": "take"})`."""
