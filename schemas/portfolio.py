"""What borrower lanes tell the second hop: how cohorts and links changed, and which days a lane has passed.

The worker writes these for itself, in the transaction of the drain that found them. Amounts and numbers are differences
to what was told before, so that they can be summed; a link's member is told as it now stands. Nothing of a day may be
acted on before every lane has passed it: then the result does not depend on how the lanes' records lie in between.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from schemas.codec import InvalidEvent, Reason, describe
from schemas.fields import Day, Token  # noqa: TC001 - pydantic reads the annotations at run time

BUCKETS: Final = 7
"""M0 (current) to M6, which holds all later ones too."""
COHORT_CHANGED: Final = "ews.cohort.changed.v1"
LINK_CHANGED: Final = "ews.link.changed.v1"
DAY_PASSED: Final = "ews.day.passed.v1"

Lane = Annotated[int, Strict(), Field(ge=0, description="The borrower lane that tells it")]
Differences = Annotated[
    tuple[Annotated[int, Strict()], ...],
    Field(min_length=BUCKETS, max_length=BUCKETS, description="By delinquency bucket: M0, M1 ... M6 and later"),
]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class CohortChanged(_Told):
    """How the loans of one lane changed a cohort by the end of a day."""

    type: Literal["ews.cohort.changed.v1"] = COHORT_CHANGED
    cohort: Token = Field(description="kind:value:currency, the value percent-encoded; the record's key")
    lane: Lane
    day: Day = Field(description="The day (UTC) at whose end it is so")
    outstanding_minor: Differences
    loans: Differences


class LinkChanged(_Told):
    """A borrower uses a device, phone, guarantor or employer, and stands in this bucket with the worst loan."""

    type: Literal["ews.link.changed.v1"] = LINK_CHANGED
    link: Token = Field(description="kind:token; the record's key")
    lane: Lane
    day: Day = Field(description="The day (UTC) at whose end it is so")
    borrower: Token
    bucket: Annotated[int, Strict(), Field(ge=0, lt=BUCKETS)] | None = Field(
        default=None, description="Absent when the borrower has no running loan with this link any more"
    )


class DayPassed(_Told):
    """A lane has told all that it will ever tell of this day and those before. Every partition is told."""

    type: Literal["ews.day.passed.v1"] = DAY_PASSED
    lane: Lane
    day: Day


CohortRecord = Annotated[CohortChanged | DayPassed, Field(discriminator="type")]
LinkRecord = Annotated[LinkChanged | DayPassed, Field(discriminator="type")]
_cohorts: TypeAdapter[CohortChanged | DayPassed] = TypeAdapter(CohortRecord)
_links: TypeAdapter[LinkChanged | DayPassed] = TypeAdapter(LinkRecord)
Told = CohortChanged | LinkChanged | DayPassed
MODELS: Final[dict[str, type[Told]]] = {
    COHORT_CHANGED: CohortChanged, LINK_CHANGED: LinkChanged, DAY_PASSED: DayPassed,
}  # fmt: skip


def encode_told(told: Told) -> bytes:
    """The bytes of a record."""
    return told.model_dump_json(exclude_none=True).encode()


def decode_cohort(value: bytes | None) -> CohortChanged | DayPassed:
    """A record of `cohorts`. Raises InvalidEvent."""
    try:
        return _cohorts.validate_json(value or b"")
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None


def decode_link(value: bytes | None) -> LinkChanged | DayPassed:
    """A record of `links`. Raises InvalidEvent."""
    try:
        return _links.validate_json(value or b"")
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None
