"""Rows of the database to values and back."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from schemas.alerts import AlertStatus, Mode, Severity
from streams.stores.case import Case, CaseLoan, CaseState, Episode, Pause, Stage
from streams.stores.work import (
    Approval,
    ApprovalState,
    HardStep,
    Judgement,
    Note,
    Plan,
    Promise,
    PromiseState,
)

if TYPE_CHECKING:
    from sqlalchemy import Row


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in row.items()}


def case_row(case: Case) -> dict[str, Any]:
    """The row of a case; its loans have their own."""
    row = _plain(asdict(case))
    del row["loans"]
    row["pauses"] = ",".join(case.pauses)
    return row


def case_from(row: Row[Any], loans: tuple[CaseLoan, ...]) -> Case:
    """The case of a row."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values.update(
        state=CaseState(row.state),
        stage=Stage(row.stage),
        severity=Severity(row.severity),
        pauses=tuple(map(Pause, row.pauses.split(","))) if row.pauses else (),
    )
    return Case(**values, loans=loans)


def loan_from(row: Row[Any]) -> CaseLoan:
    """The loan of a row."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    del values["case_id"]
    return CaseLoan(**values)


def episode_row(episode: Episode) -> dict[str, Any]:
    """The row of an episode. One that is loose has an empty case id: a part of a primary key is never NULL."""
    row = _plain(asdict(episode))
    row.update(case_id=episode.case_id or "", measures=list(row["measures"]))
    return row


def work_row(value: Promise | Approval | Plan | Note | Judgement) -> dict[str, Any]:
    """The row of something that a person made in a case."""
    return _plain(asdict(value))


def plan_row(plan: Plan) -> dict[str, Any]:
    """The row of a plan; its schedule is a list."""
    return {**work_row(plan), "schedule": list(plan.schedule)}


def promise_from(row: Row[Any]) -> Promise:
    """The promise of a row."""
    return Promise(**_mapped(row, state=PromiseState(row.state)))


def approval_from(row: Row[Any]) -> Approval:
    """The approval of a row."""
    return Approval(**_mapped(row, step=HardStep(row.step), state=ApprovalState(row.state)))


def plan_from(row: Row[Any]) -> Plan:
    """The plan of a row."""
    return Plan(**_mapped(row, schedule=tuple(row.schedule)))


def note_from(row: Row[Any]) -> Note:
    """The note of a row."""
    return Note(**_mapped(row))


def judgement_from(row: Row[Any]) -> Judgement:
    """The judgement of a row."""
    return Judgement(**_mapped(row))


def _mapped(row: Row[Any], **typed: Any) -> dict[str, Any]:
    return {**row._mapping, **typed}  # noqa: SLF001 - SQLAlchemy's public name for it


def episode_from(row: Row[Any]) -> Episode:
    """The episode of a row."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values.update(
        case_id=row.case_id or None,
        mode=Mode(row.mode),
        status=AlertStatus(row.status),
        severity=Severity(row.severity),
        measures=tuple(row.measures),
    )
    return Episode(**values)
