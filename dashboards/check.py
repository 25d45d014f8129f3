"""Asks a Prometheus every expression of every panel and rule: what is empty is broken. Works on any running system.

uv run python -m dashboards.check http://127.0.0.1:9090

Where all is well an alert is silent, so what its condition compares is asked: that must be there.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import promql_parser

from dashboards.generate import BOARDS, ROOT
from dashboards.rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TIMEOUT_SECONDS: Final = 10.0
COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
SETS: Final = frozenset({"and", "or", "unless"})


class Expression(NamedTuple):
    """One query, and where it stands: a board and its panel, or the rules and the name of one."""

    place: str
    panel: str
    text: str


class Empty(NamedTuple):
    """An expression without data, and what Prometheus said."""

    expression: Expression
    why: str


def expressions() -> Iterator[Expression]:
    """Every query of every panel, every recording, and what every alert compares."""
    for board in BOARDS:
        yield from of_board(ROOT / board.path)
    for rule in rules():
        for text in compared(rule.expression) if rule.is_alert else [rule.expression]:
            yield Expression("rules", rule.name, text)
        if not rule.is_alert:
            yield Expression("rules", f"{rule.name} as recorded", rule.name)


def of_board(file: Path) -> Iterator[Expression]:
    """Every query of every panel of a dashboard."""
    board = json.loads(file.read_text(encoding="utf-8"))
    for panel in _panels(board["panels"]):
        for target in panel.get("targets", ()):
            yield Expression(board["uid"], panel["title"], target["expr"])


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels") or [])


def compared(condition: str) -> list[str]:
    """What an alert's condition compares: its sides without the comparisons."""
    return sorted(set(_sides(promql_parser.parse(condition))))


def _sides(part: Any) -> Iterator[str]:
    if isinstance(part, promql_parser.ParenExpr):
        yield from _sides(part.expr)
    elif isinstance(part, promql_parser.BinaryExpr) and str(part.op) in COMPARISONS | SETS:
        yield from _sides(part.lhs)
        yield from _sides(part.rhs)
    elif any(True for _ in selectors(part)):  # A number is there of itself.
        yield part.prettify()


def selectors(part: Any) -> Iterator[Any]:
    """The vector selectors of a parsed expression."""
    if isinstance(part, promql_parser.VectorSelector):
        yield part
    inner = [getattr(part, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for each in (*inner, *getattr(part, "args", ())):
        if each is not None:
            yield from selectors(each)


def as_promql(text: str, window: str = "1m") -> str:
    """The expression with Grafana's variables replaced, as Prometheus understands it: everything is chosen."""
    text = text.replace("$__rate_interval", window).replace("$__range", window)
    return re.sub(r"\$\w+", ".*", text)


def check(prometheus_url: str, *, window: str = "1m", only: Iterable[Expression] | None = None) -> list[Empty]:
    """The expressions that give no data now; none if all is well. `window` must span a few scrapes."""
    with httpx.Client(base_url=prometheus_url, timeout=TIMEOUT_SECONDS) as client:
        every = expressions() if only is None else only
        asked = [(each, _why_empty(client, as_promql(each.text, window))) for each in every]
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
    empty = check(prometheus_url)
    every = len(list(expressions()))
    print(f"{every} expressions of {len(BOARDS)} dashboards and the rules, {len(empty)} without data")  # noqa: T201
    lines = [f"{each.expression.place}: {each.expression.panel}: {each.why}: {each.expression.text}" for each in empty]
    return "\n".join(lines) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
