"""A panel answers one question: its title. This turns questions into Grafana's panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE: Final = "$__rate_interval"

Level = Literal["yellow", "red"]
Panel = TypeVar("Panel", timeseries.Panel, stat.Panel)


@dataclass(frozen=True)
class Question:
    """What an operator asks, what the answer is counted in, and from which value on it is bad."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    """Expression and legend."""
    levels: Sequence[tuple[float, Level]] = ()
    single: bool = False
    """One number instead of a curve."""


def panel(question: Question) -> timeseries.Panel | stat.Panel:
    """The panel for a question."""
    return _stat(question) if question.single else _curve(question)


def _curve(question: Question) -> timeseries.Panel:
    builder = (
        timeseries.Panel()
        .fill_opacity(10)
        .show_points(common.VisibilityMode.NEVER)
        .legend(common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True))  # noqa: FBT003 - the SDK's signature
        .thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(_line(question)))
        .span(12)
    )
    return _filled(builder, question)


def _line(question: Question) -> common.GraphTresholdsStyleMode:
    return common.GraphTresholdsStyleMode.DASHED if question.levels else common.GraphTresholdsStyleMode.OFF


def _stat(question: Question) -> stat.Panel:
    return _filled(stat.Panel().span(6), question)


def _filled(builder: Panel, question: Question) -> Panel:
    steps = [Threshold(color="green"), *(Threshold(color=color, value=value) for value, color in question.levels)]
    builder.title(question.title).description(question.description).unit(question.unit).height(8).datasource(SOURCE)
    builder.thresholds(dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for number, (expression, legend) in enumerate(question.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[number])
        builder.with_target(query.datasource(SOURCE))
    return builder
