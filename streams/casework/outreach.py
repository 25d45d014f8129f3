"""What an alert sends to the borrower by itself: which step, on which channels, for how long it is worth sending.

The steps stand in `outreach.toml`. Everything else of the ladder is a person's: hard steps, and whatever comes from
the day on which a collector takes over. Only live alerts about a borrower say anything here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import Mode
from streams.casework.alerts import is_of_borrower
from streams.casework.contact import Channel, Kind  # noqa: TC001 - pydantic reads the annotations at run time
from streams.casework.figures import figures_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from schemas.alerts import Alert, AlertData
    from streams.casework.figures import Figures

MESSAGES = UUID("c0a0d7a4-0b52-5a0e-9a56-58b0b6c6f1d3")
"""The namespace of the keys of messages to borrowers. Changing it would send every message again."""
UNABLE = "unable"
"""The stance of a borrower who cannot pay."""


class StepName(StrEnum):
    """The steps that need no person."""

    UPCOMING_REMINDER = "upcoming_reminder"
    OVERDUE_REMINDER = "overdue_reminder"
    AUTOMATIC_CALL = "automatic_call"
    OFFER_PLAN = "offer_plan"


class Step(BaseModel):
    """A step that needs no person: when it is taken, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Kind
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    """In order of preference."""
    worth_hours: Annotated[int, Field(ge=1, le=720)]
    """Hours from the alert on for which it is worth sending."""
    dunning: bool
    """It asks for money, so it does not go to who cannot pay."""
    detectors: frozenset[str]
    steps: tuple[int, int]
    """The first and the last step of the alert's episode that take it."""
    stance: str | None = None
    """The stance that the alert must tell of."""
    of_loan: bool = True
    """Its texts have the figures of a loan."""

    def takes(self, data: AlertData) -> bool:
        """Whether this alert is one for the step."""
        first, last = self.steps
        stance = data.risk.stance if data.risk else None
        return data.detector in self.detectors and first <= data.step <= last and self.stance in {None, stance}


class Outreach(BaseModel):
    """All steps that need no person."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fallback_language: str
    offer_calm_days: Annotated[int, Field(ge=0, le=365)]
    steps: dict[StepName, Step]

    @classmethod
    def standard(cls) -> Outreach:
        """The one of this release."""
        return _standard()

    def plan(self, alert: Alert, channels: Collection[Channel]) -> Plan:
        """What an alert does to its episode's messages to the borrower, where these channels are switched on."""
        data = alert.data
        if data.mode is not Mode.LIVE or not is_of_borrower(data):
            return Plan(replaces=False, step=None)
        name = None if data.status.is_over else next((n for n, step in self.steps.items() if step.takes(data)), None)
        open_to = self.channels(name, channels) if name else ()
        figures = figures_of(data)
        if name is None or not open_to or (self.steps[name].of_loan and figures is None):
            return Plan(replaces=True, step=None)
        worth_until = alert.time + timedelta(hours=self.steps[name].worth_hours)
        return Plan(replaces=True, step=name, channel=open_to[0], worth_until=worth_until, figures=figures)

    def channels(self, name: str, switched_on: Collection[Channel]) -> tuple[Channel, ...]:
        """The channels of a step that are switched on, in order of preference."""
        return tuple(channel for channel in self.steps[StepName(name)].channels if channel in switched_on)

    def after(self, name: str, channel: Channel, switched_on: Collection[Channel]) -> Channel | None:
        """The channel to go on to where this one is refused for good; None after the last."""
        order = self.steps[StepName(name)].channels
        later = order[order.index(channel) + 1 :] if channel in order else ()
        return next((one for one in later if one in switched_on), None)

    def step(self, name: str) -> Step:
        """A step by its name."""
        return self.steps[StepName(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an alert does to the messages to its borrower."""

    replaces: bool
    """Whatever waits from earlier revisions of the episode is not to go out any more."""
    step: StepName | None
    channel: Channel | None = None
    worth_until: datetime | None = None
    figures: Figures | None = None


def message_key(alert_id: str, step: str, channel: str) -> str:
    """The same for the same alert, step and channel, for ever: the provider's idempotency key."""
    return str(uuid5(MESSAGES, f"{alert_id}\x1f{step}\x1f{channel}"))


@cache
def _standard() -> Outreach:
    text = resources.files("streams.casework").joinpath("outreach.toml").read_text("utf-8")
    return Outreach.model_validate(tomllib.loads(text))
