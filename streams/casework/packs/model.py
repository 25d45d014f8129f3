"""A pack of contact rules as data: each rule with the document it is read from. A misspelt key is a mistake."""

from __future__ import annotations

from datetime import time
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from streams.casework.contact import Channel, Kind
from streams.casework.days_off import has_calendar

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WAIT_DAYS_MAX = 60
CAP_DAYS_MAX = 60
"""A rule that looks further would reach past the days for which a next moment is sought."""

AT_AN_HOUR = frozenset(Channel) - {Channel.LETTER}
"""A letter arrives at no hour of the sender's choice; everything else does."""

_SPOKEN = {
    Channel.CALL: "calls",
    Channel.SMS: "text messages",
    Channel.EMAIL: "e-mails",
    Channel.PUSH: "push messages",
    Channel.LETTER: "letters",
    Channel.VISIT: "visits",
    Channel.CHAT: "chats",
}


def _no_number(value: object) -> object:
    """The time of day as TOML writes it; a bare number would silently be read as seconds."""
    if isinstance(value, (int, float)):
        raise ValueError('a time of day is written "08:00"')  # noqa: TRY004 - pydantic reports a ValueError with its place
    return value


LINE_MAX = 500
_LINE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(max_length=LINE_MAX, pattern=_LINE, strip_whitespace=True)]
Text = Annotated[Line, StringConstraints(min_length=1)]
LocalTime = Annotated[time, BeforeValidator(_no_number)]
Channels = Annotated[frozenset[Channel], Field(min_length=1)]


class Rule(BaseModel):
    """What every rule says of itself: where it stands, how we read it, and whether the document was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    document: Text
    """The law, regulation, circular or standard."""
    section: Line = ""
    """Where in it."""
    reading: Line = ""
    """How its words were read where they leave a choice."""
    unverified: StrictBool = False
    """Believed, but not seen in the document: have it checked before it is shown as law."""

    @cached_property
    def source(self) -> str:
        """Document and section in one line."""
        return f"{self.document}, {self.section}" if self.section else self.document

    @cached_property
    def says(self) -> str:
        """The rule in one line."""
        raise NotImplementedError


class Hours(Rule):
    """The local hours of contact: `from` is the first moment within, `until` the first one that is not."""

    start: LocalTime = Field(alias="from")
    until: LocalTime
    channels: Channels = AT_AN_HOUR

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.start.tzinfo or self.until.tzinfo:
            raise ValueError("from and until are local times, without a zone")
        if self.start == self.until:
            raise ValueError("from and until are the same: no time lies between them")
        return self

    @cached_property
    def says(self) -> str:
        """The hours in one line."""
        return f"contact from {self.start:%H:%M} until {self.until:%H:%M} local time only"


class Weekdays(Rule):
    """The days of the week, in the debtor's zone, on which there is contact."""

    allowed: Annotated[frozenset[Weekday], Field(min_length=1)]
    channels: Channels = AT_AN_HOUR

    @cached_property
    def numbers(self) -> frozenset[int]:
        """As `date.weekday()` counts."""
        return frozenset(map(WEEKDAYS.index, self.allowed))

    @cached_property
    def says(self) -> str:
        """The days in one line."""
        return f"contact on {', '.join(day.capitalize() for day in WEEKDAYS if day in self.allowed)} only"


class Holidays(Rule):
    """No contact on public holidays: of the record's country, and of the pack's."""

    channels: Channels = AT_AN_HOUR

    @cached_property
    def says(self) -> str:
        """The rule in one line."""
        return "no contact on public holidays"


class Cap(Rule):
    """At most so many contacts in so many days, on the channels it counts."""

    contacts_max: Annotated[StrictInt, Field(ge=1, le=1_000)]
    days: Annotated[StrictInt, Field(ge=1, le=CAP_DAYS_MAX)]
    counts: Channels
    """The channels whose contacts it counts, and on which it then forbids another."""
    per: Literal["borrower", "debt"] = "borrower"

    @cached_property
    def name(self) -> str:
        """What a refusal calls it."""
        return "contacts_per_day" if self.days == 1 else f"contacts_per_{self.days}_days"

    @cached_property
    def says(self) -> str:
        """The cap in one line."""
        days = "a day" if self.days == 1 else f"in {self.days} days"
        return f"at most {self.contacts_max} {_listed(self.counts)} {days} per {self.per}"


class Wait(Rule):
    """No contact for so many days after a conversation."""

    days: Annotated[StrictInt, Field(ge=1, le=WAIT_DAYS_MAX)]
    after: Channels
    """A conversation on one of these channels starts it."""
    binds: Channels
    """It forbids contact on these."""
    per: Literal["borrower", "debt"] = "borrower"
    first_day: Literal["same", "next"] = "next"
    """Counted by the calendar: whether the day of the conversation is the first of them, or the day after it."""

    @cached_property
    def says(self) -> str:
        """The wait in one line."""
        return (
            f"no {_listed(self.binds)} in the {self.days} days after a conversation"
            f" ({_listed(self.after)}), per {self.per}"
        )


class Consent(Rule):
    """Channels on which nobody is contacted who has not agreed to it, beside those of the house."""

    channels: Channels

    @cached_property
    def says(self) -> str:
        """The rule in one line."""
        return f"consent is needed for {_listed(self.channels)}"


class Hardship(Rule):
    """What the pack says of borrowers in hardship. Collection from them stops in any case."""

    binds_service: StrictBool = False
    """They get no reminders of what is due either."""
    text: Text

    @cached_property
    def says(self) -> str:
        """The rule in one line."""
        return self.text


class Support(Rule):
    """Messages of these kinds have to say what support there is; a service message reaches those still on time."""

    kinds: Annotated[frozenset[Kind], Field(min_length=1)]

    @cached_property
    def says(self) -> str:
        """The rule in one line."""
        return f"{' and '.join(sorted(self.kinds))} messages say what support and forbearance there is"


class Note(Rule):
    """What binds people and the house's own rules, and is not counted by a clock: printed, and named in refusals."""

    topic: Literal[
        "third_party", "recordings", "opted_out", "no_consent", "dispute", "scope", "conduct", "promise", "deceased"
    ]
    text: Text

    @cached_property
    def says(self) -> str:
        """The note itself."""
        return self.text


class Pack(BaseModel):
    """Everything that one law book says of contacting a borrower."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    name: str
    title: Text
    """Whose rules these are."""
    country: str | None = None
    """ISO 3166-1: whose holidays count beside those of the record's country."""
    hours: Hours | None = None
    weekdays: Weekdays | None = None
    holidays: Holidays | None = None
    caps: tuple[Cap, ...] = ()
    waits: tuple[Wait, ...] = ()
    consents: tuple[Consent, ...] = ()
    hardship: Hardship | None = None
    support: Support | None = None
    notes: tuple[Note, ...] = ()

    @field_validator("country")
    @classmethod
    def _is_known(cls, country: str | None) -> str | None:
        if country is not None and not has_calendar(country):
            raise ValueError("no calendar of holidays is known for this country: two letters of ISO 3166-1, such as ID")
        return country

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.hours or self.weekdays or self.holidays or self.caps or self.waits or self.consents):
            raise ValueError("it has no rule: give it hours, weekdays, holidays, caps, waits or consents")
        return self


def _listed(channels: frozenset[Channel]) -> str:
    return " or ".join(_SPOKEN[channel] for channel in Channel if channel in channels)
