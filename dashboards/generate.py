"""Writes what is made from code: the Grafana JSON and docs/metrics.md. Run it as `uv run poe dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from prometheus_client import Counter, Gauge

from dashboards.board import built
from dashboards.casework import COLLECTIONS
from dashboards.dead_letters import DEAD_LETTERS
from dashboards.detection import DETECTION
from dashboards.pipeline import PIPELINE
from dashboards.portfolio import PORTFOLIO
from streams.metrics import LABELS, Definition, definitions

if TYPE_CHECKING:
    from dashboards.board import Board

ROOT: Final = Path(__file__).parents[1]
BOARDS: Final = (PIPELINE, DETECTION, PORTFOLIO, COLLECTIONS, DEAD_LETTERS)
_INTRODUCTION = """# Metrics

This page is made from `streams/metrics.py` and `dashboards/` by `uv run poe dashboards`.

Every process serves its metrics under `/metrics` on its own port (`EWS_METRICS_HOST`, `EWS_METRICS_PORT`), on loopback
unless told otherwise, beside `/healthz` (it is alive) and `/readyz` (it is caught up, 503 until then). A process fills
the metrics of what it does. None has a borrower, a loan or a person in a label. Times are in seconds, sizes in bytes;
a counter ends in `_total`. Rules over them, with what to do about each, are in [runbooks.md](runbooks.md).
"""


def documents() -> dict[str, str]:
    """Every generated file by its path from the root."""
    boards = {
        board.path: json.dumps(_plain(built(board)), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for board in BOARDS
    }
    return boards | {"docs/metrics.md": metrics_page()}


def _plain(builder: Any) -> Any:
    return json.loads(JSONEncoder().encode(builder.build()))


def metrics_page() -> str:
    """The page that lists every metric, what bounds each label, and every question that a panel answers."""
    rows = [f"| `{each.name}` | {_kind(each)} | {_labels(each)} | {each.meaning} |" for each in definitions()]
    bounds = [f"| `{name}` | {bound} |" for name, bound in LABELS.items()]
    return "\n".join(
        [
            _INTRODUCTION,
            "| metric | kind | labels | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "## Labels",
            "",
            "| label | values |",
            "| --- | --- |",
            *bounds,
            "",
            "## Dashboards",
            "",
            "Grafana loads the JSON of `dashboards/`; each asks for its Prometheus and leads to the others.",
            "",
            *(line for board in BOARDS for line in _questions(board)),
        ]
    )


def _questions(board: Board) -> list[str]:
    head = [f"### {board.title} (`{board.path}`)", "", board.description, ""]
    titles = [f"- {each.title}" for questions in board.rows.values() for each in questions]
    return [*head, *titles, ""]


def _kind(definition: Definition[Any]) -> str:
    return "counter" if definition.kind is Counter else "gauge" if definition.kind is Gauge else "histogram"


def _labels(definition: Definition[Any]) -> str:
    return ", ".join(f"`{label}`" for label in definition.labels) or "-"


def write(root: Path = ROOT) -> None:
    """Write them."""
    for path, text in documents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
