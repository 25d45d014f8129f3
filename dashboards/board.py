"""A dashboard: rows of questions, what they can be narrowed to, and the way to the other dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import SOURCE, panel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboards.panels import Question

TAG: Final = "early-warning"
"""By which the dashboards know each other."""


@dataclass(frozen=True)
class Variable:
    """A label whose values can be chosen, as a metric has them; all of them at first."""

    name: str
    metric: str
    label: str = ""
    """The label on that metric, if it is not called like the variable."""


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Question]]
    variables: Sequence[Variable] = ()
    since: str = "now-30m"
    refresh: str = "10s"

    @property
    def path(self) -> str:
        """The file that Grafana loads, from the root."""
        return f"dashboards/{self.uid.removeprefix('ews-').replace('-', '_')}.json"


def built(board: Board) -> dashboards.Dashboard:
    """The dashboard as the SDK has it."""
    builder = (
        dashboards.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .refresh(board.refresh)
        .time(board.since, "now")
        .timezone("browser")
        .readonly()
        .link(_others())
        .with_variable(dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in board.variables:
        builder.with_variable(_choice(variable))
    numbers = count(1)
    for title, questions in board.rows.items():
        builder.with_row(dashboards.Row(title).id(next(numbers)))
        for question in questions:
            builder.with_panel(panel(question).id(next(numbers)))
    return builder


def _others() -> dashboards.DashboardLink:
    link = dashboards.DashboardLink("Early warning").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.keep_time(True).include_vars(True)  # noqa: FBT003 - the SDK's signature


def _choice(variable: Variable) -> dashboards.QueryVariable:
    asked = f"label_values({variable.metric}, {variable.label or variable.name})"
    return (
        dashboards.QueryVariable(variable.name)
        .label(variable.name.capitalize())
        .datasource(SOURCE)
        .query({"query": asked, "refId": variable.name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003 - the SDK's signature
        .include_all(True)  # noqa: FBT003 - the same
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )
