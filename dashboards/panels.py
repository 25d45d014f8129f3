"""A panel answers one question: its title. This turns questions into Grafana's panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, Threshold, ThresholdsMode

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

Level = Literal["yellow", "red"]
Shape = Literal["curve", "stack", "number", "bars"]
"""A curve over time, curves that add up, one number, or a bar for each of many (how they stand now)."""
Panel = TypeVar("Panel", timeseries.Panel, stat.Panel, bargauge.Panel)
AnyPanel = timeseries.Panel | stat.Panel | bargauge.Panel


@dataclass(frozen=True)
class Question:
    """What is asked, what the answer is counted in, and from which value on it is bad."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    """Expression and legend."""
    levels: Sequence[tuple[float, Level]] = ()
    shape: Shape = "curve"
    leads_to: str = ""
    """The uid of the dashboard that tells more."""


def panel(question: Question) -> AnyPanel:
    """The panel for a question."""
    if question.shape == "number":
        return _filled(stat.Panel().span(6).reduce_options(_latest()), question)
    if question.shape == "bars":
        return _bars(question)
    return _curve(question)


def _curve(question: Question) -> timeseries.Panel:
    builder = (
        timeseries.Panel()
        .fill_opacity(10)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(True))  # noqa: FBT003 - the SDK's signature
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(_line(question)))
        .span(12)
    )
    if question.shape == "stack":
        builder.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL)).fill_opacity(40)
    return _filled(builder, question)


def _bars(question: Question) -> bargauge.Panel:
    builder = bargauge.Panel().orientation(kinds.VizOrientation.HORIZONTAL).reduce_options(_latest()).span(12)
    return _filled(builder.display_mode(kinds.BarGaugeDisplayMode.BASIC), question, instant=True)


def _latest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _line(question: Question) -> kinds.GraphTresholdsStyleMode:
    return kinds.GraphTresholdsStyleMode.DASHED if question.levels else kinds.GraphTresholdsStyleMode.OFF


def _filled(builder: Panel, question: Question, *, instant: bool = False) -> Panel:
    steps = [Threshold(color="green"), *(Threshold(color=color, value=value) for value, color in question.levels)]
    builder.title(question.title).description(question.description).unit(question.unit).height(8).datasource(SOURCE)
    builder.thresholds(dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if question.leads_to:
        builder.links([_link(question.leads_to)])
    for number, (expression, legend) in enumerate(question.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[number])
        builder.with_target((query.instant() if instant else query.range()).datasource(SOURCE))
    return builder


def _link(uid: str) -> dashboards.DashboardLink:
    link = dashboards.DashboardLink(f"More: {uid}").type(DashboardLinkType.LINK)
    return link.url(f"/d/{uid}?${{__url_time_range}}")
