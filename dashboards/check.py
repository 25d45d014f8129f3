"""Asks a Prometheus every expression of every panel: an empty panel is a broken one. Works on any running system.

uv run python -m dashboards.check http://127.0.0.1:9090
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from dashboards.generate import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPELINE = ROOT / "dashboards" / "pipeline.json"
TIMEOUT_SECONDS = 10.0


class Expression(NamedTuple):
    """One query of a panel, as it stands in the dashboard."""

    panel: str
    text: str


class Empty(NamedTuple):
    """An expression without data, and what Prometheus said."""

    expression: Expression
    why: str


def expressions(dashboard: Path = PIPELINE) -> Iterator[Expression]:
    """Every query of every panel."""
    for panel in _panels(json.loads(dashboard.read_text(encoding="utf-8"))["panels"]):
        for target in panel.get("targets", ()):
            yield Expression(panel["title"], target["expr"])


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels") or [])


def as_promql(text: str, window: str = "1m") -> str:
    """The expression with Grafana's variables replaced, as Prometheus understands it."""
    return text.replace("$__rate_interval", window).replace("$__range", window)


def check_dashboard(prometheus_url: str, dashboard: Path = PIPELINE, *, window: str = "1m") -> list[Empty]:
    """The expressions that give no data now; none if all is well. `window` must span a few scrapes."""
    with httpx.Client(base_url=prometheus_url, timeout=TIMEOUT_SECONDS) as client:
        asked = [(each, _why_empty(client, as_promql(each.text, window))) for each in expressions(dashboard)]
    return [Empty(each, why) for each, why in asked if why]


def _why_empty(client: httpx.Client, query: str) -> str | None:
    response = client.get("/api/v1/query", params={"query": query})
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return "Prometheus is still starting"
    answer = response.json()
    if answer["status"] != "success":
        return str(answer["error"])
    values = [float(series["value"][1]) for series in answer["data"]["result"]]
    if not values:
        return "no series"
    return None if any(math.isfinite(value) for value in values) else "no number"


def main(prometheus_url: str) -> str | None:
    """What is empty, one line for each, for the exit of the process; None if nothing is."""
    empty = check_dashboard(prometheus_url)
    return "\n".join(f"{each.expression.panel}: {each.why}: {each.expression.text}" for each in empty) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
