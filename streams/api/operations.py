"""What Alertmanager says to its webhook, and what is answered of the faults that it reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from streams.stores.operations import Fault

ALERTS_MAX: Final = 1_000
LABELS_MAX: Final = 64
UNNAMED: Final = "unnamed"

Text = Annotated[str, Field(max_length=2_000)]
Texts = Annotated[dict[str, Text], Field(max_length=LABELS_MAX)]


class ReportedAlert(BaseModel):
    """An alert as Alertmanager tells of it. What it adds beyond these is not looked at."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    fingerprint: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    labels: Texts
    annotations: Texts = {}
    starts_at: Annotated[AwareDatetime, Field(alias="startsAt")]

    def fault(self) -> Fault:
        """What a case is opened or closed by."""
        name = self.labels.get("alertname", UNNAMED)[:200]
        return Fault(
            fingerprint=self.fingerprint,
            name=name,
            severity=self.labels.get("severity", "")[:32],
            summary=self.annotations.get("summary") or self.annotations.get("description") or name,
            runbook=self.annotations.get("runbook_url") or self.annotations.get("runbook"),
            labels=self.labels,
            starts_at=self.starts_at,
        )


class Report(BaseModel):
    """What Alertmanager posts to a webhook, version 4."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    alerts: Annotated[list[ReportedAlert], Field(max_length=ALERTS_MAX)]


class Reported(BaseModel):
    """What a report led to, as numbers of operations cases."""

    opened: int
    closed: int
    known: int
    """Reports that changed nothing but the time when it was last told."""


class OperationsCase(BaseModel):
    """A fault of the system itself, open until the monitoring says that it is over."""

    model_config = ConfigDict(from_attributes=True)

    case_id: str
    name: str
    severity: str
    summary: str
    runbook: str | None
    labels: dict[str, str]
    starts_at: datetime
    opened_at: datetime
    told_at: datetime
    closed_at: datetime | None


class OperationsCases(BaseModel):
    """The latest first."""

    items: tuple[OperationsCase, ...]
