"""The policy: every setting that decides an alert, in one versioned document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from streams.engine.scorecard import Scorecard


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Settings):
    """What is expected of one source. Its name is the CloudEvents `source` of its events."""

    heartbeats: bool | None = Field(
        default=None, description="Whether it sends heartbeats; unset: it does from its first one on"
    )
    quiet_hours: int | None = Field(
        default=None, ge=1, le=24 * 90, description="Its own limit in place of the general one"
    )
    stale_minutes: int | None = Field(default=None, ge=1, le=60 * 24 * 30, description="The same for heartbeats")


class Feeds(_Settings):
    """When a source counts as complete, and when as stale."""

    sources: dict[str, Source] = {}

    quiet_hours: int = Field(
        default=26,
        ge=1,
        le=24 * 90,
        description="A source without heartbeats that sent nothing for longer is not complete",
    )
    stale_minutes: int = Field(
        default=180, ge=1, le=60 * 24 * 30, description="A source whose last heartbeat is older is stale"
    )


class Limits(_Settings):
    """How old or far ahead an event may be, and how long things are kept."""

    horizon_days: int = Field(default=400, ge=1, description="Older transactions and bureau events are dead letters")
    future_days: int = Field(default=1, ge=0, description="Events further ahead are dead letters")
    unknown_loan_days: int = Field(default=30, ge=0, description="How long a fact waits for its loan")
    unknown_loan_facts: int = Field(default=16, ge=0, le=256, description="How many facts of a borrower wait")
    unknown_loan_bytes: int = Field(default=65_536, ge=0, le=524_288, description="How many bytes of a borrower wait")
    loans: int = Field(default=200, ge=1, le=1_000, description="How many loans of a borrower are kept at once")
    closed_loan_days: int = Field(default=100, ge=1, description="How long a loan that ended is kept")


class Servicing(_Settings):
    """How days past due are counted."""

    materiality_minor: int = Field(
        default=0, ge=0, description="An installment with no more than this outstanding is paid"
    )
    business_days: Annotated[str, Field(pattern="^(none|following)$")] = "none"


class Policy(_Settings):
    """One version of all settings. `detectors` holds the settings of each detector by its key."""

    version: Annotated[str, Field(min_length=1, max_length=64)] = "default-1"
    servicing: Servicing = Servicing()
    feeds: Feeds = Feeds()
    limits: Limits = Limits()
    detectors: dict[str, dict[str, Any]] = {}
    scorecard: Scorecard = Scorecard()
